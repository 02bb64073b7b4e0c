"""The forecast: when a version as good as stable is through, and what would make it provable where it is not."""

from __future__ import annotations

import pytest

from tidegate.analysis.compare.models import BadEvent, Comparison, HourRow, Margin, Provability, VersionCounts, Weight
from tidegate.analysis.compare.provable import chosen_plus, provable

WEIGHTS = [Weight(since=0, share=share, index=at, last=at == 2) for at, share in enumerate((0.1, 0.25, 0.5))]


def event(name: str, times: float, plus: float, *early: tuple[float, float]) -> BadEvent:
    margins = tuple(Margin(times=one, plus=other) for one, other in early)
    return BadEvent(name=name, margin=Margin(times=times, plus=plus), early=margins)


EVENTS = (
    event("errors", 1.25, 0.001, (2, 0.02), (1.5, 0.005)),
    event("slow90", 1.5, 0, (2.5, 0.05), (2, 0.02)),
    event("slow99", 2, 0, (3, 0.02), (2.5, 0.01)),
    event("stuck", 2, 0.002, (2, 0.02), (2, 0.005)),
)


def hour(load: float, errors: float) -> list[HourRow]:
    """An hour of stable without chance: a tenth slower than p90, a hundredth than p99, next to nothing stuck."""
    requests = load * 10
    counts = tuple(VersionCounts(requests, requests * rate) for rate in (errors, 0.1, 0.01, 0.0))
    return [HourRow(start=start, counts=counts) for start in range(-3600, 0, 10)]


def forecast(load: float, errors: float, **fields: float) -> Provability:
    return provable(Comparison(events=EVENTS, **fields), hour(load, errors), WEIGHTS)


@pytest.mark.parametrize(
    ("load", "errors", "seconds"), [(50, 0.0005, 710), (50, 0.005, 1010), (50, 0.02, 750), (500, 0.005, 600)]
)
def test_times_are_those_of_the_formula_by_which_half_of_the_good_versions_were_measured(
    load: float, errors: float, seconds: float
) -> None:
    found = forecast(load, errors)
    assert found.seconds == pytest.approx(seconds, rel=0.05)
    assert found.provable
    assert (found.plus, found.max_wait, found.weight) == (None, None, None)
    assert found.load == pytest.approx(load)


def test_too_little_traffic_is_said_with_what_would_help() -> None:
    found = forecast(5, 0.005)
    assert not found.provable
    assert found.slowest == "errors"
    assert found.seconds == pytest.approx(6810, rel=0.05)
    assert found.max_wait == found.seconds
    assert found.plus == pytest.approx(0.0074, rel=0.08)
    again = Comparison(events=(event("errors", 1.25, found.plus or 0, (2, 0.02), (1.5, 0.005)), *EVENTS[1:]))
    assert (provable(again, hour(5, 0.005), WEIGHTS).seconds or 0) <= 1800


def test_a_larger_share_helps_where_one_weight_is_too_small() -> None:
    found = provable(Comparison(events=EVENTS), hour(50, 0.005), [Weight(since=0, share=0.02, last=True)])
    assert not found.provable
    assert found.weight is not None
    assert 0.02 < found.weight <= 0.5


def test_no_traffic_proves_nothing() -> None:
    found = provable(Comparison(events=EVENTS), [], WEIGHTS)
    assert (found.load, found.seconds, found.provable, found.plus) == (0, None, False, None)


@pytest.mark.parametrize(("load", "least", "most"), [(500, 0.001, 0.001), (5, 0.005, 0.01), (0.5, 0.02, 0.02)])
def test_a_plus_that_is_chosen_stays_within_its_limits(load: float, least: float, most: float) -> None:
    found = chosen_plus(Comparison(events=EVENTS), hour(load, 0.005), WEIGHTS, "errors")
    assert least <= found <= most
