"""What a picture of a release shows."""

from __future__ import annotations

import pytest

from tests.unit.report.accounts import BESIDE, GATE, at, gate, measured, metric, release, weight
from tidegate.analysis.status import Phase
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
