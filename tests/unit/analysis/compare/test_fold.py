"""How one bucket changes the evidence: which do, which do not, and what survives odd counts."""

from __future__ import annotations

import math
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.analysis.compare.traffic import RATES, WEIGHT, hour, row, rows, wanted
from tidegate.analysis.compare.evidence import Evidence
from tidegate.analysis.compare.fold import begin, fold, glance
from tidegate.analysis.compare.mixtures import margin_here, tolerated
from tidegate.analysis.compare.models import (
    BadEvent,
    Comparison,
    CountRow,
    Counts,
    HourRow,
    Margin,
    VersionCounts,
    Weight,
)
from tidegate.analysis.compare.traffic import is_fair, share_answered

WANTED = wanted()


def folded(
    buckets: list[CountRow], weight: Weight | None = WEIGHT, start: Evidence | None = None, given: Comparison = WANTED
) -> Evidence:
    return reduce(lambda known, one: fold(given, known, one, weight), buckets, start or begin(given, hour()))


def test_a_good_version_proves_itself_and_a_bad_one_shows_harm() -> None:
    good = folded(rows(1, 200, load=100)).events
    assert min(one.promise.log for one in good) > math.log(20)
    assert max(one.harm.log for one in good) < 0
    bad = folded(rows(1, 200, load=100, times=(3, 1, 1))).events
    assert bad[0].harm.log > math.log(100)
    assert bad[0].promise.log < 0
    assert bad[1].harm.log < 0


@given(st.lists(st.sampled_from([0.0, None]), min_size=3, max_size=3), st.integers(0, 50))
def test_a_bucket_without_requests_of_a_version_changes_no_bet(canary: list[float | None], at: int) -> None:
    known = folded(rows(2, 40))
    empty = CountRow(start=400 + 10 * at, counts=tuple(Counts(one, 0, 100, 3) for one in canary))
    after = fold(WANTED, known, empty, WEIGHT)
    assert after.events == known.events
    assert (after.seconds, after.usable_until) == (known.seconds, known.usable_until)


def test_an_event_without_counts_does_not_hold_the_others_up() -> None:
    known = folded(rows(2, 40))
    after = fold(WANTED, known, row(400, (100, 1, 300, 2), (None,), (0, 0, 300, 3)), WEIGHT)
    assert after.events[0].counts[0] == known.events[0].counts[0] + 100
    assert after.events[1:] == known.events[1:]


def test_more_bad_requests_than_requests_are_not_believed() -> None:
    known = folded(rows(2, 40))
    after = fold(WANTED, known, row(400, (10, 11, 300, 2), (10, 1, 300, 301), (10, 0, 300, 3)), WEIGHT)
    assert after.events[:2] == known.events[:2]
    assert after.events[2] != known.events[2]
    assert fold(WANTED, known, row(400, *[(10, 11, 300, 2)] * 3), WEIGHT).skipped == known.skipped + 1


def test_cold_pods_only_teach_the_rates_of_stable() -> None:
    weight = WEIGHT.model_copy(update={"since": 400})
    known = folded(rows(2, 40))
    after = fold(WANTED, known, row(450, *[(100, 50, 300, 2)] * 3), weight)
    assert [one.harm for one in after.events] == [one.harm for one in known.events]
    assert after.events[0].slow != known.events[0].slow
    assert after.seconds == known.seconds
    assert fold(WANTED, known, row(460, *[(100, 50, 300, 2)] * 3), weight).seconds == known.seconds + 10


def test_proof_at_a_weight_begins_anew_with_the_weight() -> None:
    known = folded(rows(1, 100, load=50))
    lower = Weight(since=1000, share=0.1)
    after = fold(WANTED, known, rows(1, 101, load=50)[100], lower)
    assert [one.here.log for one in after.events] == [0, 0, 0]
    assert [one.promise for one in after.events] == [one.promise for one in known.events]


@given(st.floats(0.25, 4), st.integers(0, 5))
def test_counts_may_be_fractions(scale: float, seed: int) -> None:
    scaled = [
        one.model_copy(
            update={"counts": tuple(Counts(*(scale * (part or 0) for part in counts)) for counts in one.counts)}
        )
        for one in rows(seed, 30)
    ]
    found = folded(scaled)
    assert all(math.isfinite(one.harm.log) and math.isfinite(one.promise.log) for one in found.events)
    assert found.events[0].counts[0] == pytest.approx(scale * folded(rows(seed, 30)).events[0].counts[0])


def scaled(one: CountRow, scale: float) -> CountRow:
    counts = (Counts(*(scale * (part or 0) for part in counts)) for counts in one.counts)
    return one.model_copy(update={"counts": tuple(counts)})


@pytest.mark.parametrize("bad", [0, 1], ids=["nothing ever fails", "everything fails"])
def test_rates_of_nothing_and_of_all_stay_finite(bad: int) -> None:
    before = [HourRow(start=10 * at, counts=(VersionCounts(100, 100 * bad),)) for at in range(-360, 0)]
    given = Comparison(events=(BadEvent(name="errors", margin=Margin(times=1.25, plus=0)),))
    buckets = [row(10 * at, (50, 50 * bad, 50, 50 * bad)) for at in range(100)]
    known = folded(buckets, start=begin(given, before), given=given)
    [event] = known.events
    assert all(map(math.isfinite, (event.harm.log, event.promise.log, event.here.log, *event.harm.weights)))
    assert event.harm.log <= 1e-9


def test_nothing_is_known_of_the_hour_before() -> None:
    known = folded(rows(1, 200, load=100), start=begin(WANTED, []))
    assert min(one.promise.log for one in known.events[:2]) > 0


def test_wealth_beyond_all_numbers() -> None:
    known = folded([row(60 + 10 * at, *[(10_000, 0, 10_000, 500)] * 3) for at in range(200)])
    assert known.events[1].promise.log > 700
    assert Evidence.model_validate_json(known.model_dump_json()).events[1].promise.log == pytest.approx(
        known.events[1].promise.log
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([(1, 1, 1), (4, 1, 1), (1, 2, 2)]))
def test_longer_buckets_say_the_same(seed: int, times: tuple[float, ...]) -> None:
    short = rows(seed, 180, load=60, times=times)
    long = [added(short[at : at + 6]) for at in range(0, 180, 6)]
    one, other = folded(short), folded(long, given=wanted(bucket=60))
    for event, same in zip(one.events, other.events, strict=True):
        for name in ("harm", "promise"):
            logs = getattr(event, name).log, getattr(same, name).log
            assert logs[0] * logs[1] > 0 or max(map(abs, logs)) < 3, (name, logs)


def added(part: list[CountRow]) -> CountRow:
    """Six buckets as one."""
    events = zip(*(one.counts for one in part), strict=True)
    counts = (Counts(*(sum(one[at] or 0 for one in event) for at in range(4))) for event in events)
    return CountRow(start=part[0].start, counts=tuple(counts))


def test_margins_of_weights() -> None:
    event = WANTED.events[0]
    weights = [Weight(since=0, share=0.1, index=index, last=index == 3) for index in range(4)]
    assert [margin_here(event, weight).plus for weight in weights] == [0.02, 0.005, 0.005, 0.005]
    assert margin_here(event, Weight(since=0, share=0.5, last=True)).plus == 0.005
    strict = event.model_copy(update={"early": (Margin(times=1, plus=0),)})
    assert margin_here(strict, weights[0]) == event.margin
    assert margin_here(event.model_copy(update={"early": ()}), weights[0]) == event.margin


def test_what_pods_differ_by_is_tolerated() -> None:
    margin, weight = Margin(times=1.5, plus=0.01), Weight(since=0, share=0.1, canary_pods=1, stable_pods=9)
    assert tolerated(margin, 0.0, weight) == Margin(times=1.25, plus=0.005)
    assert tolerated(margin, 0.2, weight).times == pytest.approx(math.exp(2.33 * 0.2 * math.sqrt(10 / 9)))
    assert tolerated(margin, 0.2, weight.model_copy(update={"canary_pods": 0})).times == 1.25


def test_the_guard_sees_cold_pods_and_ends_what_fails_at_once() -> None:
    known = begin(WANTED, hour())
    for at in range(3):
        known = glance(WANTED, known, row(10 * at, (20, 18, 100, 1)))
    assert known.guard.log + math.log(0.1) > math.log(100)
    assert known.guard_counts == (60, 54, 300, 3)
    assert glance(wanted(guard=None), known, row(30, (20, 18, 100, 1))) == known
    assert glance(WANTED, known, row(30, (None, None, 100, 1))) == known


def test_a_canary_that_answers_nothing_is_seen_by_its_share() -> None:
    known = folded([row(10 * at, *[(None, None, 180, 1)] * 3) for at in range(12)], Weight(since=0, share=0.1))
    assert known.lost.log + math.log(0.05) > math.log(100)
    assert known.seen == (0, 1800)
    one_cap = folded([row(20, *[(None, None, 10_000, 1)] * 3)], Weight(since=0, share=0.1)).lost.log
    assert one_cap <= math.log(5)
    few = folded([row(10 * at, *[(20, 0, 180, 1)] * 3) for at in range(30)], Weight(since=0, share=0.1))
    assert few.lost.log < 0


@pytest.mark.parametrize(("canary", "fair"), [(10, False), (14, False), (16, True), (25, True), (28, False)])
def test_the_share_has_to_be_that_of_the_weight(canary: int, fair: bool) -> None:
    known = folded(
        [row(60 + 10 * at, *[(canary, 0, 100 - canary, 0)] * 3) for at in range(30)], Weight(since=0, share=0.2)
    )
    assert share_answered(known) == pytest.approx(canary / 20)
    assert is_fair(known) is fair


def test_a_share_is_not_fair_before_it_is_known() -> None:
    assert not is_fair(begin(WANTED, hour()))


def test_the_rates_of_the_hour_are_what_is_bet_on_first() -> None:
    known = begin(WANTED, hour())
    for event, rate in zip(known.events, RATES.values(), strict=True):
        assert event.slow[0] / event.slow[1] == pytest.approx(rate, rel=0.02)
        assert event.fast[0] / event.fast[1] == pytest.approx(rate, rel=0.02)
        assert event.phi == 1
