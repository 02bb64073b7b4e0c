"""Lint of experiment steps: what a release could not carry out is said before it starts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.manifests.test_lint import canary, changed
from tidegate.manifests.findings import Severity
from tidegate.manifests.lint import lint

STEP = "spec.strategy.canary.steps[1].experiment"
SOUND: dict[str, Any] = {
    "templates": [
        {"name": "baseline", "specRef": "stable", "weight": 20},
        {"name": "trial", "specRef": "canary", "weight": 20},
    ],
    "duration": "5m",
    "analyses": [{"name": "compare", "templateName": "checkout-canary-datadog"}],
}


def found(**fields: Any) -> list[tuple[Severity, str]]:
    """Severity and path of what lint says of an experiment after a setWeight of 60."""

    def steps(objects: dict[str, Any]) -> None:
        canary(objects)["steps"] = [{"setWeight": 60}, {"experiment": {**SOUND, **fields}}]

    every = [each for each in lint(changed(steps), complete=True) if each.path.startswith(STEP)]
    return [(each.severity, each.path.removeprefix(f"{STEP}.").removeprefix(STEP)) for each in every]


def template(**fields: Any) -> dict[str, Any]:
    return {"name": "trial", "specRef": "canary", **fields}


def test_a_sound_experiment_is_a_gate_with_nothing_to_say_about() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("templates", "path"),
    [
        ([], "templates"),
        ([template(name="")], "templates[0].name"),
        ([template(name="Trial_1")], "templates[0].name"),
        ([template(), template()], "templates[1].name"),
        ([template(specRef="newest")], "templates[0].specRef"),
        ([template(replicas=-1)], "templates[0].replicas"),
        ([template(weight=41)], "templates[0].weight"),
        ([template(weight=-1)], "templates[0].weight"),
        ([template(weight=30), template(name="other", weight=30)], "templates[1].weight"),
        ([template(weight=1, replicas=0)], "templates[0].weight"),
        ([template(selector={"matchLabels": {"side": "b"}})], "templates[0].selector"),
    ],
)
def test_templates_that_could_not_stand_are_refused(templates: list[dict[str, Any]], path: str) -> None:
    assert found(templates=templates) == [(Severity.ERROR, path)]


def test_a_selector_may_rest_on_labels_that_the_template_adds() -> None:
    labels = {"side": "b"}
    assert found(templates=[template(selector={"matchLabels": labels}, metadata={"labels": labels})]) == []


def test_a_duration_has_to_be_one() -> None:
    assert found(duration="5 minutes") == [(Severity.ERROR, "duration")]


def test_an_experiment_without_an_end_is_worth_a_warning() -> None:
    assert found(duration="") == [(Severity.WARNING, "")]
    required = {**SOUND["analyses"][0], "requiredForCompletion": True}
    assert found(duration="", analyses=[required]) == []


COMPARE = {"plugin": {"tidegate/compare": {"datadog": {"service": "checkout", "operation": "http.request"}}}}


@pytest.mark.parametrize(
    ("templates", "paths"),
    [
        (SOUND["templates"], []),
        ([template(weight=20)], ["analyses[0].templateName"]),
        ([*SOUND["templates"][:1], template(weight=10)], ["analyses[0].templateName"]),
        ([{"name": "baseline", "specRef": "stable"}, template()], ["analyses[0].templateName"]),
        ([*SOUND["templates"], template(name="another")], ["analyses[0].templateName"]),
    ],
)
def test_a_comparison_needs_two_templates_with_the_same_share(templates: list[Any], paths: list[str]) -> None:
    def steps(objects: dict[str, Any]) -> None:
        objects["AnalysisTemplate/checkout-canary-datadog"]["spec"]["metrics"] = [{"name": "m", "provider": COMPARE}]
        canary(objects)["steps"] = [{"setWeight": 60}, {"experiment": {**SOUND, "templates": templates}}]

    found = [each for each in lint(changed(steps), complete=True) if each.path.startswith(STEP)]
    assert [each.path.removeprefix(f"{STEP}.") for each in found if each.severity is Severity.ERROR] == paths


def test_the_templates_of_its_analyses_have_to_be_there() -> None:
    assert found(analyses=[{"name": "compare", "templateName": "nowhere"}]) == [
        (Severity.ERROR, "analyses[0].templateName")
    ]
