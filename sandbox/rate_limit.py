"""Rate limit of an embedded API: so many requests in each period, periods being aligned to the clock."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Taken:
    """What one request found: whether it was within the limit, how many are left, and when the period ends."""

    allowed: bool
    remaining: int
    reset_at: float


@dataclass
class RateLimit:
    """`limit` requests in each `period` of seconds; both may be changed while it is in use."""

    limit: int
    period: int
    _number: int = field(default=-1, init=False)
    _used: int = field(default=0, init=False)

    def take(self, now: float) -> Taken:
        """Count one request at `now` (unix seconds)."""
        number = int(now // self.period)
        self._used = self._used + 1 if number == self._number else 1
        self._number = number
        remaining = max(0, self.limit - self._used)
        return Taken(self._used <= self.limit, remaining, float((number + 1) * self.period))
