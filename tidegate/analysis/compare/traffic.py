"""Traffic that the canary is seen to answer: lost requests, and a share that is unlike the weight.

A canary that dies of its requests shows no bad answer. Only its share of the requests does. A share that is too large
or too small also says that the canary's requests are no random part of the traffic, so nothing is concluded from them.
"""

from __future__ import annotations

import math
from typing import Final

from tidegate.analysis.compare.bets import grow
from tidegate.analysis.compare.evidence import Evidence, Wealth
from tidegate.analysis.compare.mixtures import LOST, LOST_SHARES
from tidegate.analysis.compare.models import ERRORS, Comparison, CountRow, Counts, Weight

FIRST_SECONDS: Final = 20
"""Seconds after a change of weight in which a proxy may not have it yet."""
MOST_EXPECTED: Final = 30
"""Canary requests of one bucket that count at most: routing is no coin that is thrown for each request."""
HALF_LIFE: Final = 300
"""Seconds, of the share that the canary answers."""
LEAST_SHARE: Final = 0.75
LARGEST_SHARE: Final = 1.33


def traffic_event(wanted: Comparison) -> int:
    """Index of the event whose requests are the traffic: the errors, or the first one."""
    return next((at for at, event in enumerate(wanted.events) if event.name == ERRORS), 0)


def traffic_of(wanted: Comparison, row: CountRow) -> Counts:
    """Counts that shares of the traffic are taken of."""
    at = traffic_event(wanted)
    return row.counts[at] if at < len(row.counts) else Counts()


def with_lost(evidence: Evidence, counts: Counts, weight: Weight, start: float) -> tuple[Wealth, tuple[float, ...]]:
    """Wealth of the bets that requests are lost, and canary's and all requests at this weight.

    A bucket without a point of the canary has none of its requests.
    """
    canary, stable = counts.canary or 0.0, counts.stable
    if stable is None or canary + stable <= 0 or start - weight.since < FIRST_SECONDS:
        return evidence.lost, evidence.seen
    total, share = canary + stable, weight.share
    scale = min(1.0, MOST_EXPECTED / (total * share))
    logs = [scale * _log_ratio(canary, total, share * part, share / 2) for part in LOST_SHARES]
    return grow(evidence.lost, logs, LOST), (evidence.seen[0] + canary, evidence.seen[1] + total)


def _log_ratio(canary: float, total: float, bet: float, edge: float) -> float:
    return canary * math.log(bet / edge) + (total - canary) * math.log((1 - bet) / (1 - edge))


def with_share(evidence: Evidence, counts: Counts, weight: Weight, bucket: int) -> tuple[float, ...]:
    """Decayed sums of canary's requests, those that the weight asks for, all requests, and seconds."""
    if not counts.canary or not counts.stable:
        return evidence.share
    keep = 2 ** (-bucket / HALF_LIFE)
    total = counts.canary + counts.stable
    added = (counts.canary, total * weight.share, total, bucket)
    return tuple([keep * old + new for old, new in zip(evidence.share, added, strict=True)])


def share_answered(evidence: Evidence) -> float | None:
    """Requests of the canary as a part of those that its weight asks for, 0 or more; None before any bucket."""
    canary, expected = evidence.share[:2]
    return canary / expected if expected > 0 else None


def is_fair(evidence: Evidence) -> bool:
    """True when the canary answers about as much as its weight says. False before any bucket."""
    share = share_answered(evidence)
    return share is not None and LEAST_SHARE <= share <= LARGEST_SHARE
