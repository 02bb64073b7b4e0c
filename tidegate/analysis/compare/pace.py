"""How often a comparison reads its counts."""

from __future__ import annotations

import math
from typing import Final, NamedTuple


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
