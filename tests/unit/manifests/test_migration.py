"""What becomes of a Rollout of Argo's controller: as it is, other here, or refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.client.manifest_files import findings_of
from tidegate.manifests.documents import loads
from tidegate.manifests.migration import DIFFERENCES, Assessment, MigrationVerdict, assess, with_errors
from tidegate.manifests.migration.assessment import Assessed

QUIRKS = Path(__file__).parents[3] / "docs" / "quirks.md"
ISTIO = {"istio": {"virtualService": {"name": "web"}}}
SERVICES = {"stableService": "web-stable", "canaryService": "web-canary", "trafficRouting": ISTIO}


def rollout(
    spec: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None, **canary: Any
) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "registry.internal/web:1"}]},
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "web", "namespace": "payments", **(metadata or {})},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": template,
            "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}], **canary}},
            **(spec or {}),
        },
    }


def template(name: str, provider: dict[str, Any], namespace: str = "payments", **metric: Any) -> dict[str, Any]:
    metrics = [{"name": "errors", "provider": provider, **metric}]
    metadata = {"name": name, "namespace": namespace}
    kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate"}
    return {**kind, "metadata": metadata, "spec": {"metrics": metrics}}


def assessed(*objects: dict[str, Any], text: str = "") -> Assessed:
    manifests, unread = with_errors(lambda: loads(text or yaml.safe_dump_all(objects), "web.yaml"))
    return assess(manifests, findings_of, unread)


def only(*objects: dict[str, Any]) -> Assessment:
    (found,) = assessed(*objects).rollouts
    return found


def shown(found: Assessment) -> dict[str, tuple[str, ...]]:
    return {each.argo: each.locations for each in found.differences}


def test_each_difference_is_a_row_of_the_page_word_for_word() -> None:
    rows = {tuple(row.removeprefix("| ").split(" | ")[:2]) for row in QUIRKS.read_text().splitlines()}
    assert [each for each in DIFFERENCES if (each.argo, each.tidegate) not in rows] == []


def test_a_plain_canary_goes_as_it_is() -> None:
    found = only(rollout())
    assert (found.verdict, found.namespace, found.name, found.file, found.line) == (
        MigrationVerdict.AS_IT_IS,
        "payments",
        "web",
        "web.yaml",
        1,
    )
    assert (found.reasons, found.differences, found.state) == ((), (), "")


PROMETHEUS = {"prometheus": {"address": "http://prometheus:9090", "query": "sum(rate(errors[5m]))"}}
DATADOG = {
    "datadog": {
        "apiVersion": "v2",
        "queries": {"a": "sum:e{version:canary}", "b": "sum:h{version:canary}"},
        "formula": "a / b",
    }
}
BOTH = {"successCondition": "default(result, 0) < 1", "failureCondition": "default(result, 0) > 2"}


@pytest.mark.parametrize(
    ("changes", "begins", "place"),
    [
        (
            {"steps": [{"setWeight": 40}, {"setWeight": 20}]},
            "A `setWeight` that goes down",
            "spec.strategy.canary.steps[1]",
        ),
        ({"scaleDownDelaySeconds": 0, **SERVICES}, "With `scaleDownDelaySeconds: 0`", "scaleDownDelaySeconds"),
        ({"dynamicStableScale": True, **SERVICES}, "With `dynamicStableScale` a release back", "dynamicStableScale"),
        ({"canaryMetadata": {"labels": {"role": "canary"}}}, "`canaryMetadata` and", "canaryMetadata"),
        ({"maxSurge": 0}, "Without a router, a weight", "maxSurge"),
        (
            {"steps": [{"setCanaryScale": {"replicas": 0}}, {"setWeight": 20}], **SERVICES},
            "`setCanaryScale: {replicas: 0}`",
            "steps[0]",
        ),
    ],
)
def test_a_difference_is_named_with_its_place(changes: dict[str, Any], begins: str, place: str) -> None:
    found = only(rollout(**changes))
    assert found.verdict is MigrationVerdict.DIFFERS, found
    [(_, locations)] = [each for each in shown(found).items() if each[0].startswith(begins)]
    assert place in locations[0]


@pytest.mark.parametrize(
    ("provider", "metric", "begins"),
    [
        (PROMETHEUS, BOTH, "Without `inconclusiveLimit`"),
        (PROMETHEUS, {"successCondition": "result[0] < 1"}, "A reading without data"),
        (PROMETHEUS, {"successCondition": "all(result, # < 1)"}, "`all(result, ...)` over"),
        (DATADOG, {"successCondition": "default(result, 0) < 1"}, "`errors / hits` is null"),
    ],
)
def test_a_difference_of_a_metric_is_found_in_the_template_that_is_used(
    provider: dict[str, Any], metric: dict[str, Any], begins: str
) -> None:
    steps = [{"setWeight": 20}, {"analysis": {"templates": [{"templateName": "errors"}]}}]
    used = template("errors", provider, count=1, **metric)
    found = only(rollout(steps=steps), used, template("unused", provider, count=1, **metric))
    locations = next(locations for argo, locations in shown(found).items() if argo.startswith(begins))
    assert locations == ("AnalysisTemplate/errors, metric errors",)
    patient = template("errors", provider, count=1, inconclusiveLimit=0, **metric)
    assert (
        not any(argo.startswith(begins) for argo in shown(only(rollout(steps=steps), patient))) or provider is DATADOG
    )


def test_a_template_of_another_namespace_is_another_one() -> None:
    steps = [{"setWeight": 20}, {"analysis": {"templates": [{"templateName": "errors"}]}}]
    elsewhere = template("errors", PROMETHEUS, "orders", count=1, successCondition="result[0] < 1")
    here = template(
        "errors", PROMETHEUS, count=1, successCondition="len(result) == 0 || result[0] < 1", inconclusiveLimit=0
    )
    assert shown(only(rollout(steps=steps), elsewhere, here)) == {}


def test_what_is_refused_says_why_and_where() -> None:
    found = only(rollout(trafficRouting={"smi": {}}, stableService="a", canaryService="b"))
    assert found.verdict is MigrationVerdict.REFUSED
    assert found.differences == ()
    assert any(each.path == "spec.strategy.canary.trafficRouting.smi" and each.line for each in found.reasons)


def test_a_template_that_cannot_be_read_refuses_the_rollout_that_uses_it_and_no_other() -> None:
    steps = [{"setWeight": 20}, {"analysis": {"templates": [{"templateName": "errors"}]}}]
    broken = template("errors", PROMETHEUS, count=1, sucessCondition="result < 1")
    other = rollout(metadata={"name": "other"})
    verdicts = {each.name: each.verdict for each in assessed(rollout(steps=steps), other, broken).rollouts}
    assert verdicts == {"web": MigrationVerdict.REFUSED, "other": MigrationVerdict.AS_IT_IS}


def test_a_rollout_of_which_nothing_can_be_read_is_refused_and_not_passed_over() -> None:
    found = only({**rollout(), "spec": "none"})
    assert (found.verdict, found.name) == (MigrationVerdict.REFUSED, "web")


def test_a_text_that_is_no_manifest_is_left_to_the_reader() -> None:
    found = assessed(text="a: [\n")
    assert found.rollouts == ()
    assert [each.line for each in found.unread] != []


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"phase": "Healthy", "stableRS": "a", "currentPodHash": "a", "currentStepIndex": 2}, "Healthy"),
        ({"phase": "Paused", "stableRS": "a", "currentPodHash": "b", "currentStepIndex": 1}, "Paused, step 2 of 2"),
        ({"phase": "Degraded", "stableRS": "a", "currentPodHash": "b", "abort": True}, "Degraded, aborted"),
        ({}, ""),
        ({"phase": 7}, ""),
    ],
)
def test_a_live_rollout_says_where_it_is(status: dict[str, Any], state: str) -> None:
    assert only({**rollout(), "status": status}).state == state


def test_differences_are_found_by_what_a_manifest_says_and_each_can_be() -> None:
    assert len({re.sub(r"\W", "", each.argo) for each in DIFFERENCES}) == len(DIFFERENCES)
