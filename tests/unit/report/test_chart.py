"""What a picture of a release shows."""

from __future__ import annotations

import json

import pytest

from tests.unit.report.accounts import BESIDE, GATE, at, gate, measured, metric, release, weight
from tidegate.analysis.status import Measurement, Phase
from tidegate.contract import Limit, LimitKind
from tidegate.report.chart import chart_of


def test_each_metric_of_each_gate_is_a_curve_with_its_limits() -> None:
    found = metric(
        measured(2, "0.2", Phase.FAILED),
        measured(3, "[0.001]", Phase.SUCCESSFUL),
        success_condition="result[0] < 0.01",
        failure_condition="result[0] > 0.05 || isNaN(result[0])",
    )
    beside = metric(measured(1, "7", Phase.SUCCESSFUL), name="latency", success_condition="result <= 400")
    runs = (gate(Phase.FAILED, found), gate(Phase.RUNNING, beside, name=BESIDE))
    chart = chart_of(release(*runs, weights=(weight(0, 10), weight(5, 0))))
    assert chart is not None
    first, second = chart.curves
    assert (first.gate, first.metric) == (GATE, "error-rate")
    assert [(point.at, point.value, point.verdict) for point in first.points] == [
        (at(2), 0.2, Phase.FAILED),
        (at(3), 0.001, Phase.SUCCESSFUL),
    ]
    assert first.limits == (Limit(text="success: result[0] < 0.01", value=0.01, kind=LimitKind.SUCCESS),)
    assert second.limits == (Limit(text="success: result <= 400", value=400.0, kind=LimitKind.SUCCESS),)
    assert chart.weights == ((at(0), 10), (at(5), 0))


@pytest.mark.parametrize("text", ["", "[]", "no data", "true", '{"a": 1}', "NaN", "1e999", "["])
def test_what_is_no_number_is_a_point_without_a_value(text: str) -> None:
    chart = chart_of(release(gate(Phase.RUNNING, metric(measured(2, text, Phase.ERROR)))))
    assert chart is not None
    assert chart.curves[0].points[0].value is None


def test_without_a_reading_there_is_nothing_to_draw() -> None:
    assert chart_of(release(gate(Phase.RUNNING, metric()))) is None


def evidence(*numbers: tuple[str, float, float, float, float, float, float]) -> str:
    keys = ("name", "canary", "canary_bad", "stable", "stable_bad", "harm", "proof")
    limits = {"harm_limit": 4.6, "proof_limit": 3.0, "margin": {"times": 1.25, "plus": 0.001}}
    return json.dumps([{**dict(zip(keys, each, strict=True)), **limits} for each in numbers])


def compared(minute: float, *numbers: tuple[str, float, float, float, float, float, float]) -> Measurement:
    metadata = {"ruling": "wait", "event": numbers[0][0], "evidence": evidence(*numbers)}
    return measured(minute, "Not yet.", Phase.RUNNING).model_copy(update={"metadata": metadata})


def test_a_comparison_is_drawn_from_reading_to_reading() -> None:
    readings = (
        compared(1, ("errors", 100, 1, 900, 9, 0, 1), ("slow90", 100, 10, 900, 90, 0, 2)),
        compared(2, ("errors", 300, 2, 2100, 15, 0.5, 2), ("slow90", 100, 10, 900, 90, 0, 2)),
    )
    chart = chart_of(release(gate(Phase.RUNNING, metric(*readings, name="as-good"))))
    assert chart is not None
    assert chart.curves == (), "its sentence is no number"
    [found] = chart.comparisons
    errors, slow = found.events
    assert (found.gate, found.metric, errors.name, errors.times, errors.plus) == (GATE, "as-good", "errors", 1.25, 0.1)
    assert [(point.at, point.canary, point.stable) for point in errors.points] == [(at(1), 1.0, 1.0), (at(2), 0.5, 0.5)]
    assert [(point.harm, point.proof) for point in errors.points] == [(0, 1), (0.5, 2)]
    assert (slow.points[1].canary, slow.points[1].stable) == (None, None), "no requests since the reading before"


def test_once_stable_has_no_requests_its_hour_is_drawn() -> None:
    readings = (compared(1, ("errors", 100, 1, 900, 9, 0, 0)), compared(2, ("errors", 300, 2, 900, 9, 0, 0)))
    chart = chart_of(release(gate(Phase.RUNNING, metric(*readings))))
    assert chart is not None
    points = chart.comparisons[0].events[0].points
    assert [(point.canary, point.stable) for point in points] == [(1.0, 1.0), (0.5, 1.0)]


def test_an_event_that_is_taken_for_harm_is_shown_first() -> None:
    reading = compared(1, ("errors", 100, 1, 900, 9, 0, 1), ("slow90", 100, 90, 900, 90, 5.0, 0))
    chart = chart_of(release(gate(Phase.FAILED, metric(reading))))
    assert chart is not None
    assert [event.name for event in chart.comparisons[0].events] == ["slow90", "errors"]
