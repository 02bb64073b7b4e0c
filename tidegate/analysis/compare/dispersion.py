"""How much more counts vary than requests that fail independently of each other, and how much pods differ.

Both are measured on stable in the hour before. Where the source knows pods, what all of them have in common goes out,
so a slow wave of the whole service costs nothing. Blocks of a minute and of two show a pod that is bad for that long
and looks harmless in a bucket.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from tidegate.analysis.compare.models import HourRow, VersionCounts

BLOCKS: Final = (0, 60, 120)
"""Seconds of the blocks that are looked at; 0 is one bucket."""
SHRINK: Final = 5
"""Events of the fleet's own rate that a group's rate begins with."""
FEWEST: Final = 20
"""Events that a group has to expect before a difference between groups is believed."""
WINDOW: Final = 11
"""Buckets of the moving mean where no groups are known."""


class Dispersion(NamedTuple):
    """`phi` is variance over that of independent requests, at least 1. `spread` is the log-sd between stable's pods."""

    phi: float
    spread: float


NONE: Final = Dispersion(1.0, 0.0)


def by_groups(groups: Mapping[str, Sequence[HourRow]], event: int, bucket: int) -> Dispersion:
    """Dispersion of one event between and within groups of pods, in the order of their names."""
    series = [_series(groups[name], event) for name in sorted(groups)]
    fleet = _fleet(series)
    expected = [sum(counts.requests * fleet[at].rate for at, counts in one.items()) for one in series]
    observed = [sum(counts.bad for counts in one.values()) for one in series]
    if len(series) < 2 or min(expected) <= 0:
        return NONE
    factors = [(seen + SHRINK) / (wanted + SHRINK) for seen, wanted in zip(observed, expected, strict=True)]
    lengths = sorted({max(1, round(seconds / bucket)) for seconds in BLOCKS})
    phi = max(1.0, *(_blocks(series, fleet, factors, length * bucket) for length in lengths))
    return Dispersion(phi, _spread(observed, expected, phi))


class _Fleet(NamedTuple):
    requests: float
    rate: float


def _series(rows: Sequence[HourRow], event: int) -> dict[int, VersionCounts]:
    found = ((row.start, row.counts[event]) for row in sorted(rows, key=lambda row: row.start))
    return {start: counts for start, counts in found if counts is not None and counts.requests > 0}


def _fleet(series: Sequence[Mapping[int, VersionCounts]]) -> dict[int, _Fleet]:
    """All groups together, for each bucket."""
    starts = sorted({start for one in series for start in one})
    found = {}
    for start in starts:
        counts = [one[start] for one in series if start in one]
        requests = sum(one.requests for one in counts)
        found[start] = _Fleet(requests, sum(one.bad for one in counts) / requests)
    return found


def _blocks(
    series: Sequence[Mapping[int, VersionCounts]], fleet: Mapping[int, _Fleet], factors: Sequence[float], seconds: int
) -> float:
    """Sum of squared residuals over that of their variances in blocks of `seconds`; 1 where chance explains it."""
    squares = variances = 0.0
    for one, factor in zip(series, factors, strict=True):
        residuals: dict[int, float] = {}
        for start, counts in one.items():
            whole = fleet[start]
            mean = counts.requests * whole.rate * factor
            block = start // seconds
            residuals[block] = residuals.get(block, 0.0) + counts.bad - mean
            variances += mean * (1 - counts.requests / whole.requests)
        squares += sum(residual * residual for residual in residuals.values())
    if variances <= 0:
        return 1.0
    phi = squares / variances
    blocks = len({start // seconds for start in fleet})
    return phi if phi >= 1 + 2 * math.sqrt(2 / (blocks * (len(series) - 1))) else 1.0


def _spread(observed: Sequence[float], expected: Sequence[float], phi: float) -> float:
    mean = sum(expected) / len(expected)
    if mean < FEWEST:
        return 0.0
    square = sum((seen - wanted) ** 2 / wanted for seen, wanted in zip(observed, expected, strict=True))
    return math.sqrt(max(0.0, (square / (len(observed) - 1) - phi) / mean))


def by_time(hour: Sequence[HourRow], event: int) -> Dispersion:
    """Dispersion around a moving mean, where no groups are known: Pearson's statistic over its degrees of freedom.

    1 where chance explains it: a Poisson count of mean m has a squared residual of variance 2 + 1/m.
    """
    counts = list(_series(hour, event).values())
    statistic = chance = 0.0
    freedom = 0
    for at, one in enumerate(counts):
        window = counts[max(0, at - WINDOW // 2) : at + WINDOW // 2 + 1]
        requests = sum(near.requests for near in window)
        mean = one.requests * sum(near.bad for near in window) / requests
        variance = mean * (1 - one.requests / requests)
        if variance > 0:
            statistic += (one.bad - mean) ** 2 / variance
            chance += 2 + 1 / mean
            freedom += 1
    if freedom == 0:
        return NONE
    phi = statistic / freedom
    return Dispersion(phi if phi >= 1 + 2 * math.sqrt(chance) / freedom else 1.0, 0.0)
