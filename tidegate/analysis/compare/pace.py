"""How often a comparison reads its counts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from tidegate.manifests.providers.compare import LATENCY_EVENTS

PERCENTILES: Final = 2
HOSTS: Final = 2
"""Series of stable's hour before beside its counts."""


def series_of(events: Iterable[str]) -> int:
    """Number of series that a reading of these events asks for; latency events have one of all requests in common."""
    names = tuple(events)
    slow = sum(name in LATENCY_EVENTS for name in names)
    return 2 * (len(names) - slow) + (slow + 1 if slow else 0)


def hour_series(events: Iterable[str]) -> int:
    """Number of series that the hour before takes, about."""
    return series_of(events) + PERCENTILES + HOSTS


class Pace(NamedTuple):
    """Seconds between readings after a change of weight or while there is an alarm, and else.

    `whole` is how long one call reads on, `settling` how long after a change readings are near to each other.
    """

    near: float = 10
    far: float = 30
    whole: float = 60
    settling: float = 180

    def wait(self, since_change: float, *, alarmed: bool) -> float:
        """Seconds until the next reading."""
        return self.near if alarmed or since_change < self.settling else self.far

    def readings(self, seconds: float, weights: int) -> int:
        """Number of readings in a release without an alarm; each call reads at its beginning and at its end."""
        settling = min(seconds, self.settling * weights)
        return math.ceil(
            settling * (1 / self.near + 1 / self.whole) + (seconds - settling) * (1 / self.far + 1 / self.whole)
        )


PACE: Final = Pace()
