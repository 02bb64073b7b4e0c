"""Lint: a background analysis that ends before the steps do, and a weight at which nothing watches the version."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.manifests.test_lint import Change, Objects, canary, findings, sound
from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import Finding, Severity
from tidegate.manifests.lint import check_release

CODES = ("background-ends", "unwatched-weight")
BACKGROUND = "AnalysisTemplate/checkout-background-datadog"


def background(objects: Objects, **fields: Any) -> None:
    """Change both metrics of the background analysis."""
    for metric in objects[BACKGROUND]["spec"]["metrics"]:
        metric.update(fields)


def steps(objects: Objects, *wanted: dict[str, Any]) -> None:
    canary(objects)["steps"] = list(wanted)


def gate(objects: Objects) -> dict[str, Any]:
    step: dict[str, Any] = sound()["Rollout/checkout"]["spec"]["strategy"]["canary"]["steps"][2]
    return step


def warned(change: Change) -> list[Finding]:
    return [each for each in findings(change, Severity.WARNING) if each.code in CODES]


def weight(percent: int) -> dict[str, Any]:
    return {"setWeight": percent}


def pause(duration: str | None = None) -> dict[str, Any]:
    return {"pause": {"duration": duration} if duration else {}}


def test_a_count_ends_the_background_at_a_time_and_in_a_step_that_are_named() -> None:
    first, second = warned(lambda o: background(o, count=5))
    assert (first.code, first.path) == ("background-ends", "spec.metrics[0].count")
    assert first.object == BACKGROUND
    assert first.message.startswith(
        "error-rate of the background analysis of Rollout/checkout is over after 5 readings"
    )
    # 3 min of initialDelay and four intervals of 1 min; the pause and the gate before step 3 take 2 min and 5 min.
    assert "at the earliest 7m after it began, in step 4 (pause: 2m) of 10" in first.message
    assert "leave count out" in first.remedy
    assert second.message.startswith("p99-latency")


@pytest.mark.parametrize(
    "fields",
    [{"count": 500}, {"count": "{{args.canary-hash}}"}, {"interval": "{{args.canary-hash}}"}, {}],
    ids=["long enough", "count unknown", "interval unknown", "endless"],
)
def test_a_background_that_may_last_is_left_alone(fields: dict[str, Any]) -> None:
    assert warned(lambda o: background(o, **fields)) == []


def test_an_argument_with_a_value_is_filled_in() -> None:
    def change(objects: Objects) -> None:
        objects[BACKGROUND]["spec"]["args"].append({"name": "often", "value": "2"})
        background(objects, count="{{args.often}}")

    assert [each.code for each in warned(change)] == ["background-ends"] * 2
    assert "in step 2 (analysis)" in warned(change)[0].message


def test_a_streak_ends_the_background_too() -> None:
    found = warned(lambda o: background(o, consecutiveSuccessLimit=3))
    assert [each.path for each in found] == [f"spec.metrics[{index}].consecutiveSuccessLimit" for index in (0, 1)]


def test_a_metric_without_interval_is_read_once() -> None:
    def change(objects: Objects) -> None:
        for metric in objects[BACKGROUND]["spec"]["metrics"]:
            del metric["interval"]

    assert "over after 1 reading:" in warned(change)[0].message


def test_a_pause_for_a_person_outlasts_every_count() -> None:
    def change(objects: Objects) -> None:
        background(objects, count=600)
        steps(objects, weight(10), pause("1m"), pause(), weight(50), gate(objects), weight(100))

    assert "in step 2 (pause) of 6" in warned(change)[0].message


def test_time_before_the_background_begins_does_not_count() -> None:
    def change(objects: Objects) -> None:
        canary(objects)["analysis"]["startingStep"] = 3
        background(objects, count=20)
        steps(objects, weight(10), gate(objects), pause("1h"), weight(50), pause("20m"), weight(100))

    assert warned(change) == []


def test_weights_without_gate_and_background_are_named_in_one_warning_at_the_first() -> None:
    def change(objects: Objects) -> None:
        del canary(objects)["analysis"]
        steps(
            objects,
            weight(10),
            gate(objects),
            weight(25),
            pause("5m"),
            weight(50),
            pause("5m"),
            weight(75),
            weight(100),
        )

    [found] = warned(change)
    assert (found.code, found.path) == ("unwatched-weight", "spec.strategy.canary.steps[2].setWeight")
    assert "at 25 % (step 2), 50 % (step 4)" in found.message, "75 % is over at once"


def test_what_the_seed_does_is_both() -> None:
    def change(objects: Objects) -> None:
        background(objects, count=5, initialDelay="60s")
        steps(objects, weight(10), pause("2m"), gate(objects), weight(25), pause("5m"), weight(50), pause("5m"))

    assert [each.code for each in warned(change)] == ["background-ends", "background-ends", "unwatched-weight"]


def test_a_background_that_begins_later_leaves_the_weights_before_it() -> None:
    def change(objects: Objects) -> None:
        canary(objects)["analysis"]["startingStep"] = 2
        steps(objects, weight(10), pause("5m"), weight(50), pause("5m"), weight(100))

    [found] = warned(change)
    assert "at 10 % (step 0)" in found.message


def test_an_analysis_of_an_experiment_is_a_gate() -> None:
    def change(objects: Objects) -> None:
        del canary(objects)["analysis"]
        analysis = {"name": "a", "templateName": "checkout-canary-datadog", "args": gate(objects)["analysis"]["args"]}
        template = {"name": "canary", "specRef": "canary"}
        experiment = {"experiment": {"templates": [template], "analyses": [analysis], "duration": "5m"}}
        steps(objects, weight(10), experiment, weight(100))

    assert warned(change) == []


def test_a_template_that_is_not_at_hand_may_watch() -> None:
    def change(objects: Objects) -> None:
        del objects[BACKGROUND]
        steps(objects, weight(10), pause("5m"), weight(100))

    assert warned(change) == []


def test_without_any_analysis_that_alone_is_said() -> None:
    def change(objects: Objects) -> None:
        del canary(objects)["analysis"]
        steps(objects, weight(10), pause("5m"), weight(100))

    assert warned(change) == []
    assert "no-gate" in {each.code for each in findings(change, Severity.WARNING)}


def test_a_release_that_starts_is_warned_as_well() -> None:
    objects = sound()
    background(objects, count=5)
    loaded = from_objects(objects.values())
    templates = [each.raw for each in loaded.templates]
    found = check_release(loaded.rollout().raw, templates, {}, {})
    assert [each.code for each in found].count("background-ends") == 2


def test_an_endless_background_outlasts_a_pause_for_a_person() -> None:
    assert warned(lambda o: steps(o, weight(10), pause(), weight(50), pause("1h"), weight(100))) == []
