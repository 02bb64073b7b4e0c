"""Weights of a past release, reconstructed from the share of the requests that the canary answered.

A share is looked at minute by minute. It is another weight when two minutes in a row differ from it by more than chance
explains. What the canary lost was never counted, so it looks like a smaller weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from tidegate.analysis.compare.models import Comparison, CountRow, Weight
from tidegate.analysis.compare.traffic import traffic_of

BLOCK: Final = 60
"""Seconds of requests that a share is taken of."""
DEVIATIONS: Final = 5
"""Standard deviations of a share that chance explains."""
ALWAYS: Final = 0.15
"""Part of a share by which it always varies: routing is no coin that is thrown for each request."""
NEAR: Final = 0.25
"""Part of a planned weight within which a share is taken for it."""
NONE: Final = 0.002
FULL: Final = 0.98
"""Shares below and above which all requests are of one version."""


class PastWeights(NamedTuple):
    """Weights from the canary's first traffic on, and the end (unix seconds) of what both versions answered."""

    weights: tuple[Weight, ...]
    until: float


class _Block(NamedTuple):
    start: int
    canary: float
    total: float


@dataclass
class _Level:
    """Blocks of one share, the first of which may have begun at another one."""

    blocks: list[_Block]

    @property
    def share(self) -> float:
        counted = self.blocks[1:] or self.blocks
        return sum(block.canary for block in counted) / sum(block.total for block in counted)

    def has(self, block: _Block) -> bool:
        """True for a share that differs from that of the level by no more than chance."""
        share, seen = self.share, block.canary / block.total
        likely = min(0.5, max(share, 1 / block.total))
        chance = DEVIATIONS * math.sqrt(likely * (1 - likely) / block.total)
        return abs(seen - share) <= max(chance, ALWAYS * min(share, 1 - share))


def past_weights(wanted: Comparison, rows: Sequence[CountRow], planned: Sequence[Weight]) -> PastWeights:
    """Reconstruct the weights. `planned` are those of the Rollout above 0 and below 100 %, none where it is not known.

    Empty where the canary has no requests beside stable's. The last one before full traffic is the last weight, or the
    Rollout's.
    """
    levels = _levels(_blocks(wanted, rows))
    while levels and levels[0].share < NONE:
        levels.pop(0)
    full = next((at for at, level in enumerate(levels) if level.share > FULL), None)
    until = levels[-1].blocks[-1].start + _length(wanted) if levels else 0
    if full is not None:
        until, levels = levels[full].blocks[0].start, levels[:full]
    while levels and levels[-1].share < NONE:
        until = levels.pop().blocks[0].start
    found = _joined([(level.blocks[0].start, _named(level.share, planned)) for level in levels])
    ends_full = full is not None
    return PastWeights(tuple(_weights(found, planned, ends_full=ends_full)), until)


def _length(wanted: Comparison) -> int:
    return max(1, BLOCK // wanted.bucket) * wanted.bucket


def _blocks(wanted: Comparison, rows: Sequence[CountRow]) -> list[_Block]:
    """Blocks with requests, from the first bucket in which the canary has any on."""
    counted = [(row.start, traffic_of(wanted, row)) for row in rows]
    first = next((start for start, counts in counted if (counts.canary or 0) > 0), None)
    if first is None:
        return []
    length, found = _length(wanted), []
    later = [(start, counts) for start, counts in counted if start >= first]
    for number, group in groupby(later, key=lambda each: (each[0] - first) // length):
        counts = [each for _, each in group]
        canary = float(sum(each.canary or 0 for each in counts))
        total = canary + sum(each.stable or 0 for each in counts)
        if total > 0:
            found.append(_Block(first + number * length, canary, total))
    return found


def _levels(blocks: Sequence[_Block]) -> list[_Level]:
    levels: list[_Level] = []
    odd: _Block | None = None
    for block in blocks:
        if not levels:
            levels.append(_Level([block]))
        elif levels[-1].has(block):
            levels[-1].blocks += [block] if odd is None else [odd, block]
            odd = None
        elif odd is None and len(levels[-1].blocks) > 1:
            odd = block
        else:  # the block before may hold the change itself
            levels.append(_Level([block] if odd is None else [odd, block]))
            odd = None
    if odd is not None:
        levels.append(_Level([odd]))
    return levels


def _named(share: float, planned: Sequence[Weight]) -> float:
    """The planned weight that a share is near to, else the share itself."""
    if share < NONE:
        return 0.0
    nearest = min(planned, key=lambda weight: abs(math.log(weight.share / share)), default=None)
    if nearest is not None and abs(share - nearest.share) <= NEAR * nearest.share:
        return nearest.share
    return share


def _joined(levels: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    return [next(group) for _, group in groupby(levels, key=lambda level: level[1])]


def _weights(levels: Sequence[tuple[int, float]], planned: Sequence[Weight], *, ends_full: bool) -> list[Weight]:
    lasts = {weight.share for weight in planned if weight.last}
    found: list[Weight] = []
    index = 0
    for at, (since, share) in enumerate(levels):
        last = share in lasts or (ends_full and at == len(levels) - 1)
        found.append(Weight(since=since, share=share, index=index, last=last))
        index += share > 0
    return found
