"""A version with all of the traffic: its errors against those of stable in the hour before."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from tests.unit.analysis.compare.test_bets import binomial, poisson
from tests.unit.analysis.compare.traffic import EVENTS, hour, row
from tests.unit.analysis.compare.traffic import poisson as arrivals
from tidegate.analysis.compare.evidence import Evidence
from tidegate.analysis.compare.fold import begin, fold, glance
from tidegate.analysis.compare.full_traffic import TOLERATED, largest_rate
from tidegate.analysis.compare.judge import alarms_of, judge_reading
from tidegate.analysis.compare.models import (
    Comparison,
    CountRow,
    HourRow,
    Judgement,
    OnUnfair,
    Ruling,
    VersionCounts,
    Weight,
)
from tidegate.analysis.compare.settings import ComparisonSettingsError, after_promotion, at_full_traffic
from tidegate.analysis.compare.state import ComparisonState, open_state

ALL = Weight(since=0, share=1)
WANTED = at_full_traffic(Comparison(events=EVENTS))
LOAD, RATE = 50, 0.005
"""Of `hour`: requests a second, and the part of them that fails."""
Chance = Callable[[float, float], list[float]]


def rows(seed: int, number: int, rate: float, load: float = LOAD) -> list[CountRow]:
    """Buckets in which stable has no requests; the guard's `None` is what a source says of it."""
    draw = random.Random(seed)
    counts = [(arrivals(draw, 10 * load), at) for at in range(number)]
    return [row(10 * at, (requests, arrivals(draw, requests * rate), None, None)) for requests, at in counts]


def judged(buckets: list[CountRow], now: int, state: ComparisonState | None = None, **fields: object) -> Judgement:
    wanted = WANTED.model_copy(update=fields)
    state = state or open_state(wanted, hour(), None, 0)
    seen = [one for one in buckets if one.start + 10 <= now]
    return judge_reading(wanted, state, seen, [ALL], now, first_traffic=0)[1]


def test_only_errors_are_looked_at_and_no_share() -> None:
    assert [(event.name, event.margin) for event in WANTED.events] == [("errors", TOLERATED)]
    assert (WANTED.lost, WANTED.on_unfair) == (False, OnUnfair.IGNORE)
    with pytest.raises(ComparisonSettingsError, match="only errors are looked at"):
        at_full_traffic(Comparison(events=EVENTS[1:]))


def test_a_version_without_harm_is_watched_and_nothing_is_proven() -> None:
    buckets = rows(1, 60, RATE)
    found = judged(buckets, 600)
    counted = [one.counts[0] for one in buckets if 60 <= one.start <= 530]
    requests, bad = (sum(int(each[at] or 0) for each in counted) for at in (0, 1))
    assert (found.ruling, found.event) == (Ruling.CLEAR, "errors")
    assert found.sentence == (
        f"Watched, errors: {bad:,} of {requests:,} canary requests against 900 of 180,000 of stable in the hour "
        "before; no sign that they are more than 2 x stable + 1 %. It is no proof."
    )
    assert (found.events[0].promise, found.events[0].here) == (0, 0)


def test_after_a_promotion_it_is_watched_for_its_least_time() -> None:
    least = after_promotion(Comparison(events=EVENTS, min_bake=500)).min_bake
    early = judged(rows(1, 60, RATE), 440, min_bake=least)
    assert (early.ruling, early.event) == (Ruling.WAIT, "minBake")
    assert "no sooner than minBake: 60 s more" in early.sentence
    assert judged(rows(1, 60, RATE), 600, min_bake=least).ruling is Ruling.CLEAR
    assert judged(rows(2, 60, 0.06), 440, min_bake=least).ruling is Ruling.ABORT


@pytest.mark.parametrize(("rate", "ruling"), [(2 * RATE + 0.01, Ruling.CLEAR), (0.06, Ruling.ABORT)])
def test_what_is_tolerated_is_no_harm_and_more_is(rate: float, ruling: Ruling) -> None:
    found = judged(rows(2, 60, rate), 600)
    assert found.ruling is ruling, found.sentence
    if ruling is Ruling.ABORT:
        assert "of 180,000 of stable in the hour before; a version within 2 x stable + 1 % would look" in found.sentence


def test_the_guard_sees_cold_pods_at_once() -> None:
    found = judged([row(10 * at, (500, 300, None, None)) for at in range(3)], 30)
    assert (found.ruling, found.event) == (Ruling.ABORT, "errors")
    assert "cold pods included: 900 of 1,500 canary requests against 900 of 180,000 of stable in the" in found.sentence
    assert judged([row(10 * at, (500, 300, None, None)) for at in range(3)], 30, guard=None).ruling is Ruling.WAIT


def test_without_requests_an_operator_decides() -> None:
    nothing = [row(10 * at, (None, None, None, None)) for at in range(60)]
    assert judged(nothing, 350).ruling is Ruling.WAIT
    found = judged(nothing, 600)
    assert (found.ruling, found.event) == (Ruling.UNDECIDED, "data")
    assert found.sentence == "No data: for 10 min there was no bucket with requests."


def test_signs_of_harm_are_waited_for_until_max_wait() -> None:
    state = open_state(WANTED, hour(), None, 0)
    [known] = state.checkpoint.events
    alarmed = known.model_copy(update={"harm": known.harm.model_copy(update={"log": math.log(12)})})
    checkpoint = state.checkpoint.model_copy(update={"events": (alarmed,)})
    state = state.model_copy(update={"checkpoint": checkpoint})
    buckets = [row(10 * at, (500, 13, None, None)) for at in range(14)]
    assert judged(buckets, 140, state).ruling is Ruling.WAIT
    assert judged(buckets, 140, state, max_wait=100).ruling is Ruling.UNDECIDED
    assert "signs of harm" in judged(buckets, 140, state).sentence


def test_more_failures_than_requests_are_not_believed() -> None:
    before = begin(WANTED, hour())
    assert fold(WANTED, before, row(100, (5, 6, None, None)), ALL) == before
    assert fold(WANTED, before, row(100), ALL) == before
    assert glance(WANTED, before, row(100)) == before


def test_a_stored_state_goes_on_where_it_was() -> None:
    state = stored = open_state(WANTED, hour(), None, 0)
    buckets = rows(4, 90, 0.02)
    for now in range(10, 910, 10):
        new = [one for one in buckets if one.start == now - 10]
        state, one = judge_reading(WANTED, state, new, [ALL], now, first_traffic=0)
        stored, other = judge_reading(WANTED, stored, new, [ALL], now, first_traffic=0)
        stored = ComparisonState.model_validate_json(stored.model_dump_json())
        assert other.ruling is one.ruling
        assert other.alarm == pytest.approx(one.alarm, abs=1e-4)


def mean_growth(before: Evidence, requests: int, rate: float, chance: Chance) -> tuple[float, float]:
    """Expected factors of the wealth against harm and of the guard after one bucket."""
    harm = guard = 0.0
    for bad, probability in enumerate(chance(requests * rate, requests)):
        bucket = row(100, (requests, min(bad, requests), None, None))
        harm += probability * math.exp(fold(WANTED, before, bucket, ALL).events[0].harm.log)
        guard += probability * math.exp(glance(WANTED, before, bucket).guard.log)
    return harm, guard


@pytest.mark.parametrize("chance", [poisson, binomial])
def test_no_bet_gains_on_average_while_errors_are_tolerated(chance: Chance) -> None:
    draw, largest = random.Random(5), 0.0
    for _ in range(60):
        failed, requests = draw.choice([0, 3, 90, 900]), draw.choice([300, 18_000])
        rows_before = [HourRow(start=-10, counts=(VersionCounts(requests, min(failed, requests / 4)),))]
        before = begin(WANTED, rows_before)
        [known] = before.events
        base = largest_rate(known.counts[3], known.counts[2], known.phi, 0.0005)
        rate = (2 * base + 0.01) * draw.choice([1, 1, 0.9, 0.5])
        largest = max(largest, *mean_growth(before, draw.randint(5, 40), min(rate, 1.0), chance))
    assert 0.95 < largest <= 1 + 1e-9


@pytest.mark.parametrize("chance", [poisson, binomial])
@pytest.mark.parametrize("level", [0.05, 0.0005])
def test_the_hour_rarely_comes_of_a_larger_rate(chance: Chance, level: float) -> None:
    for requests in (40, 150):
        for rate in (0.02, 0.1, 0.3):
            chances = chance(requests * rate, requests)
            missed = sum(p for bad, p in enumerate(chances) if largest_rate(bad, requests, 1, level) < rate)
            assert missed <= level
    assert largest_rate(900, 180_000, 1, 0.0005) == pytest.approx(0.005, rel=0.15), "an hour of traffic says much"
    assert largest_rate(900, 180_000, 4, 0.0005) > largest_rate(900, 180_000, 1, 0.0005)


def test_a_version_on_the_edge_is_taken_for_harm_in_at_most_one_of_a_hundred_bakes() -> None:
    aborted, runs = 0, 100
    for seed in range(runs):
        hour_before = [HourRow(start=-10, counts=(VersionCounts(180_000, arrivals(random.Random(seed), 900)),))]
        evidence = begin(WANTED, hour_before)
        for bucket in rows(seed, 100, 2 * RATE + 0.01):
            evidence = glance(WANTED, fold(WANTED, evidence, bucket, ALL), bucket)
            if max(alarms_of(WANTED, evidence)) >= math.log(1 / WANTED.false_abort):
                aborted += 1
                break
    assert aborted <= 0.01 * runs
