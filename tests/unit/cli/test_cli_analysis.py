"""An analysis run drawn, and what is told of it between two looks, at fixed times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.text import Text

from tidegate.analysis.status import AnalysisStatus, Measurement, MetricStatus, Phase
from tidegate.cli.analysis import analysis_view, measurements_since
from tidegate.cli.listing import run_table
from tidegate.cli.verdicts import run_code
from tidegate.client import AnalysisSummary

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def text(lines: list[Text]) -> str:
    return "\n".join(line.plain for line in lines)


def measurement(minute: int, value: str, phase: Phase = Phase.SUCCESSFUL, **more: Any) -> Measurement:
    began = START + timedelta(minutes=minute)
    fields = {"query": "errors / hits", "finished_at": began + timedelta(seconds=0.4), "reason": f"{value} it is"}
    return Measurement(phase=phase, value=value, started_at=began, **{**fields, **more})


def metric(*measurements: Measurement, **more: Any) -> MetricStatus:
    fields = {"name": "error-rate", "phase": Phase.RUNNING, "count": len(measurements)}
    return MetricStatus(measurements=measurements, **{**fields, **more})


def run(*metrics: MetricStatus, **more: Any) -> AnalysisStatus:
    return AnalysisStatus(name="check-1", metrics=metrics, **{"phase": Phase.RUNNING, "started_at": START, **more})


def test_a_run_shows_conditions_limit_query_and_every_measurement() -> None:
    failed = metric(
        measurement(1, "0.001"),
        measurement(2, "0.07", Phase.FAILED),
        phase=Phase.FAILED,
        successful=1,
        failed=1,
        exceeded="failed (1) > failureLimit (0)",
        success_condition="result < 0.01",
        failure_condition="result >= 0.05",
    )
    dry = MetricStatus(name="p99-latency", phase=Phase.RUNNING, dry_run=True, inconclusive=2)
    assert text(analysis_view(run(failed, dry), START + timedelta(minutes=3))) == (
        """\
Name:            check-1
Status:          ◌ Running
Started:         2026-03-01 12:00:00 UTC (3m ago)
Measurements:    ✔ 1,✖ 1,? 2

error-rate  ✖ Failed  ✔ 1,✖ 1
  limit: failed (1) > failureLimit (0)
  success: result < 0.01
  failure: result >= 0.05
  query:
    errors / hits
  12:01:00 - 12:01:00 (0.4s)  ✔ Successful  0.001  0.001 it is
  12:02:00 - 12:02:00 (0.4s)  ✖ Failed      0.07   0.07 it is

p99-latency  ◌ Running  ? 2  (dry run)"""
    )


def test_a_query_that_changes_stands_below_each_measurement_with_its_metadata() -> None:
    changing = metric(
        measurement(1, "1", query="sum:hits{a}\n.as_count()", metadata={"groups": "env:prod 1\nenv:test 0"}),
        measurement(2, "2", query="sum:hits{b}"),
    )
    drawn = text(analysis_view(run(changing), START))
    assert (
        """\
  12:01:00 - 12:01:00 (0.4s)  ✔ Successful  1  1 it is
    query:
      sum:hits{a}
      .as_count()
    groups: env:prod 1
      env:test 0
  12:02:00 - 12:02:00 (0.4s)  ✔ Successful  2  2 it is
    query:
      sum:hits{b}"""
        in drawn
    )


def test_a_measurement_under_way_says_when_it_is_asked_again() -> None:
    pending = measurement(
        1, "", Phase.RUNNING, finished_at=None, reason="", resume_at=START + timedelta(minutes=1, seconds=10)
    )
    assert "12:01:00 and still running, asked again at 12:01:10  ◌ Running" in text(
        analysis_view(run(metric(pending)), START)
    )


def test_what_a_provider_sends_cannot_speak_to_the_terminal() -> None:
    drawn = text(analysis_view(run(metric(measurement(1, "\x1b]0;owned\x07"))), START))
    assert "\x1b" not in drawn
    assert "�]0;owned�" in drawn


def test_only_new_measurements_are_told_and_a_rate_limit_once() -> None:
    first, second = measurement(1, "1"), measurement(2, "2")
    unfinished = measurement(3, "", Phase.RUNNING, finished_at=None)
    before = run(metric(first, count=1))
    until = START + timedelta(minutes=9)
    after = run(metric(first, second, unfinished, count=2), rate_limited_until=until)
    assert [line.plain for line in measurements_since(None, before)] == [
        "12:01:00 - 12:01:00 (0.4s)  error-rate  ✔ Successful  1  1 it is"
    ]
    assert [line.plain for line in measurements_since(before, after)] == [
        "12:02:00 - 12:02:00 (0.4s)  error-rate  ✔ Successful  2  2 it is",
        "⚠ a rate limit makes the run wait until 12:09:00 UTC",
    ]
    assert measurements_since(after, after) == []


def test_measurements_of_all_metrics_are_told_in_the_order_of_their_times() -> None:
    late = metric(measurement(2, "2"), name="late")
    early = metric(measurement(1, "1"), name="early", dry_run=True)
    told = [line.plain.split()[4:6] for line in measurements_since(None, run(late, early))]
    assert told == [["early", "(dry"], ["late", "✔"]]


@pytest.mark.parametrize(
    ("phase", "code"),
    [
        (Phase.SUCCESSFUL, 0),
        (Phase.ERROR, 1),
        (Phase.FAILED, 2),
        (Phase.INCONCLUSIVE, 3),
        (Phase.RUNNING, 4),
        (Phase.PENDING, 4),
    ],
)
def test_exit_code_of_a_run(phase: Phase, code: int) -> None:
    assert run_code(run(phase=phase)) == code


def test_a_listing_says_whose_gate_a_run_is_and_what_temporal_knows_of_a_silent_one() -> None:
    def summary(name: str, **more: Any) -> AnalysisSummary:
        return AnalysisSummary(
            cluster="default",
            namespace="payments",
            name=name,
            workflow_id=f"analysis/default/payments/{name}",
            run_id="1",
            started_at=START,
            **more,
        )

    gate = summary("checkout-abc-2", state="Completed", release_id="rollout/default/payments/checkout")
    rows = [(summary("check-1", state="Running"), None), (gate, run(metric(successful=3), phase=Phase.SUCCESSFUL))]
    assert text(run_table(rows, START + timedelta(seconds=90), namespaces=True)) == (
        """\
NAMESPACE  NAME            STATUS        MEASUREMENTS  AGE  RELEASE
payments   check-1         ◌ Running     -             90s  -
payments   checkout-abc-2  ✔ Successful  ✔ 3           90s  checkout"""
    )
