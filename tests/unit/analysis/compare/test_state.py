"""Readings: in any order, again and again, late and corrected, over a restart, and after a long silence."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.analysis.compare.traffic import WEIGHT, hour, row, rows, wanted
from tidegate.analysis.compare.evidence import EventEvidence, Evidence
from tidegate.analysis.compare.fold import begin, fold
from tidegate.analysis.compare.judge import judge
from tidegate.analysis.compare.models import CountRow, Counts, DecisionPoint, Weight
from tidegate.analysis.compare.state import ComparisonState, open_state, read, table, weight_at

WANTED = wanted(min_bake=60)
NUMBER = 45
END = 10 * NUMBER
WEIGHTS = [Weight(since=0, share=0.25), Weight(since=200, share=0.25, index=1, last=True)]


def opened() -> ComparisonState:
    return open_state(WANTED, hour(), None, 0)


def straight(truth: Iterable[CountRow]) -> tuple[EventEvidence, ...]:
    """Evidence of all rows, each folded once in order of time."""
    known = begin(WANTED, hour())
    for one in truth:
        known = fold(WANTED, known, one, weight_at(WEIGHTS, one.start, one.start + 10))
    return known.events


def test_each_bucket_counts_once_and_in_order() -> None:
    truth = rows(1, NUMBER)
    state = opened()
    for now in range(10, END + 310, 10):
        state, evidence = read(WANTED, state, [one for one in truth if one.start + 10 <= now], WEIGHTS, now)
        assert evidence.events == straight(truth[: max(0, (now - 60) // 10)])
    assert state.checkpoint.events == straight(truth)
    assert state.table.rows == ()


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 100), st.data())
def test_any_order_and_any_repetition_of_readings_say_the_same(seed: int, data: st.DataObject) -> None:
    truth, draw = rows(seed, NUMBER, load=5), random.Random(data.draw(st.integers(0, 1000)))
    arrives = {one.start: one.start + draw.randint(10, 300) for one in truth}
    state, now = opened(), 0
    while now < END + 310:
        now = min(END + 310, now + draw.choice([10, 20, 60]))
        seen = [one for one in truth if arrives[one.start] <= now and draw.random() < 0.7]
        older = [one for one in truth if arrives[one.start] <= now and one.start + 310 <= now + 60]
        again = [*seen, *older, *draw.choices([*seen, *older], k=3)] if seen or older else []
        draw.shuffle(again)
        state, _ = read(WANTED, state, again, WEIGHTS, now)
    assert state.checkpoint.events == straight(truth)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 100), st.integers(0, 1000))
def test_corrections_give_what_the_corrected_counts_give(seed: int, chance: int) -> None:
    truth, draw = rows(seed, NUMBER, load=5), random.Random(chance)
    state = opened()
    for now in range(10, END + 310, 10):
        seen = [corrected(one, now, draw) for one in truth if state.table.final <= one.start <= now - 10]
        state, evidence = read(WANTED, state, seen, WEIGHTS, now)
        if draw.random() < 0.9:
            continue
        fresh, anew = read(WANTED, state.model_copy(update={"live": None}), [], WEIGHTS, now)
        assert anew.events == evidence.events
        assert fresh.checkpoint.events == state.checkpoint.events
    assert state.checkpoint.events == straight(truth)


def corrected(one: CountRow, now: int, draw: random.Random) -> CountRow:
    """The row as it is seen: without errors for up to 150 s."""
    if now - one.start >= 150 or draw.random() < 0.5:
        return one
    return one.model_copy(update={"counts": tuple(Counts(part.canary, None, part.stable, None) for part in one.counts)})


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 100), st.sampled_from([(1, 1, 1), (3, 1, 1), (1, 1.5, 1)]), st.sets(st.integers(1, 90)))
def test_a_restart_changes_no_decision(seed: int, times: tuple[float, ...], restarts: set[int]) -> None:
    truth = rows(seed, 90, load=30, times=times)
    one = other = opened()
    for at in range(1, 90):
        seen = [row for row in truth if row.start + 10 <= 10 * at]
        one, evidence = read(WANTED, one, seen, WEIGHTS, 10 * at)
        if at in restarts:
            other = ComparisonState.model_validate_json(other.model_dump_json())
        other, rounded = read(WANTED, other, seen, WEIGHTS, 10 * at)
        assert logs(rounded) == pytest.approx(logs(evidence), abs=1e-4)
        point = DecisionPoint(now=10 * at, first_traffic=0, weight=weight_at(WEIGHTS, 10 * at, 10 * at))
        assert judge(WANTED, rounded, point).ruling is judge(WANTED, evidence, point).ruling


def logs(evidence: Evidence) -> list[float]:
    found = [log for event in evidence.events for log in (event.harm.log, event.promise.log, event.here.log)]
    return [*found, evidence.guard.log, evidence.lost.log]


def test_what_comes_late_raises_the_age_at_which_buckets_count() -> None:
    state = opened()
    state, _ = read(WANTED, state, [row(0, *[(10, 0, 30, 0)] * 3)], WEIGHTS, 70)
    assert state.table.settle == 60
    late = [row(0, *[(10, 2, 30, 0)] * 3)]
    state, evidence = read(WANTED, state, late, WEIGHTS, 130)
    assert state.table.settle == 130
    assert evidence.events == begin(WANTED, hour()).events, "it is too young now"
    state, evidence = read(WANTED, state, late, WEIGHTS, 140)
    assert evidence.events == straight(late)
    state, _ = read(WANTED, state, [row(0, *[(10, 3, 30, 0)] * 3)], WEIGHTS, 305)
    assert state.table.settle == 300, "no older than what is final"


def test_a_value_that_is_not_complete_yet_raises_nothing() -> None:
    seen = table(opened().table, [row(0, (10, 0, 30, 0))], 30)
    assert table(seen, [row(0, (12, 1, 40, 0))], 60).settle == 60


def test_a_final_bucket_is_never_read_again() -> None:
    truth = rows(3, NUMBER)
    state = opened()
    for now in range(10, END + 310, 10):
        state, _ = read(WANTED, state, [one for one in truth if one.start + 10 <= now], WEIGHTS, now)
    changed = [one.model_copy(update={"counts": (Counts(1000, 900, 1000, 0),) * 3}) for one in truth]
    after, _ = read(WANTED, state, changed, WEIGHTS, END + 310)
    assert after.checkpoint.events == state.checkpoint.events


def test_ten_minutes_without_an_answer_lose_nothing() -> None:
    truth = rows(4, NUMBER)
    state, _ = read(WANTED, opened(), truth[:3], WEIGHTS, 40)
    state, evidence = read(WANTED, state, truth, WEIGHTS, END + 40)
    assert evidence.events == straight(truth[: (END - 20) // 10])
    assert state.table.settle == 60
    assert read(WANTED, state, [], WEIGHTS, END + 400)[0].checkpoint.events == straight(truth)


def test_a_bucket_that_never_comes_is_skipped_and_counted() -> None:
    truth = rows(5, NUMBER)
    state, _ = read(WANTED, opened(), [*truth[:20], *truth[23:]], WEIGHTS, END + 300)
    assert state.checkpoint.skipped == 3
    assert state.checkpoint.events == straight([*truth[:20], *truth[23:]])


def test_a_bucket_in_which_the_weight_changes_belongs_to_none() -> None:
    weights = [Weight(since=0, share=0.1), Weight(since=205, share=0.5), Weight(since=400, share=0)]
    found = [weight_at(weights, at, at + 10) for at in (0, 190, 200, 210, 400)]
    assert [weight and weight.share for weight in found] == [0.1, 0.1, None, 0.5, None]
    assert weight_at([], 0, 10) is None


def test_the_guard_sees_a_bucket_once_however_often_it_is_read() -> None:
    state = opened()
    for now, bad in ((20, 3), (30, 4), (40, 5)):
        state, evidence = read(WANTED, state, [row(0, *[(10, bad, 30, 0)] * 3)], WEIGHTS, now)
    assert evidence.guard_counts == (10, 3, 30, 0)


def test_a_state_with_more_fields_is_read() -> None:
    state, _ = read(WANTED, opened(), rows(1, 20), [WEIGHT], 200)
    document = state.model_dump(mode="json") | {"later": 1}
    assert ComparisonState.model_validate(document).table == state.table
    assert "live" not in state.model_dump()


def test_a_change_of_weight_that_is_known_late_corrects_what_was_counted() -> None:
    truth = rows(6, NUMBER)
    state, _ = read(WANTED, opened(), truth[:38], WEIGHTS[:1], 390)
    state, evidence = read(WANTED, state, truth[:39], WEIGHTS, 400)
    assert evidence.events == straight(truth[:34])
    assert evidence.here_since == 200
