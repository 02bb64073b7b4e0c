"""How long new pods of a service are cold, learned from earlier versions: `warmUp: auto`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from tidegate.analysis.compare.models import Comparison, CountRow

SHORTEST: Final = 60.0
LONGEST: Final = 600.0
"""Seconds between which a warm-up is learned."""
WATCHED: Final = 1200
"""Seconds of a version that are looked at: the second half is its own later level."""
WINDOW: Final = 60
"""Seconds of requests that are held against that level."""
LEVEL: Final = 1.25
"""Times the later level at which a version counts as warm."""
DEVIATIONS: Final = 2
"""Standard deviations of a count that chance explains."""
QUANTILE: Final = 0.9
LEARNED_FROM: Final = 5
"""Versions that are looked at, the newest of the last `LOOKED_BACK` seconds."""
LOOKED_BACK: Final = 30 * 86_400
SERIES: Final = 35
"""Series that are asked for, about: five weeks of hours, and six of each version."""
FEWEST: Final = 100
"""Requests in the second half that make a level."""


def warm_after(wanted: Comparison, rows: Iterable[CountRow], first: int) -> float | None:
    """Age in seconds at which every event of a version came down to its own later level, at most `LONGEST`.

    `rows` hold the version as canary, `first` is the start of its first bucket. None where its level is not known.
    """
    known = list(rows)
    ages = [
        age for at in range(len(wanted.events)) if (age := _event(_counts(known, at, first), wanted.bucket)) is not None
    ]
    return max(ages, default=None)


def _counts(rows: Sequence[CountRow], event: int, first: int) -> dict[int, tuple[float, float]]:
    """Requests and bad ones by age."""
    found = ((row.start - first, row.counts[event]) for row in rows)
    return {age: (counts.canary, counts.canary_bad or 0.0) for age, counts in found if age >= 0 and counts.canary}


def _event(counts: dict[int, tuple[float, float]], bucket: int) -> float | None:
    requests, bad = _within(counts, int(LONGEST), WATCHED)
    if requests < FEWEST:
        return None
    limit = LEVEL * bad / requests
    window = max(WINDOW, bucket)
    for age in range(0, int(LONGEST), bucket):
        seen, worse = _within(counts, age, age + window)
        expected = limit * seen
        if seen > 0 and worse <= expected + DEVIATIONS * math.sqrt(max(expected, 1.0)):
            return float(age)
    return LONGEST


def _within(counts: dict[int, tuple[float, float]], start: int, end: int) -> tuple[float, float]:
    found = [each for age, each in counts.items() if start <= age < end]
    return float(sum(requests for requests, _ in found)), float(sum(bad for _, bad in found))


def learned_warm_up(ages: Sequence[float]) -> float:
    """Seconds that nine of ten versions were warm after, within `SHORTEST` and `LONGEST`; `SHORTEST` without any."""
    if not ages:
        return SHORTEST
    found = sorted(ages)[math.ceil(QUANTILE * len(ages)) - 1]
    return min(LONGEST, max(SHORTEST, found))
