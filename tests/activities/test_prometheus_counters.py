"""Differences of raw counters: restarts, pods that come and go, counters that begin late, nothing twice."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.metrics.prometheus.comparison import chosen_bounds
from activities.metrics.prometheus.counters import PodCounters, filled, increases, version_counts
from activities.metrics.provider import ConfigError

TIMES = range(0, 600, 10)
Grown = st.lists(st.integers(0, 50), min_size=3, max_size=60)


def values(*given: float | None) -> dict[int, float]:
    return {index * 10: value for index, value in enumerate(given) if value is not None}


@pytest.mark.parametrize(
    ("seen", "counts_first", "expected"),
    [
        (values(5000, 5003, 5003, 5010), True, {10: 3, 20: 0, 30: 7}),
        (values(100, 110, 4, 9), False, {10: 10, 20: 4, 30: 5}),
        (values(None, 7, 9), True, {10: 7, 20: 2}),
        (values(None, 5000, 5002), False, {10: 0, 20: 2}),
        (values(5, 8, None, None, 12), False, {10: 3, 20: 0, 30: 0, 40: 4}),
        (values(None, None), True, {}),
    ],
    ids=["begins at 5,000", "restart", "young", "past that is not ours", "away for a while", "never"],
)
def test_a_counter_becomes_counts(seen: dict[int, float], counts_first: bool, expected: dict[int, float]) -> None:
    times = range(0, 10 * (max(seen, default=10) // 10 + 1), 10)
    assert increases(seen, times, counts_first=counts_first) == expected


def test_a_pod_that_was_away_for_long_brings_nothing_of_that_time() -> None:
    seen = {0: 10.0, 400: 900.0, 410: 905.0}
    found = increases(seen, range(0, 420, 10), counts_first=False)
    assert found[400] == 0
    assert found[410] == 5
    assert sum(found.values()) == 5


@given(Grown, st.integers(0, 100_000))
def test_every_request_is_counted_once(grown: list[int], before: int) -> None:
    seen = dict(zip(TIMES, accumulate(grown, initial=before), strict=False))
    times = sorted(seen)
    found = increases(seen, times, counts_first=False)
    assert sum(found.values()) == seen[times[-1]] - before
    assert all(value >= 0 for value in found.values())


@given(Grown, st.integers(1, 8))
def test_two_windows_that_meet_are_one(grown: list[int], cut: int) -> None:
    seen = dict(zip(TIMES, accumulate(grown, initial=0), strict=False))
    times = sorted(seen)
    edge = min(cut, len(times) - 1)
    whole = increases(seen, times, counts_first=False)
    parts = increases(seen, times[: edge + 1], counts_first=False) | increases(seen, times[edge:], counts_first=False)
    assert parts == whole


def test_errors_that_never_happened_before_begin_at_zero_where_there_are_requests() -> None:
    requests = values(100, 110, 120, 130)
    pod = PodCounters(requests, {20: 2.0, 30: 3.0})
    assert filled(pod.bad, requests) == {0: 0, 10: 0, 20: 2, 30: 3}
    found = version_counts({"stable-1": pod}, [0, 10, 20, 30], {"stable-1"}, first_of_all=False)
    assert found == {10: (10, 0), 20: (10, 2), 30: (10, 1)}


def test_a_server_that_begins_to_look_brings_no_past_of_stable() -> None:
    pods = {name: PodCounters({20: 5000.0, 30: 5010.0}, {20: 400.0, 30: 401.0}) for name in ("a", "b")}
    assert version_counts(pods, [0, 10, 20, 30], (), first_of_all=False) == {20: (0, 0), 30: (20, 2)}


def test_a_pod_that_joins_is_young_unless_it_was_there_before() -> None:
    pods = {
        "old": PodCounters(values(100, 110, 120), {}),
        "new": PodCounters({20: 8.0}, {20: 1.0}),
    }
    assert version_counts(pods, [0, 10, 20], {"old"}, first_of_all=False)[20] == (18, 1)
    assert version_counts(pods, [0, 10, 20], {"old", "new"}, first_of_all=False)[20] == (10, 0)


def test_the_first_pod_of_a_canary_is_new() -> None:
    pods = {"canary-1": PodCounters({10: 6.0, 20: 9.0}, {10: 6.0, 20: 6.0})}
    assert version_counts(pods, [0, 10, 20], (), first_of_all=True) == {10: (6, 6), 20: (3, 0)}


def test_a_pod_without_requests_is_there_and_one_without_counters_is_not() -> None:
    assert version_counts({"a": PodCounters(values(3, 3), {})}, [0, 10], {"a"}, first_of_all=False) == {10: (0, 0)}
    assert version_counts({"a": PodCounters({}, {})}, [0, 10], {"a"}, first_of_all=False) == {}


def test_thresholds_are_the_smallest_bounds_that_leave_few_above() -> None:
    buckets = {0.1: 500.0, 0.25: 905.0, 0.5: 985.0, 1.0: 992.0, 2.5: 998.0, 5.0: 1000.0, float("inf"): 1000.0}
    found, notes = chosen_bounds(buckets, "q")
    assert found == {"slow90": 0.25, "slow99": 1.0, "stuck": 5.0}
    assert notes[0] == "slow90: slower than 0.25 s, as 9.5 % of stable's requests are"


def test_a_histogram_that_ends_too_early_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"slow99 cannot be compared: 5 % of stable's requests are slower"):
        chosen_bounds({0.1: 500.0, 0.5: 950.0, float("inf"): 1000.0}, "q")
    with pytest.raises(ConfigError, match="no classic histogram"):
        chosen_bounds({}, "q")
