"""How much one object may ask for, and that a refusal costs bounded work, whatever was asked for."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pydantic import ValidationError

from tests.workers.scripted_release import request
from tidegate.analysis.rules import RunRules
from tidegate.analysis.spec import SpecError
from tidegate.contract import AnalysisRequest, ReleaseRequest
from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import ManifestError
from tidegate.manifests.limits import (
    MAX_CONTAINERS,
    MAX_DEPTH,
    MAX_ENTRIES,
    MAX_EXPERIMENTS,
    MAX_METRICS,
    MAX_OBJECT_BYTES,
    MAX_STEPS,
    excesses,
)
from workflows.admission import parse_request

SECONDS = 2.0  # on a busy machine; what grew with the square of the input took minutes


def rollout(steps: Any = (), containers: Any = None, **metadata: Any) -> dict[str, Any]:
    pod = {"containers": containers or [{"name": "app", "image": "app:1"}]}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "checkout", **metadata},
        "spec": {
            "selector": {"matchLabels": {"app": "checkout"}},
            "template": {"metadata": {"labels": {"app": "checkout"}}, "spec": pod},
            "strategy": {"canary": {"steps": list(steps)}},
        },
    }


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def steps(count: int) -> list[dict[str, Any]]:
    return [{"setWeight": 1 + index % 99} for index in range(count)]


def containers(count: int) -> list[dict[str, Any]]:
    return [{"name": f"c{index}", "image": "app:1"} for index in range(count)]


def trials(count: int) -> list[dict[str, Any]]:
    templates = [{"name": f"t{index}", "specRef": "stable"} for index in range(count)]
    return [{"experiment": {"templates": templates}}]


def template(metrics: int) -> dict[str, Any]:
    prometheus = {"prometheus": {"address": "http://prometheus", "query": "up"}}
    found = [{"name": f"m{index}", "provider": prometheus} for index in range(metrics)]
    kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "rate"}}
    return {**kind, "spec": {"metrics": found}}


GIANTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "steps": (rollout(steps(10_000)), "spec.strategy.canary.steps", f"10000 steps are more than {MAX_STEPS}"),
    "containers": (
        rollout(containers=containers(5_000)),
        "spec.template.spec.containers",
        f"5000 containers are more than {MAX_CONTAINERS}",
    ),
    "experiments": (
        rollout(trials(500)),
        "spec.strategy.canary.steps[0].experiment.templates",
        f"500 templates are more than {MAX_EXPERIMENTS}",
    ),
    "nesting": (rollout(containers=[{"name": "app", "image": "app:1", "x": nested(400)}]), "", "nested deeper"),
    "deep nesting": (rollout(containers=[{"name": "app", "image": "app:1", "x": nested(50_000)}]), "", "nested deeper"),
    "size": (rollout(annotations={"note": "x" * MAX_OBJECT_BYTES}), "", "larger than 256 KiB"),
    "entries": (
        rollout(annotations={f"a{index}": "" for index in range(2_000)}),
        "metadata.annotations",
        f"2000 entries are more than {MAX_ENTRIES}",
    ),
    "metrics": (template(10_000), "spec.metrics", f"10000 metrics are more than {MAX_METRICS}"),
}


@pytest.mark.parametrize("kind", GIANTS)
def test_a_giant_is_refused_by_field_and_number_at_lint(kind: str) -> None:
    document, path, message = GIANTS[kind]
    begin = time.process_time()
    with pytest.raises(ManifestError) as refused:
        from_objects([document])
    assert time.process_time() - begin < SECONDS
    [finding] = refused.value.findings
    assert finding.code == "too-much"
    assert finding.path == path or not path
    assert message in finding.message


@pytest.mark.parametrize("kind", [kind for kind in GIANTS if kind != "metrics"])
def test_a_giant_is_refused_by_the_release_with_the_same_words_in_bounded_time(kind: str) -> None:
    document, path, message = GIANTS[kind]
    asked = request(name="checkout", rollout=document)
    begin = time.process_time()
    assert message in asked.excess()
    with pytest.raises(Exception, match=message) as refused:
        parse_request(asked)
    assert time.process_time() - begin < SECONDS
    assert path in str(refused.value)


def test_giant_templates_are_refused_by_the_release_and_by_the_run() -> None:
    document, path, message = GIANTS["metrics"]
    asked = request(name="checkout", templates=(document,))
    assert f"AnalysisTemplate 'rate': {path}: {message}" in asked.excess()
    assert "150 templates are more than 100" in request(name="checkout", templates=(template(1),) * 150).excess()
    alone = AnalysisRequest(namespace="payments", name="check", spec=document["spec"])
    assert message in alone.excess()
    with pytest.raises(SpecError, match=message):
        RunRules.of(document["spec"])


def test_what_is_too_much_together_is_refused() -> None:
    big = template(1) | {"metadata": {"name": "rate", "annotations": {"note": "x" * 200_000}}}
    assert "larger than 1024 KiB together" in request(name="checkout", templates=(big,) * 6).excess()


def test_what_people_write_is_far_from_the_limits() -> None:
    document = rollout(steps(MAX_STEPS), containers(MAX_CONTAINERS))
    assert not list(excesses(document))
    assert not request(name="checkout", rollout=document).excess()
    assert not list(excesses(template(MAX_METRICS)))
    assert not list(excesses(nested(MAX_DEPTH - 1)))
    assert from_objects([document]).rollout().model.canary.steps[MAX_STEPS - 1].set_weight is not None


@pytest.mark.parametrize(
    "name", ["", "../../x", "f0/scale", "f0?x=1", "f0#", "\u202ef0", "F0", "-f0", "f0.", "f" * 254]
)
def test_a_name_that_kubernetes_would_not_take_is_refused_by_field(name: str) -> None:
    for field in ("name", "namespace"):
        with pytest.raises(ValidationError, match=field):
            ReleaseRequest.model_validate({"namespace": "payments", "name": "checkout", "rollout": {}} | {field: name})
        if len(name) < 200:
            with pytest.raises(ValidationError, match=field):
                AnalysisRequest.model_validate({"namespace": "payments", "name": "check", "spec": {}} | {field: name})
