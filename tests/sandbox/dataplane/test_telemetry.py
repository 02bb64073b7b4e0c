"""Arithmetic of windows, percentiles and totals, and the reading of Envoy's counters when they begin anew."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.telemetry import HORIZON_SECONDS, PRUNE_EVERY, Counts, Increment, Telemetry, Window


def increment(requests: int, errors: int = 0, *, lower: float = 10.0, sent: int | None = None) -> Increment:
    return Increment(Counts(requests, errors, requests if sent is None else sent), {(lower, 1.0): requests})


@pytest.fixture
def telemetry() -> Telemetry:
    """One service with two hashes: ten requests of aaa at each of the seconds 101 to 105, one of bbb at 103."""
    telemetry = Telemetry()
    for second in range(101, 106):
        telemetry.record("checkout", "aaa", float(second), increment(10, 1))
    telemetry.record("checkout", "bbb", 103.0, increment(1, 1, lower=500.0))
    return telemetry


def test_a_window_is_the_difference_of_the_samples_at_or_before_its_edges(telemetry: Telemetry) -> None:
    assert telemetry.window("checkout", "aaa", 101.0, 103.9).requests == 20
    assert telemetry.window("checkout", "aaa", 100.9, 103.0).requests == 30
    assert telemetry.window("checkout", "aaa", 0.0, 1000.0) == Window(50, 5, ((10.0, 1.0, 50),))


def test_a_window_of_all_hashes_adds_them(telemetry: Telemetry) -> None:
    assert telemetry.window("checkout", None, 102.0, 103.0) == Window(11, 2, ((10.0, 1.0, 10), (500.0, 1.0, 1)))


def test_nothing_is_known_of_a_service_that_was_never_seen(telemetry: Telemetry) -> None:
    assert telemetry.window("cart", None, 0.0, 1000.0) == Window()
    assert telemetry.hashes("cart") == []
    assert telemetry.hashes("checkout") == ["aaa", "bbb"]


def test_a_series_cuts_time_into_windows(telemetry: Telemetry) -> None:
    found = telemetry.series("checkout", "aaa", 100.0, 105.0, 2.0)
    assert [(at, window.requests) for at, window in found] == [(100.0, 20), (102.0, 20), (104.0, 10)]


def test_the_version_of_a_hash_stays_known() -> None:
    telemetry = Telemetry()
    telemetry.learn({"rollouts-pod-template-hash": "aaa", "tags.datadoghq.com/version": "1.0.0"})
    telemetry.learn({"rollouts-pod-template-hash": "aaa"})
    assert (telemetry.labels("aaa"), telemetry.labels("bbb")) == ({"version": "1.0.0"}, {})


def test_totals_are_by_hash_over_all_services(telemetry: Telemetry) -> None:
    telemetry.record("cart", "aaa", 106.0, increment(7))
    assert telemetry.totals() == {"aaa": Counts(57, 5, 57), "bbb": Counts(1, 1, 1)}


def test_a_timeline_ends_when_the_last_request_was_sent() -> None:
    telemetry = Telemetry()
    telemetry.record("checkout", "aaa", 1.0, increment(3, sent=5))
    telemetry.record("checkout", "aaa", 2.0, increment(2, sent=0))
    assert telemetry.timeline("aaa") == [(1.0, 5)]


def test_old_samples_go_and_totals_stay() -> None:
    telemetry = Telemetry()
    step = HORIZON_SECONDS / PRUNE_EVERY
    for number in range(3 * PRUNE_EVERY):
        telemetry.record("checkout", "aaa", number * step, increment(1))
    end = 3 * HORIZON_SECONDS
    assert telemetry.totals()["aaa"].requests == 3 * PRUNE_EVERY
    assert telemetry.window("checkout", "aaa", end - HORIZON_SECONDS / 2, end).requests == pytest.approx(
        PRUNE_EVERY / 2, abs=1
    )
    assert len(telemetry.timeline("aaa")) < 1.1 * PRUNE_EVERY
    assert telemetry.timeline("aaa")[-1][1] == 3 * PRUNE_EVERY


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_windows_that_meet_add_up(samples: list[tuple[int, int]], first: int, second: int) -> None:
    telemetry = Telemetry()
    for number, (requests, errors) in enumerate(samples):
        telemetry.record("checkout", "aaa", float(number), increment(requests, min(errors, requests), lower=number % 7))
    start, middle, end = -1.0, *sorted((float(first), float(second)))
    whole = telemetry.window("checkout", "aaa", start, end)
    parts = [telemetry.window("checkout", "aaa", *edges) for edges in ((start, middle), (middle, end))]
    assert whole.requests == sum(part.requests for part in parts)
    assert whole.errors == sum(part.errors for part in parts)
    assert sum(count for *_, count in whole.buckets) == whole.requests


def test_percentiles_lie_within_their_bucket() -> None:
    window = Window(100, 0, ((10.0, 1.0, 50), (20.0, 10.0, 49), (500.0, 10.0, 1)))
    assert window.percentile(50) == pytest.approx(11.0)
    assert window.percentile(99) == pytest.approx(30.0)
    assert window.percentile(100) == pytest.approx(510.0)
    assert window.percentile(0) == pytest.approx(10.0)
    assert window.mean() == pytest.approx((50 * 10.5 + 49 * 25 + 505) / 100)


def test_without_requests_there_is_no_percentile() -> None:
    assert Window().percentile(99) is None
    assert Window().mean() is None


latencies = st.lists(st.floats(0, 1000, allow_nan=False), min_size=1, max_size=200)


@given(latencies, st.floats(0, 100))
def test_a_percentile_is_as_exact_as_its_buckets(values: list[float], p: float) -> None:
    width = 10.0
    counts: dict[float, int] = {}
    for value in values:
        lower = value // width * width
        counts[lower] = counts.get(lower, 0) + 1
    window = Window(len(values), 0, tuple((lower, width, count) for lower, count in sorted(counts.items())))
    found = window.percentile(p)
    assert found is not None
    assert sum(value <= found + width for value in values) >= p / 100 * len(values)
    assert sum(value < found - width for value in values) <= p / 100 * len(values)


async def test_flushed_waits_for_counts_taken_after_it_was_asked_for() -> None:
    telemetry = Telemetry()
    waiting = asyncio.create_task(telemetry.flushed())
    await asyncio.sleep(0)
    telemetry.complete_until(time.monotonic() - 10)
    await asyncio.sleep(0)
    assert not waiting.done()
    telemetry.complete_until(time.monotonic())
    await waiting


async def test_flushed_without_a_scraper_ends() -> None:
    with pytest.raises(TimeoutError):
        await Telemetry().flushed(timeout=0.01)
