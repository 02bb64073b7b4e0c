"""Laws of verdicts, for any metric and any readings."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.unit.analysis.scripted import START, metric, only, play
from tidegate.analysis.metric import PATIENCE
from tidegate.analysis.rules import RunRules
from tidegate.analysis.run import Run
from tidegate.analysis.status import AnalysisStatus, Phase

WORST_LAST = (Phase.SUCCESSFUL, Phase.INCONCLUSIVE, Phase.ERROR, Phase.FAILED)
LONG = 60  # passes: enough for every count here

conclusive = st.lists(st.sampled_from("SF"), min_size=1, max_size=8)
any_readings = st.lists(st.sampled_from("SFIEN"), min_size=1, max_size=12)
laws = settings(max_examples=30, deadline=None)
small = st.integers(min_value=0, max_value=4)


@st.composite
def metrics(
    draw: st.DrawFn, name: str = "m", *, endless: bool = True, streaks: st.SearchStrategy[int] = small
) -> dict[str, Any]:
    """A metric that is valid whatever its limits are."""
    counts = st.integers(min_value=9, max_value=12)
    streak = draw(streaks)
    fields: dict[str, Any] = {
        "count": draw(st.none() | counts if endless else counts),
        "failureLimit": draw(small | st.just(-1) if streak else small),
        "inconclusiveLimit": draw(st.none() | small),
        "consecutiveErrorLimit": draw(st.none() | small),
        "consecutiveSuccessLimit": streak,
        "initialDelay": draw(st.sampled_from(["", "30s", "5m"])),
    }
    return metric(name, **{key: value for key, value in fields.items() if value is not None})


@laws
@given(conclusive, small, st.randoms(use_true_random=False))
def test_the_order_of_measurements_does_not_matter_to_a_limit(letters: list[str], limit: int, random: Any) -> None:
    spec = {"metrics": [metric(count=len(letters), failureLimit=min(limit, len(letters)))]}
    shuffled = random.sample(letters, len(letters))
    assert play(spec, {"m": letters}).status.phase is play(spec, {"m": shuffled}).status.phase
    expected = Phase.FAILED if letters.count("F") > min(limit, len(letters)) else Phase.SUCCESSFUL
    assert play(spec, {"m": letters}).status.phase is expected


@laws
@given(metrics(), st.lists(st.sampled_from("EN"), min_size=1, max_size=12))
def test_neither_errors_nor_the_absence_of_data_ever_make_a_success(wanted: dict[str, Any], letters: list[str]) -> None:
    run = play({"metrics": [wanted]}, {"m": letters})
    assert run.status.phase is not Phase.SUCCESSFUL
    assert only(run).successful == 0


@laws
@given(conclusive, st.data())
def test_errors_within_their_limit_change_no_verdict(letters: list[str], data: st.DataObject) -> None:
    spec = {"metrics": [metric(count=len(letters), consecutiveErrorLimit=2)]}
    disturbed = [letter for each in letters for letter in (*data.draw(st.sampled_from([(), ("E",), ("E", "E")])), each)]
    calm, shaken = play(spec, {"m": letters}).status, play(spec, {"m": disturbed}).status
    assert (calm.phase, calm.metrics[0].count) == (shaken.phase, shaken.metrics[0].count)


@laws
@given(metrics(streaks=st.just(0)), any_readings, any_readings)
def test_a_worse_reading_never_makes_a_better_verdict(
    wanted: dict[str, Any], earlier: list[str], later: list[str]
) -> None:
    good, bad = (play({"metrics": [wanted]}, {"m": [*earlier, letter, *later]}).status for letter in "SF")
    if good.phase.completed:
        assert WORST_LAST.index(bad.phase) >= WORST_LAST.index(good.phase)


@laws
@given(st.lists(metrics("a"), min_size=1, max_size=1), metrics("dry", endless=False), st.data())
def test_a_dry_run_never_changes_the_outcome(
    wanted: list[dict[str, Any]], dry: dict[str, Any], data: st.DataObject
) -> None:
    script = {"a": data.draw(any_readings), "dry": [*data.draw(any_readings), "S"]}
    alone = play({"metrics": wanted}, script, passes=LONG).status
    watched = play({"metrics": [*wanted, dry], "dryRun": [{"metricName": "dry"}]}, script, passes=2 * LONG).status
    assume(alone.phase.completed)
    assert (watched.phase, watched.message) == (alone.phase, alone.message)
    assert watched.run_summary == alone.run_summary


@laws
@given(st.tuples(metrics("a"), metrics("b")), any_readings, any_readings)
def test_the_worst_metric_decides(wanted: tuple[dict[str, Any], ...], a: list[str], b: list[str]) -> None:
    run = play({"metrics": list(wanted)}, {"a": a, "b": b})
    assume(run.over)
    phases = [m.phase for m in run.status.metrics if m.phase.completed]
    assert run.status.phase is max(phases, key=WORST_LAST.index)


@laws
@given(st.tuples(metrics("a"), metrics("b")), any_readings, any_readings)
def test_a_run_may_be_written_down_and_taken_up_again_at_any_moment(
    wanted: tuple[dict[str, Any], ...], a: list[str], b: list[str]
) -> None:
    def stored(status: AnalysisStatus) -> AnalysisStatus:
        return AnalysisStatus.model_validate_json(status.model_dump_json())

    spec, script = {"metrics": list(wanted)}, {"a": a, "b": b}
    assert play(spec, script, carry=stored).status == play(spec, script).status


@laws
@given(metrics(), any_readings, st.integers(min_value=1, max_value=5))
def test_what_is_forgotten_still_counts(wanted: dict[str, Any], letters: list[str], kept: int) -> None:
    spec = {"metrics": [wanted]}
    short = {**spec, "measurementRetention": [{"metricName": "m", "limit": kept}]}
    full, brief = only(play(spec, {"m": letters})), only(play(short, {"m": letters}))
    assert len(brief.measurements) <= kept
    assert brief == full.model_copy(update={"measurements": full.measurements[-kept:]})


@laws
@given(metrics(), any_readings)
def test_counters_add_up_and_a_completed_run_wants_nothing_more(wanted: dict[str, Any], letters: list[str]) -> None:
    run = play({"metrics": [wanted]}, {"m": letters})
    counted = only(run)
    assert counted.count == counted.successful + counted.failed + counted.inconclusive
    assert counted.consecutive_error <= counted.error
    assert counted.consecutive_success <= counted.successful
    assert run.over == (run.next_due() is None)
    assert run.over == (run.status.completed_at is not None)


@laws
@given(metrics(), any_readings, st.integers(min_value=0, max_value=10))
def test_an_end_that_is_asked_for_comes_at_once_and_stands(
    wanted: dict[str, Any], letters: list[str], passes: int
) -> None:
    run = play({"metrics": [wanted]}, {"m": letters}, passes=passes)
    before = only(run)
    run.terminate(START)
    ended = run.status
    assert ended.phase.completed
    assert only(run).count == before.count
    run.terminate(START)
    run.record([], START)
    assert run.status == ended


@laws
@given(metrics(), st.lists(st.sampled_from("IEN"), min_size=1, max_size=5), st.integers(min_value=0, max_value=5))
def test_without_a_limit_an_end_before_any_evidence_is_no_success(
    wanted: dict[str, Any], letters: list[str], passes: int
) -> None:
    wanted.pop("inconclusiveLimit", None)
    run = play({"metrics": [wanted]}, {"m": letters}, passes=passes)
    run.terminate(START)
    assert run.status.phase in (Phase.INCONCLUSIVE, Phase.ERROR)
    assert run.status.message


@laws
@given(st.integers(min_value=1, max_value=4), any_readings)
def test_without_a_limit_the_band_uses_up_no_count_and_has_an_end(count: int, letters: list[str]) -> None:
    status = only(
        play({"metrics": [metric(count=count, failureLimit=count, consecutiveErrorLimit=12)]}, {"m": letters})
    )
    assume(status.phase is not Phase.ERROR)
    assert status.phase.completed
    assert status.count <= PATIENCE * count
    enough = status.successful + status.failed == count
    assert status.phase is (Phase.SUCCESSFUL if enough else Phase.INCONCLUSIVE)
    assert enough or status.count == PATIENCE * count


@laws
@given(st.tuples(metrics("a"), metrics("b")))
def test_metrics_that_come_due_together_are_measured_together(wanted: tuple[dict[str, Any], ...]) -> None:
    rules = RunRules.of({"metrics": list(wanted)})
    run = Run.begin("run", rules, START)
    due = run.next_due()
    assert due is not None
    first = {rule.name for rule in run.due(due)}
    earliest = min(rule.initial_delay for rule in rules.metrics)
    assert first == {rule.name for rule in rules.metrics if rule.initial_delay == earliest}
