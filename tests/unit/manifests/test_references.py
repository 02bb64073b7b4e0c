"""Objects around a Rollout: routes that a release edits, Services it may take, templates and arguments."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.manifests.analysis_template import AnalysisTemplate, RolloutAnalysis, TemplateRef
from tidegate.manifests.network import VirtualServiceSpec
from tidegate.manifests.rollout import IstioVirtualService, Rollout
from tidegate.manifests.routes import RouteError, edited_routes
from tidegate.manifests.selector import LabelSelector
from tidegate.manifests.templates import TemplateKey, Used, used_templates
from tidegate.manifests.validation.analyses import analysis_errors
from tidegate.manifests.validation.references import destination_rule_errors, reference_errors


def rollout(**canary: Any) -> Rollout:
    routing = {"istio": {"virtualService": {"name": "vs", "routes": ["primary"]}}}
    base = {"canaryService": "new", "stableService": "old", "trafficRouting": routing}
    return Rollout.model_validate(
        {
            "metadata": {"name": "r", "namespace": "ns"},
            "spec": {
                "selector": {"matchLabels": {"app": "x"}},
                "template": {"metadata": {"labels": {"app": "x"}}},
                "strategy": {"canary": {**base, **canary}},
            },
        }
    )


def virtual_service(*hosts: str, **spec: Any) -> dict[str, Any]:
    route = [{"destination": {"host": host}, "weight": 0} for host in hosts]
    return {"spec": {"http": [{"name": "primary", "route": route}], **spec}}


def service(annotation: str | None = None, **selector: str) -> dict[str, Any]:
    annotations = {"argo-rollouts.argoproj.io/managed-by-rollouts": annotation} if annotation else {}
    return {"metadata": {"annotations": annotations}, "spec": {"selector": selector}}


def details(virtual_services: dict[str, Any], services: dict[str, Any] | None = None) -> list[str]:
    return [error.detail for error in reference_errors(rollout(), services or {}, virtual_services)]


def test_a_destination_rule_that_is_missing_is_named_as_kubernetes_does() -> None:
    rule = {"name": "dr", "canarySubsetName": "canary", "stableSubsetName": "stable"}
    split = rollout(trafficRouting={"istio": {"virtualService": {"name": "vs"}, "destinationRule": rule}})
    [error] = reference_errors(split, {}, {}, destination_rules={"dr": None})
    assert error.detail == 'destinationrules.networking.istio.io "dr" not found'
    assert error.path[-3:] == ("istio", "destinationRule", "name")
    whole = {"spec": {"host": "new", "subsets": [{"name": "canary"}, {"name": "stable"}]}}
    assert not reference_errors(split, {}, {}, destination_rules={"dr": whole})
    assert not reference_errors(split, {}, {})


def test_what_was_not_looked_for_is_not_judged() -> None:
    assert not details({})


@pytest.mark.parametrize(
    ("found", "detail"),
    [
        (None, 'virtualservices.networking.istio.io "vs" not found'),
        ({"spec": {}}, "Unable to get any of the HTTP, TCP or TLS routes for the Istio VirtualService"),
        (virtual_service("new"), "invalid HTTP routes. Error: Stable Service 'old' not found in route"),
        (virtual_service("old.ns.svc"), "invalid HTTP routes. Error: Canary Service 'new' not found in route"),
        ({"spec": {"http": [{"name": "b"}]}}, "HTTP Route 'primary' is not found in the defined Virtual Service."),
        ({"spec": {"http": 5}}, "Unable to get any of the HTTP, TCP or TLS routes"),
        ({"spec": {"http": [5]}}, "Unable to get HTTP routes for Istio VirtualService"),
    ],
)
def test_a_virtual_service_must_lead_to_both_versions(found: Any, detail: str) -> None:
    [text] = details({"vs.ns": found})
    assert detail in text


@pytest.mark.parametrize(
    ("found", "detail"),
    [
        (None, 'services "new" not found'),
        (service("other", app="x"), 'Service "new" is managed by another Rollout'),
        (service(app="x", tier="web"), 'Service "new" has unmatch label "tier" in rollout'),
        ({"spec": {"selector": "app"}}, "cannot be read"),
    ],
)
def test_a_service_must_be_free_and_find_the_pods(found: Any, detail: str) -> None:
    [text] = details({}, {"new": found, "old": service("r", app="x", **{"rollouts-pod-template-hash": "abc"})})
    assert detail in text


@pytest.mark.parametrize(
    ("setting", "spec", "protocol", "expected"),
    [
        ({}, {"http": [{}]}, "http", [0]),
        ({"routes": ["b"]}, {"http": [{"name": "a"}, {"name": "b"}]}, "http", [1]),
        ({"routes": ["b", "a"]}, {"http": [{"name": "a"}, {"name": "b"}]}, "http", [1, 0]),
        ({}, {"http": [{"name": "managed"}, {"name": "b"}]}, "http", [1]),
        ({"routes": ["a"]}, {"tls": [{}]}, "http", []),
        ({}, {"tcp": [{}]}, "tcp", [0]),
        ({"routes": ["a", "a"]}, {"http": [{"name": "a"}]}, "http", [0]),
        ({"tcpRoutes": [{"port": 2}]}, {"tcp": [{"match": [{"port": 1}]}, {"match": [{"port": 2}]}]}, "tcp", [1]),
        ({"tcpRoutes": [{"port": 2}, {"port": 2}]}, {"tcp": [{"match": [{"port": 2}, {"port": 2}]}]}, "tcp", [0]),
        ({"tlsRoutes": [{"sniHosts": ["b"]}]}, {"tls": [{"match": [{"sniHosts": ["b"]}]}]}, "tls", [0]),
        (
            {"tlsRoutes": [{"port": 1, "sniHosts": ["b"]}]},
            {"tls": [{"match": [{"port": 1, "sniHosts": ["a"]}]}, {"match": [{"port": 1, "sniHosts": ["b"]}]}]},
            "tls",
            [1],
        ),
    ],
)
def test_which_routes_are_edited(setting: Any, spec: Any, protocol: Any, expected: list[int]) -> None:
    settings = IstioVirtualService.model_validate({"name": "vs", **setting})
    found = edited_routes(settings, VirtualServiceSpec.model_validate(spec), protocol, ["managed"])
    assert [route.position for route in found] == expected


@pytest.mark.parametrize(
    ("setting", "spec", "protocol"),
    [
        ({}, {"http": [{"name": "a"}, {"name": "b"}]}, "http"),
        ({"routes": ["c"]}, {"http": [{"name": "a"}]}, "http"),
        ({}, {"tls": [{}, {}]}, "tls"),
        ({"tcpRoutes": [{"port": 3}]}, {"tcp": [{"match": [{"port": 1}]}]}, "tcp"),
        ({"tcpRoutes": [{"port": 1}]}, {"tcp": [{"match": [{"port": 1}, {"port": 2}]}]}, "tcp"),
        ({"tlsRoutes": [{"port": 1}]}, {"tls": [{"match": [{"port": 1, "sniHosts": ["a"]}]}]}, "tls"),
    ],
)
def test_a_route_that_is_not_clear_is_refused(setting: Any, spec: Any, protocol: Any) -> None:
    settings = IstioVirtualService.model_validate({"name": "vs", **setting})
    with pytest.raises(RouteError):
        edited_routes(settings, VirtualServiceSpec.model_validate(spec), protocol)


@pytest.mark.parametrize(
    ("name", "located"),
    [
        ("vs", ("vs", "ns")),
        ("vs.mesh", ("vs", "mesh")),
        ("vs.a.mesh", ("vs.a", "mesh")),
        ("vs.mesh.cluster.local", ("vs", "mesh")),
    ],
)
def test_the_name_of_a_virtual_service_may_hold_its_namespace(name: str, located: tuple[str, str]) -> None:
    assert IstioVirtualService(name=name).located("ns") == located


@pytest.mark.parametrize(
    ("subsets", "missing"), [(["c", "s"], []), (["s"], ["'c'"]), ([], ["'c'", "'s'"])], ids=["both", "one", "none"]
)
def test_a_destination_rule_must_have_both_subsets(subsets: list[str], missing: list[str]) -> None:
    rule = {"name": "d", "canarySubsetName": "c", "stableSubsetName": "s"}
    subsetted = rollout(trafficRouting={"istio": {"virtualService": {"name": "vs"}, "destinationRule": rule}})
    errors = destination_rule_errors(subsetted, {"spec": {"subsets": [{"name": name} for name in subsets]}})
    assert [error.detail.rpartition(" ")[2] for error in errors] == missing


def template(name: str, *metrics: dict[str, Any], **spec: Any) -> AnalysisTemplate:
    return AnalysisTemplate.model_validate({"metadata": {"name": name}, "spec": {"metrics": list(metrics), **spec}})


@pytest.mark.parametrize(
    ("templates", "args", "detail"),
    [
        (
            [template("a", args=[{"name": "x", "value": "1"}]), template("b", args=[{"name": "x", "value": "2"}])],
            [],
            "Argument `x` specified multiple times with different values: '1', '2'",
        ),
        ([template("a", args=[{"name": "x"}])], [], "args.x was not resolved"),
        (
            [template("a", args=[{"name": "x", "value": "1", "valueFrom": {"secretKeyRef": {"name": "s"}}}])],
            [],
            "AnalysisTemplate a: arg 'x' has both Value and ValueFrom fields",
        ),
        ([template("a", {"name": "m"}), template("b", {"name": "m"})], [], "two metrics have the same name 'm'"),
        ([template("a", {"name": "m {{args.y}}"})], [], "AnalysisTemplate a: failed to resolve {{args.y}}"),
        (
            [template("a", {"name": "m", "provider": {"datadog": {"queries": {"{{inputs.z}}": "q"}}}})],
            [],
            "AnalysisTemplate a: failed to resolve {{inputs.z}}",
        ),
        (
            [template("a", {"name": "m", "interval": "1m"})],
            [],
            "AnalysisTemplate a has metric m which runs indefinitely. Invalid value for count: <nil>",
        ),
    ],
)
def test_templates_and_arguments_must_fit(templates: list[AnalysisTemplate], args: Any, detail: str) -> None:
    analysis = RolloutAnalysis.model_validate({"args": args})
    assert [error.detail for error in analysis_errors(templates, analysis, 0)] == [detail]


def test_a_background_analysis_need_not_end_by_itself() -> None:
    endless = template("a", {"name": "m", "interval": "1m"})
    assert not analysis_errors([endless], RolloutAnalysis(), None)


def test_templates_are_followed_once_even_in_a_circle() -> None:
    known = {
        TemplateKey(False, "a"): template("a", templates=[{"templateName": "b"}, {"templateName": "gone"}]),
        TemplateKey(False, "b"): template("b", templates=[{"templateName": "a"}]),
        TemplateKey(True, "a"): template("a"),
    }
    references = [TemplateRef(templateName="a"), TemplateRef(templateName="a", clusterScope=True)]
    a, b, cluster_a, gone = (
        TemplateKey(False, "a"),
        TemplateKey(False, "b"),
        TemplateKey(True, "a"),
        TemplateKey(False, "gone"),
    )
    assert used_templates(references, known) == Used((a, b, cluster_a), (gone,))


labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"))


@given(labels, labels)
def test_a_selector_of_labels_finds_their_supersets(wanted: dict[str, str], given_labels: dict[str, str]) -> None:
    selector = LabelSelector.model_validate({"matchLabels": wanted})
    assert selector.matches(given_labels) == (wanted.items() <= given_labels.items())


@given(labels, st.sampled_from("abc"), st.lists(st.sampled_from("xyz"), min_size=1))
def test_opposite_operators_select_opposite_pods(found: dict[str, str], key: str, values: list[str]) -> None:
    def matches(operator: str, wanted: list[str]) -> bool:
        requirement = {"key": key, "operator": operator, "values": wanted}
        return LabelSelector.model_validate({"matchExpressions": [requirement]}).matches(found)

    assert matches("In", values) != matches("NotIn", values)
    assert matches("Exists", []) != matches("DoesNotExist", [])
    assert matches("In", values) == (found.get(key) in values)
