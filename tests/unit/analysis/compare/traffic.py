"""Counts of a canary and of stable for the tests: the same seed gives the same requests."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

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

RATES = {"errors": 0.005, "slow90": 0.1, "slow99": 0.01}
EVENTS = (
    BadEvent(
        name="errors",
        margin=Margin(times=1.25, plus=0.001),
        early=(Margin(times=2, plus=0.02), Margin(times=1.5, plus=0.005)),
    ),
    BadEvent(name="slow90", margin=Margin(times=1.5, plus=0), early=(Margin(times=2.5, plus=0.05),), slower_than=0.312),
    BadEvent(name="slow99", margin=Margin(times=2, plus=0), early=(Margin(times=3, plus=0.02),), slower_than=0.9),
)
WEIGHT = Weight(since=0, share=0.25, last=True)


def wanted(**fields: Any) -> Comparison:
    """Three events, and what a test wants otherwise."""
    return Comparison(events=EVENTS, **fields)


def hour(load: float = 50, bucket: int = 10) -> list[HourRow]:
    """Stable's hour before the first traffic at 0, without chance."""
    requests = load * bucket
    counts = tuple(VersionCounts(requests, requests * rate) for rate in RATES.values())
    return [HourRow(start=start, counts=counts) for start in range(-3600, 0, bucket)]


def poisson(draw: random.Random, mean: float) -> int:
    """Number of arrivals: by their distances where few are expected, else by the normal distribution."""
    if mean > 60:
        return round(draw.gauss(mean, mean**0.5))
    number, left = 0, mean
    while (left := left - draw.expovariate(1)) > 0:
        number += 1
    return number


def bucket_row(draw: random.Random, start: int, load: float, share: float, times: Sequence[float]) -> CountRow:
    """One bucket in which the canary has `times` as many bad requests as stable, event by event."""
    canary, stable = poisson(draw, load * share * 10), poisson(draw, load * (1 - share) * 10)
    counts = []
    for rate, factor in zip(RATES.values(), times, strict=True):
        bad = [min(of, poisson(draw, of * rate * more)) for of, more in ((canary, factor), (stable, 1))]
        counts.append(Counts(canary, bad[0], stable, bad[1]))
    return CountRow(start=start, counts=tuple(counts))


def rows(
    seed: int, number: int, *, load: float = 20, share: float = 0.25, times: Sequence[float] = (1, 1, 1)
) -> list[CountRow]:
    """Buckets from 0 on."""
    draw = random.Random(seed)
    return [bucket_row(draw, 10 * at, load, share, times) for at in range(number)]


def row(start: int, *counts: tuple[float | None, ...]) -> CountRow:
    """A bucket whose counts a test writes down."""
    return CountRow(start=start, counts=tuple(Counts(*one) for one in counts))
