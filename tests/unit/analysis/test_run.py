"""The turns of a run: who is measured when, what ends it, what is said of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.analysis.scripted import START, metric, only, play
from tidegate.analysis.reading import Reading
from tidegate.analysis.rules import RunRules
from tidegate.analysis.run import Run
from tidegate.analysis.status import Phase, Summary


def ended(letters: str, passes: int = 60, **fields: object) -> Run:
    """The run of one metric; the last letter repeats."""
    return play({"metrics": [metric(interval="1s", **fields)]}, {"m": letters}, passes=passes)


def begin(*metrics: dict[str, object], **spec: object) -> Run:
    return Run.begin("run", RunRules.of({"metrics": list(metrics), **spec}), START)


def reading(run: Run, name: str = "m", **fields: object) -> Reading:
    at = run.status.started_at
    return Reading.model_validate({"metric": name, "result": 0.0, "started_at": at, "finished_at": at, **fields})


def test_a_run_begins_with_nothing_measured() -> None:
    run = begin(metric(count=2))
    assert (run.status.phase, only(run).phase) == (Phase.RUNNING, Phase.PENDING)
    assert [rule.name for rule in run.due(START)] == ["m"]
    assert not run.over


def test_the_interval_has_passed_only_when_the_time_is_later() -> None:
    run = begin(metric(interval="1s", count=2))
    run.record([reading(run)], START)
    due = run.next_due()
    assert due is not None
    assert START + timedelta(seconds=1) < due <= START + timedelta(seconds=1, milliseconds=1)
    assert not run.due(START + timedelta(seconds=1))


def test_metrics_that_drifted_apart_can_be_waited_for() -> None:
    run = begin(metric("a", interval="1s"), metric("b", interval="1200ms"), metric("c", interval="9s"))
    run.record([reading(run, name) for name in "abc"], START)
    assert run.next_due() == START + timedelta(seconds=1, microseconds=1)
    together = run.next_due(within=timedelta(seconds=1))
    assert together == START + timedelta(milliseconds=1200, microseconds=1)
    assert [rule.name for rule in run.due(together)] == ["a", "b"]


def test_a_reading_of_something_else_is_ignored() -> None:
    run = begin(metric())
    run.record([reading(run, "stranger")], START)
    assert only(run).count == 0


def test_what_is_over_stays_as_it_is() -> None:
    run = begin(metric(count=1))
    run.record([reading(run)], START)
    before = run.status
    run.terminate(START + timedelta(hours=1))
    assert run.status == before
    assert (run.due(START + timedelta(days=1)), run.next_due()) == ([], None)


def test_a_missing_secret_ends_the_run_without_a_completion_time() -> None:
    run = begin(metric())
    run.record([reading(run, error="Unable to resolve metric arguments: gone", unresolved=True)], START)
    assert (run.status.phase, run.status.completed_at) == (Phase.ERROR, None)
    assert run.status.message == "Unable to resolve metric arguments: gone"


def test_a_measurement_under_way_is_asked_again_and_counts_once() -> None:
    run = begin(metric(count=1))
    later = START + timedelta(seconds=30)
    run.record([reading(run, resume_at=later)], START)
    assert (only(run).count, only(run).measurements[0].phase) == (0, Phase.RUNNING)
    assert (run.next_due(), run.due(START), len(run.due(later))) == (later, [], 1)
    run.record([reading(run, finished_at=later)], later)
    [measurement] = only(run).measurements
    assert (measurement.started_at, measurement.finished_at, measurement.phase) == (START, later, Phase.SUCCESSFUL)
    assert (only(run).count, run.status.phase) == (1, Phase.SUCCESSFUL)


def test_a_rate_limit_shows_until_the_next_reading() -> None:
    run = begin(metric())
    run.rate_limited(START + timedelta(minutes=1))
    assert run.status.rate_limited_until == START + timedelta(minutes=1)
    run.record([reading(run)], START)
    assert run.status.rate_limited_until is None


@pytest.mark.parametrize(("limit", "kept"), [(0, 10), (-1, 10), (3, 3), (30, 30), (10_000, 100)])
def test_the_newest_measurements_are_kept_and_all_are_counted(limit: int, kept: int) -> None:
    retention = [{"metricName": "^m$", "limit": limit}]
    run = play({"metrics": [metric(count=120)], "measurementRetention": retention}, {"m": "S"}, passes=200)
    assert (len(only(run).measurements), only(run).count) == (kept, 120)


def test_a_reading_between_the_conditions_is_one_more_look() -> None:
    run = ended("ISIS", count=2)
    assert (run.status.phase, only(run).inconclusive, only(run).successful) == (Phase.SUCCESSFUL, 2, 2)


def test_patience_ends_after_three_readings_for_each_that_is_wanted() -> None:
    run = ended("SI", count=2)
    assert (run.status.phase, only(run).count) == (Phase.INCONCLUSIVE, 6)
    assert run.status.message == 'Metric "m" assessed Inconclusive due to conclusive (1) < count (2) after 6 readings'
    assert run.status.run_summary == Summary(count=1, inconclusive=1)


def test_patience_is_not_tried_by_a_streak_that_comes_at_the_last_moment() -> None:
    run = ended("NNNNS", count=2, consecutiveSuccessLimit=2)
    assert (run.status.phase, only(run).count) == (Phase.SUCCESSFUL, 6)


def test_a_failure_beats_lost_patience() -> None:
    assert ended("IIIIIF", count=2).status.phase is Phase.FAILED


def test_a_metric_without_count_is_patient_for_ever() -> None:
    run = ended("I", passes=50)
    assert (run.status.phase, only(run).count) == (Phase.RUNNING, 50)


@pytest.mark.parametrize(
    ("letters", "phase"), [("I", Phase.INCONCLUSIVE), ("EN", Phase.INCONCLUSIVE), ("IS", Phase.SUCCESSFUL)]
)
def test_an_end_without_a_conclusive_reading_proves_nothing(letters: str, phase: Phase) -> None:
    run = ended(letters, passes=3)
    run.terminate(START + timedelta(hours=1))
    assert run.status.phase is phase
    said = 'Metric "m" assessed Inconclusive due to no conclusive reading'
    assert run.status.message == ("Run Terminated" if phase is Phase.SUCCESSFUL else said)


def test_an_end_before_anything_was_measured_proves_nothing() -> None:
    run = begin(metric(initialDelay="1h"))
    run.terminate(START)
    assert (run.status.phase, run.status.message) == (
        Phase.INCONCLUSIVE,
        "Run Terminated before anything was measured",
    )


def test_under_argos_rule_an_end_is_a_success_unless_a_limit_was_passed() -> None:
    run = begin(metric(initialDelay="1h", inconclusiveLimit=0))
    run.terminate(START)
    assert (run.status.phase, run.status.message) == (Phase.SUCCESSFUL, "Run Terminated")


@pytest.mark.parametrize(("provider", "phase"), [("datadog", Phase.SUCCESSFUL), ("job", Phase.INCONCLUSIVE)])
def test_under_argos_rule_a_job_that_is_stopped_has_proved_nothing(provider: str, phase: Phase) -> None:
    run = begin(metric(inconclusiveLimit=0, provider={provider: {}}))
    run.record([reading(run, resume_at=START + timedelta(minutes=1), metadata={"job-name": "m-1"})], START)
    run.terminate(START)
    [stopped] = only(run).measurements
    assert (run.status.phase, stopped.phase, stopped.message) == (phase, phase, "Metric Terminated")
    assert stopped.metadata == {"job-name": "m-1"}


def test_a_single_look_without_interval_is_repeated_after_ten_seconds() -> None:
    run = begin(metric(interval=""))
    run.record([reading(run, result=0.5)], START)
    assert run.next_due() == START + timedelta(seconds=10, microseconds=1)


def test_an_inconclusive_limit_of_zero_is_argos_rule() -> None:
    run = ended("I", count=2, inconclusiveLimit=0)
    said = 'Metric "m" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0)'
    assert (run.status.message, only(run).count) == (said, 1)


@pytest.mark.parametrize("changes", [{"metrics": ()}, {"started_at": None}])
def test_a_run_goes_on_only_from_a_status_of_its_own(changes: dict[str, object]) -> None:
    status = begin(metric()).status
    rules = RunRules.of({"metrics": [metric()]})
    assert Run.resume(rules, status).status == status
    with pytest.raises(ValueError, match="not one of a run with these metrics"):
        Run.resume(rules, status.model_copy(update=changes))


def test_what_a_provider_says_is_cut_to_what_a_history_can_hold() -> None:
    run = begin(metric(count=1, successCondition="false"))
    long = "x" * 100_000
    run.record([reading(run, value=long, query=long, notes=(long,), metadata={"groups": long})], START)
    assert len(run.status.model_dump_json()) < 40_000
    assert only(run).measurements[0].value.endswith("…")


@pytest.mark.parametrize(
    ("letters", "fields", "unread"),
    [
        ("", {}, True),
        ("E", {}, True),
        ("N", {}, True),
        ("I", {}, True),
        ("I", {"inconclusiveLimit": 5}, False),
        ("E", {"inconclusiveLimit": 5}, True),
        ("S", {}, False),
        ("F", {"failureLimit": 3}, False),
        ("ES", {}, False),
        ("EEEEE", {}, False),
        ("", {"initialDelay": "1h"}, False),
    ],
)
def test_before_a_verdict_a_metric_without_a_conclusive_reading_is_read_again(
    letters: str, fields: dict[str, object], unread: bool
) -> None:
    run = ended(letters, passes=len(letters), **fields) if letters else begin(metric(**fields))
    assert [rule.name for rule in run.unread(START + timedelta(minutes=10))] == (["m"] if unread else [])


def test_what_the_provider_is_at_work_on_or_counts_for_nothing_is_not_read_again() -> None:
    run = begin(metric("a"), metric("b"), metric("dry"), dryRun=[{"metricName": "dry"}])
    run.record([reading(run, "a", resume_at=START + timedelta(minutes=1))], START)
    assert [rule.name for rule in run.unread(START)] == ["b"]
