"""Lint: each change for the worse to a sound set of manifests is found, at its field, with what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tidegate.manifests.documents import Manifests, from_objects, load, loads
from tidegate.manifests.findings import Finding, Severity
from tidegate.manifests.lint import check_release, lint
from tidegate.manifests.support import REFUSED

SOUND = Path(__file__).parents[3] / "examples" / "checkout" / "corrected"
WORKLOAD = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "legacy"}
CANARY = "spec.strategy.canary"
RULE = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule"}
Objects = dict[str, dict[str, Any]]
Change = Callable[[Objects], object]


@cache
def _sound() -> Objects:
    manifests = load([SOUND])
    groups = (manifests.rollouts, manifests.templates, manifests.services, manifests.virtual_services)
    return {each.label: each.raw for group in groups for each in group}


def sound() -> Objects:
    return deepcopy(_sound())


def changed(change: Change) -> Manifests:
    objects = sound()
    change(objects)
    return from_objects(objects.values())


def findings(change: Change, severity: Severity, *, complete: bool = True) -> list[Finding]:
    return [found for found in lint(changed(change), complete=complete) if found.severity is severity]


def canary(objects: Objects) -> Any:
    return objects["Rollout/checkout"]["spec"]["strategy"]["canary"]


def metric(objects: Objects, index: int = 0) -> Any:
    return objects["AnalysisTemplate/checkout-canary-datadog"]["spec"]["metrics"][index]


def datadog(objects: Objects, index: int = 0) -> Any:
    return metric(objects, index)["provider"]["datadog"]


def argument(objects: Objects) -> Any:
    return canary(objects)["analysis"]["args"][1]


@pytest.mark.parametrize(
    ("change", "code", "path", "value"),
    [
        (lambda o: canary(o)["steps"][0].update(setWeight=120), "invalid", f"{CANARY}.steps[0].setWeight", "120"),
        (
            lambda o: canary(o)["steps"][1].update(pause={"duration": "5x"}),
            "invalid",
            f"{CANARY}.steps[1].pause.duration",
            '"5x"',
        ),
        (lambda o: o["Rollout/checkout"]["metadata"].pop("name"), "invalid", "metadata.name", ""),
        (
            lambda o: (
                canary(o)["trafficRouting"]["istio"].update(destinationRule={"name": "d", "stableSubsetName": "s"}),
                o.update(rule={**RULE, "metadata": {"name": "d"}}),
            ),
            "reference",
            f"{CANARY}.trafficRouting.istio.destinationRule.stableSubsetName",
            '"s"',
        ),
        (lambda o: canary(o)["steps"].append({}), "invalid", f"{CANARY}.steps[10]", ""),
        (
            lambda o: canary(o).update(replicaProgressThreshold={"type": "Most", "value": 1}),
            "invalid",
            f"{CANARY}.replicaProgressThreshold.type",
            '"Most"',
        ),
        (
            lambda o: canary(o).update(replicaProgressThreshold={"type": "Percent", "value": 101}),
            "invalid",
            f"{CANARY}.replicaProgressThreshold.value",
            "101",
        ),
        (
            lambda o: canary(o).update(replicaProgressThreshold={"type": "Pods", "value": 0}),
            "invalid",
            f"{CANARY}.replicaProgressThreshold.value",
            "0",
        ),
        (
            lambda o: o["Rollout/checkout"]["spec"].update(workloadRef=WORKLOAD | {"kind": "PodTemplate"}, template={}),
            "unsupported",
            "spec.workloadRef.kind",
            '"apps/v1 PodTemplate"',
        ),
        (
            lambda o: o["Rollout/checkout"]["spec"].update(workloadRef=WORKLOAD | {"name": ""}, template={}),
            "invalid",
            "spec.workloadRef.name",
            "",
        ),
        (
            lambda o: o["Rollout/checkout"]["spec"].update(workloadRef=WORKLOAD | {"scaleDown": "soon"}, template={}),
            "invalid",
            "spec.workloadRef.scaleDown",
            '"soon"',
        ),
        (lambda o: canary(o).pop("canaryService"), "invalid", f"{CANARY}.canaryService", ""),
        (lambda o: o["Rollout/checkout"]["spec"].update(replicas=-1), "invalid", "spec.replicas", "-1"),
        (lambda o: o["Rollout/checkout"]["spec"].pop("selector"), "invalid", "spec.selector", ""),
        (lambda o: o["Rollout/checkout"]["spec"].pop("strategy"), "invalid", "spec.strategy", ""),
        (lambda o: o.pop("Service/checkout-canary"), "reference", f"{CANARY}.canaryService", '"checkout-canary"'),
        (
            lambda o: o["Service/checkout-stable"]["spec"]["selector"].update(tier="web"),
            "reference",
            f"{CANARY}.stableService",
            '"checkout-stable"',
        ),
        (
            lambda o: o.pop("VirtualService/checkout-vsvc"),
            "reference",
            f"{CANARY}.trafficRouting.istio.virtualService.name",
            '"checkout-vsvc"',
        ),
        (
            lambda o: o["VirtualService/checkout-vsvc"]["spec"]["http"][0].update(name="other"),
            "reference",
            f"{CANARY}.trafficRouting.istio.virtualService.name",
            '"checkout-vsvc"',
        ),
        (lambda o: metric(o).update(interval="5x"), "duration", "spec.metrics[0].interval", '"5x"'),
        (lambda o: metric(o).update(initialDelay="soon"), "duration", "spec.metrics[0].initialDelay", '"soon"'),
        (lambda o: datadog(o).update(interval="1d"), "duration", "spec.metrics[0].provider.datadog.interval", '"1d"'),
        (
            lambda o: datadog(o).update(requestTimeout="0s"),
            "duration",
            "spec.metrics[0].provider.datadog.requestTimeout",
            '"0s"',
        ),
        (
            lambda o: datadog(o).update(apiVersion="v3"),
            "datadog",
            "spec.metrics[0].provider.datadog.apiVersion",
            '"v3"',
        ),
        (lambda o: datadog(o).pop("apiVersion"), "datadog", "spec.metrics[0].provider.datadog.queries", ""),
        (lambda o: datadog(o).pop("formula"), "datadog", "spec.metrics[0].provider.datadog.queries", ""),
        (lambda o: datadog(o).pop("queries"), "datadog", "spec.metrics[0].provider.datadog.query", ""),
        (
            lambda o: datadog(o).update(aggregator="mode"),
            "datadog",
            "spec.metrics[0].provider.datadog.aggregator",
            '"mode"',
        ),
        (lambda o: metric(o).update(provider={}), "provider", "spec.metrics[0].provider", ""),
        (
            lambda o: argument(o).update(valueFrom={"podTemplateHashValue": "Newest"}),
            "hash-value",
            f"{CANARY}.analysis.args[1].valueFrom.podTemplateHashValue",
            '"Newest"',
        ),
        (
            lambda o: argument(o).update(name="canary-hsh"),
            "analysis",
            f"{CANARY}.analysis.templates",
            "",
        ),
        (lambda o: metric(o).pop("count"), "analysis", f"{CANARY}.steps[2].analysis.templates", ""),
        (lambda o: metric(o, 1).update(name="error-rate"), "analysis", f"{CANARY}.steps[2].analysis.templates", ""),
        (
            lambda o: canary(o)["analysis"].update(templates=[{"templateName": "chekout"}]),
            "missing-template",
            f"{CANARY}.analysis.templates",
            "",
        ),
        (
            lambda o: o["Rollout/checkout"]["spec"]["template"]["spec"]["containers"][0].update(imag="x"),
            "pod-template",
            "spec.template.spec.containers[0].imag",
            '"x"',
        ),
    ],
)
def test_an_error_names_code_field_and_value(change: Change, code: str, path: str, value: str) -> None:
    found = findings(change, Severity.ERROR)
    assert (code, path, value) in [(each.code, each.path, each.value) for each in found]


def test_a_finding_names_the_file_and_the_line() -> None:
    text = (SOUND / "rollout.yaml").read_text()
    line = 1 + text.splitlines().index("        - pause: { duration: 2m }      # absorb DNS/warmup before judging")
    found = lint(loads(text.replace("duration: 2m", "duration: 5x", 1), "rollout.yaml"))
    assert [str(each) for each in found if each.severity is Severity.ERROR] == [
        f'rollout.yaml:{line}: error: spec.strategy.canary.steps[1].pause.duration: "5x": Duration needs to be greater '
        "than 0 (whole seconds, or a number with a unit such as 90s, 5m or 1h30m; units: ns, us, ms, s, m, h) [invalid]"
    ]


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        (lambda o: metric(o).pop("inconclusiveLimit"), "inconclusive-band", "spec.metrics[0]"),
        (lambda o: datadog(o, 1).update(formula="p99"), "seconds-as-milliseconds", "spec.metrics[1].successCondition"),
        (
            lambda o: argument(o).update(
                valueFrom={"fieldRef": {"fieldPath": "metadata.labels['rollouts-pod-template-hash']"}}
            ),
            "hash-from-rollout-label",
            f"{CANARY}.analysis.args[1].valueFrom.fieldRef.fieldPath",
        ),
        (
            lambda o: [metric(o).pop(name) for name in ("successCondition", "failureCondition")],
            "no-condition",
            "spec.metrics[0]",
        ),
        (lambda o: canary(o)["analysis"].update(startingStep=10), "starting-step", f"{CANARY}.analysis.startingStep"),
        (
            lambda o: canary(o)["analysis"]["args"].append({"name": "more", "value": "x"}),
            "unused-argument",
            f"{CANARY}.analysis.args[2].name",
        ),
        (lambda o: (canary(o).pop("analysis"), canary(o).update(steps=[{"setWeight": 100}])), "no-gate", CANARY),
        (
            lambda o: o["Rollout/checkout"]["spec"]["template"]["spec"].update(teleport=True),
            "pod-template",
            "spec.template.spec.teleport",
        ),
    ],
)
def test_a_surprise_is_a_warning(change: Change, code: str, path: str) -> None:
    assert (code, path) in [(each.code, each.path) for each in findings(change, Severity.WARNING)]
    assert not findings(change, Severity.ERROR)


def test_a_sound_set_is_only_commented_on() -> None:
    assert {each.code for each in lint(changed(lambda _: None), complete=True)} == {
        "ratio-of-counters",
        "service-selector",
    }


def test_what_is_not_among_the_files_may_be_in_the_cluster() -> None:
    def rollout_alone(objects: Objects) -> None:
        for label in list(objects)[1:]:
            del objects[label]

    assert not findings(rollout_alone, Severity.ERROR, complete=False)
    assert {each.code for each in findings(rollout_alone, Severity.NOTE, complete=False)} == {"missing-template"}
    assert {each.code for each in findings(rollout_alone, Severity.ERROR)} == {"missing-template", "reference"}


@pytest.mark.parametrize(
    "condition", ["result < 0.01", "default(result, 0) < {{args.service-name}}"], ids=["plain", "with an argument"]
)
def test_conditions_are_compiled_by_whom_it_is_left_to(condition: str) -> None:
    seen: list[str] = []

    def refuse(text: str) -> None:
        seen.append(text)
        raise ValueError("column 3: no such thing")

    manifests = changed(lambda o: metric(o).update(successCondition=condition))
    found = [each for each in lint(manifests, compile_condition=refuse) if each.code == "condition"]
    assert [each.path for each in found] == [
        *(f"spec.metrics[{index}].{name}" for index in (0, 1) for name in ("successCondition", "failureCondition")),
        *(f"spec.metrics[{index}].failureCondition" for index in (0, 1)),
    ]
    assert all(each.severity is Severity.ERROR and each.message == "column 3: no such thing" for each in found)
    assert not any("{{" in text for text in seen)


class TestScopeOfAQuery:
    """A query that looks at all versions together is no evidence about the canary."""

    QUERY = "p99:trace.http.request{{service:checkout{}}} * 1000"

    def scoped(self, tag: str, change: Change = lambda _: None) -> list[Finding]:
        def replace(objects: Objects) -> None:
            datadog(objects, 1).update(queries={"p99": self.QUERY.format(tag)}, formula="p99")
            change(objects)

        return [each for each in lint(changed(replace), complete=True) if each.code == "unscoped-query"]

    def test_without_a_tag_is_an_error(self) -> None:
        [found] = self.scoped("")
        assert found.severity is Severity.ERROR
        assert found.message.startswith("query without the canary's tag")
        assert found.path == "spec.metrics[1].provider.datadog.queries.p99"
        assert "step 2; Rollout/checkout, step 5" in found.message

    @pytest.mark.parametrize("tag", [",version:canary", ",service:checkout-canary", ",hash:{{args.canary-hash}}"])
    def test_a_tag_of_the_canary_will_do(self, tag: str) -> None:
        assert not self.scoped(tag)

    @pytest.mark.parametrize(
        "source",
        [{"podTemplateHashValue": "Stable"}, {"fieldRef": {"fieldPath": "metadata.name"}}],
        ids=["hash of stable", "name"],
    )
    def test_an_argument_that_is_not_the_canarys_will_not(self, source: dict[str, Any]) -> None:
        every = self.scoped(",hash:{{args.canary-hash}}", lambda o: argument(o).update(valueFrom=source))
        found = [each for each in every if each.path.endswith(".p99")]
        assert [each.severity for each in found] == [Severity.ERROR]
        assert "step 2" not in found[0].message

    @pytest.mark.parametrize("path", ["metadata.labels['version']", "spec.template.metadata.labels.version"])
    def test_a_field_that_changes_with_the_version_will_do(self, path: str) -> None:
        source = {"fieldRef": {"fieldPath": path}}
        assert not self.scoped(",v:{{args.canary-hash}}", lambda o: argument(o).update(valueFrom=source))

    def test_beside_a_query_of_the_canary_it_may_be_a_comparison(self) -> None:
        hits = "sum:trace.http.request.hits{service:checkout}.as_count()"
        manifests = changed(lambda o: datadog(o)["queries"].update(hits=hits))
        found = [each for each in lint(manifests) if each.code == "unscoped-query"]
        assert [(each.severity, each.path[-4:]) for each in found] == [(Severity.WARNING, "hits")]

    def test_without_a_rollout_nobody_knows(self) -> None:
        found = self.scoped("", lambda o: o.pop("Rollout/checkout"))
        assert [each.severity for each in found] == [Severity.WARNING]
        assert not self.scoped(",x:{{args.service-name}}", lambda o: o.pop("Rollout/checkout"))


@pytest.mark.parametrize("limit", REFUSED, ids=lambda limit: limit.path)
def test_what_is_not_honoured_is_named(limit: Any) -> None:
    def ask(objects: Objects) -> None:
        target: Any = objects["Rollout/checkout"]
        *parents, name = limit.path.split(".")
        for parent, following in zip(parents, [*parents[1:], name], strict=True):
            target = target[0] if parent == "*" else target.setdefault(parent, [{}] if following == "*" else {})
        target[name] = VALUES.get(name, {})

    named = [each for each in lint(changed(ask)) if each.code == "unsupported"]
    assert f"not supported by Tidegate: {limit.name}" in [each.message for each in named]
    assert all(each.severity is Severity.ERROR for each in named if each.message.endswith(f": {limit.name}"))


VALUES: dict[str, Any] = {"maxTrafficWeight": 1000}


def test_a_provider_that_nobody_knows_is_named() -> None:
    found = findings(lambda o: metric(o).update(provider={"wavefront": {"query": "x"}}), Severity.ERROR, complete=False)
    messages = [each.message for each in found if each.code == "unsupported"]
    assert "not supported by Tidegate: provider wavefront" in messages


class TestCheckRelease:
    """The same checks for objects that come from the cluster."""

    def check(self, change: Change = lambda _: None, **observed: Any) -> list[Finding]:
        objects = sound()
        change(objects)
        services = {name: objects.get(f"Service/{name}") for name in ("checkout-stable", "checkout-canary")}
        routed = {"VirtualService/checkout-vsvc.payments": objects.get("VirtualService/checkout-vsvc")}
        templates = [objects[label] for label in objects if label.startswith("AnalysisTemplate/")]
        return check_release(
            objects["Rollout/checkout"],
            observed.get("templates", templates),
            observed.get("services", services),
            observed.get("routed", routed),
        )

    def test_a_sound_release_is_admitted(self) -> None:
        assert {each.code for each in self.check()} == {"ratio-of-counters"}

    @pytest.mark.parametrize(
        ("label", "message"),
        [
            ("Service/checkout-canary", 'services "checkout-canary" not found'),
            ("VirtualService/checkout-vsvc", 'virtualservices.networking.istio.io "checkout-vsvc" not found'),
            (
                "AnalysisTemplate/checkout-canary-datadog",
                "AnalysisTemplate 'checkout-canary-datadog' not found",
            ),
        ],
    )
    def test_what_is_missing_in_the_cluster_refuses_it(self, label: str, message: str) -> None:
        found = [each for each in self.check(lambda o: o.pop(label)) if each.severity is Severity.ERROR]
        assert {each.message for each in found} == {message}
        assert {(each.file, each.object) for each in found} == {("", "Rollout/checkout")}

    def test_a_destination_that_the_first_weight_removes_is_warned_about(self) -> None:
        def lead_elsewhere(objects: Objects) -> None:
            route = objects["VirtualService/checkout-vsvc"]["spec"]["http"][0]["route"]
            route[0]["weight"], beta = 90, {"destination": {"host": "beta"}, "weight": 10}
            route.append(beta)

        [found] = [each for each in self.check(lead_elsewhere) if each.code == "destination-removed"]
        assert found.severity is Severity.WARNING
        assert "route primary of VirtualService checkout-vsvc also leads to beta with 10 %" in found.message

    def test_a_template_that_it_does_not_use_is_nobodys_business(self) -> None:
        other = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisTemplate",
            "metadata": {"name": "other"},
            "spec": {"metrics": [{"name": "m", "interval": "5x", "provider": {}}]},
        }
        used = [each for label, each in sound().items() if label.startswith("AnalysisTemplate/")]
        templates = [*used, other]
        assert {each.code for each in self.check(templates=templates)} == {"ratio-of-counters"}
