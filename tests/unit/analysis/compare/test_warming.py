"""A warm-up that is learned: the age at which earlier versions came down to their own later level."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.analysis.compare.traffic import EVENTS, poisson
from tidegate.analysis.compare.models import Comparison, CountRow, Counts
from tidegate.analysis.compare.warming import FEWEST, LONGEST, SHORTEST, WATCHED, learned_warm_up, warm_after

ERRORS = Comparison(events=EVENTS[:1])


def version(cold: float, *, times: float = 10, load: float = 50, seed: int = 1, rate: float = 0.01) -> list[CountRow]:
    """A canary from 1000 on whose errors are `times` as many while it is cold."""
    draw, rows = random.Random(seed), []
    for age in range(0, WATCHED, 10):
        requests = poisson(draw, 10 * load)
        bad = min(requests, poisson(draw, requests * rate * (times if age < cold else 1)))
        rows.append(CountRow(start=1000 + age, counts=(Counts(requests, bad or None, 500.0, 2.0),)))
    return rows


@pytest.mark.parametrize("cold", [0, 60, 180, 420])
@pytest.mark.parametrize("seed", range(4))
def test_the_age_at_which_a_version_was_warm_is_found(cold: float, seed: int) -> None:
    age = warm_after(ERRORS, version(cold, seed=seed), 1000)
    assert age is not None
    assert cold - 20 <= age <= cold + 20


def test_one_that_is_never_warm_has_the_longest_age() -> None:
    rows = version(LONGEST)
    assert warm_after(ERRORS, rows, 1000) == pytest.approx(LONGEST, abs=20)


def test_the_slowest_event_decides() -> None:
    both = [
        CountRow(start=one.start, counts=(one.counts[0], two.counts[0]))
        for one, two in zip(version(60), version(300), strict=True)
    ]
    age = warm_after(Comparison(events=EVENTS[:2]), both, 1000)
    assert age == pytest.approx(300, abs=20)


def test_too_few_requests_make_no_level() -> None:
    few = [row for row in version(60, load=0.01) if row.counts[0].canary]
    assert sum(row.counts[0].canary or 0 for row in few) < FEWEST
    assert warm_after(ERRORS, few, 1000) is None
    assert warm_after(ERRORS, [], 1000) is None


@given(st.lists(st.floats(0, 2 * LONGEST), max_size=30))
def test_what_is_learned_is_enough_for_nine_of_ten(ages: list[float]) -> None:
    found = learned_warm_up(ages)
    assert SHORTEST <= found <= LONGEST
    if found < LONGEST:
        assert sum(age <= found for age in ages) >= 0.9 * len(ages)
    if not ages:
        assert found == SHORTEST
