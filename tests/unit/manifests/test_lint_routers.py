"""Lint of NGINX and of the Gateway API: what a release could not do, at lint and at start alike."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import Finding, Severity
from tidegate.manifests.gateway_api import PLUGIN
from tidegate.manifests.lint import check_release, lint

ERROR, WARNING = Severity.ERROR, Severity.WARNING
CODES = ("routing", "unsupported", "foreign-host", "ignored-field", "reference")
HEADER = {"setHeaderRoute": {"name": "hdr", "match": [{"headerName": "a", "headerValue": {"exact": "x"}}]}}
MIRROR = {"setMirrorRoute": {"name": "hdr", "match": [{"method": {"exact": "GET"}}]}}
EXPERIMENT = {"experiment": {"duration": "1m", "templates": [{"name": "a", "specRef": "canary", "weight": 5}]}}


def rollout(*steps: dict[str, Any], gateway: Any = None, services: bool = True, **routing: Any) -> dict[str, Any]:
    given = {"plugins": {PLUGIN: gateway}} if gateway is not None else {}
    names = {"stableService": "stable", "canaryService": "canary"} if services else {}
    canary = {**names, "steps": list(steps), "trafficRouting": {**given, "managedRoutes": [{"name": "hdr"}], **routing}}
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"app": "x"}}, "template": template, "strategy": {"canary": canary}}
    metadata = {"name": "shop", "namespace": "payments"}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": metadata, "spec": spec}


def route(*backends: str | dict[str, Any], namespace: str = "payments") -> dict[str, Any]:
    references = [{"name": each, "port": 80} if isinstance(each, str) else each for each in backends]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "shop", "namespace": namespace},
        "spec": {"rules": [{"backendRefs": references}]},
    }


def found(given: dict[str, Any], *objects: dict[str, Any]) -> list[Finding]:
    """What lint says, which has to be what a start says."""
    at_lint = [each for each in lint(from_objects([given, *objects])) if each.code in CODES]
    observed = {f"{each['kind']}/{each['metadata']['name']}.{each['metadata']['namespace']}": each for each in objects}
    at_start = [each for each in check_release(given, [], {}, observed) if each.code in CODES]
    assert at_lint == at_start
    return at_lint


SHOP = {"httpRoute": "shop"}


@pytest.mark.parametrize(
    ("given", "severity", "words"),
    [
        (rollout(gateway=SHOP, maxTrafficWeight=1000), ERROR, "maxTrafficWeight with the Gateway API"),
        (rollout(MIRROR, gateway=SHOP), ERROR, "setMirrorRoute with the Gateway API"),
        (rollout(HEADER, gateway={"tcpRoute": "shop"}), ERROR, "no route takes header routes"),
        (rollout(HEADER, gateway={**SHOP, "tcpRoute": "db"}), WARNING, "the step does nothing in TCPRoute db"),
        (rollout(EXPERIMENT, gateway={"grpcRoute": "shop"}), ERROR, "only an HTTPRoute gives a share"),
        (rollout(gateway={}), ERROR, "No routes configured"),
        (rollout(gateway={"httpRoute": 5}), ERROR, "valid string"),
        (rollout(gateway={**SHOP, "foo": 1}), WARNING, "is ignored, as by the plugin"),
        (rollout(plugins={"acme/router": {}}), ERROR, "traffic routing by plugin acme/router"),
    ],
)
def test_what_the_gateway_api_cannot_do_is_refused(given: dict[str, Any], severity: Severity, words: str) -> None:
    [finding] = found(given)
    assert finding.severity is severity
    assert words in finding.message


def test_both_services_are_needed_to_split_a_route() -> None:
    assert [each.path.rpartition(".")[2] for each in found(rollout(gateway=SHOP, services=False))] == [
        "stableService",
        "canaryService",
    ]


@pytest.mark.parametrize(
    ("backends", "severity", "words"),
    [
        (("stable",), ERROR, "no rule of HTTPRoute shop leads to both stable and canary"),
        (("stable", {"name": "canary", "kind": "ServiceImport"}), ERROR, "leads to both"),
        (("stable", "canary", "canary"), ERROR, "leads to a side more than once"),
        (("stable", "canary", "legacy"), WARNING, "also leads to legacy"),
    ],
)
def test_a_route_that_is_no_split_is_named(backends: Any, severity: Severity, words: str) -> None:
    [finding] = found(rollout(gateway=SHOP), route(*backends))
    assert finding.severity is severity
    assert words in finding.message


def test_a_route_of_another_namespace_has_to_name_that_of_its_services() -> None:
    given = rollout(gateway={**SHOP, "namespace": "web"})
    [finding] = found(given, route("stable", "canary", namespace="web"))
    assert (finding.code, finding.severity) == ("foreign-host", WARNING)
    sides = [{"name": name, "namespace": "payments"} for name in ("stable", "canary")]
    assert found(given, route(*sides, namespace="web")) == []


def test_a_route_that_is_missing_refuses_a_release() -> None:
    given = rollout(gateway=SHOP)
    [finding] = [
        each for each in check_release(given, [], {}, {"HTTPRoute/shop.payments": None}) if each.code == "reference"
    ]
    assert finding.message == 'httproutes.gateway.networking.k8s.io "shop" not found'
    assert [each.message for each in lint(from_objects([given]), complete=True) if "httproutes" in each.message]


def test_what_nginx_cannot_do_is_refused() -> None:
    [finding] = found(rollout(nginx={"stableIngresses": []}))
    assert finding.message == "no Ingress is named: no weight could be set"
    given = rollout(nginx={"stableIngress": "web"})
    [missing] = [
        each for each in check_release(given, [], {}, {"Ingress/web.payments": None}) if each.code == "reference"
    ]
    assert missing.message == 'ingress.networking.k8s.io "web" not found'


def test_a_rollout_has_one_router() -> None:
    routers = {"istio": {"virtualService": {"name": "vs"}}, "nginx": {"stableIngress": "web"}}
    findings = found(rollout(gateway=SHOP, **routers))
    assert [each.message for each in findings if each.code == "unsupported"] == [
        f"not supported by Tidegate: several routers of one Rollout: istio, nginx, {PLUGIN}"
    ]
