"""One simulated rollout as the product sees it: counts in, a decision out, by the product's own functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from tidegate.analysis.compare.judge import judge
from tidegate.analysis.compare.models import (
    BadEvent,
    Comparison,
    CountRow,
    DecisionPoint,
    HourRow,
    Judgement,
    Margin,
    Ruling,
    Weight,
)
from tidegate.analysis.compare.state import open_state, read

EVENTS: Final = (
    BadEvent(
        name="errors",
        margin=Margin(times=1.25, plus=0.001),
        early=(Margin(times=2, plus=0.02), Margin(times=1.5, plus=0.005)),
    ),
    BadEvent(
        name="slow90",
        margin=Margin(times=1.5, plus=0),
        early=(Margin(times=2.5, plus=0.05), Margin(times=2, plus=0.02)),
    ),
    BadEvent(
        name="slow99",
        margin=Margin(times=2, plus=0),
        early=(Margin(times=3, plus=0.02), Margin(times=2.5, plus=0.01)),
    ),
    BadEvent(
        name="stuck",
        margin=Margin(times=2, plus=0.002),
        early=(Margin(times=2, plus=0.02), Margin(times=2, plus=0.005)),
    ),
)
"""The defaults of `tidegate/compare`."""
ACTIONS: Final = {Ruling.ABORT: "abort", Ruling.CLEAR: "advance", Ruling.WAIT: "hold", Ruling.UNDECIDED: "pause"}


class Session:
    """A comparison from the hour before until its end. Times are seconds since the canary's first traffic.

    `pods` is the number of stable's pods, 0 where it is not known.
    """

    def __init__(
        self,
        wanted: Comparison,
        hour: Sequence[HourRow],
        groups: Mapping[str, Sequence[HourRow]] | None,
        shares: Sequence[float],
        pods: int = 0,
    ) -> None:
        self.wanted, self._shares, self._pods = wanted, shares, pods
        self._state = open_state(wanted, hour, groups, 0)
        self.weights: list[Weight] = []
        self.judgement: Judgement | None = None

    def step(self, now: int, index: int, since: int, rows: Sequence[CountRow]) -> str:
        """Judge what has become visible by `now`, at the weight `index` which began at `since`."""
        if not self.weights or self.weights[-1].index != index:
            self.weights.append(self._weight(index, since))
        self._state, evidence = read(self.wanted, self._state, rows, self.weights, now)
        settle = self._state.table.settle
        point = DecisionPoint(now=now, first_traffic=0, weight=self.weights[-1], settle=settle)
        self.judgement = judge(self.wanted, evidence, point)
        return ACTIONS[self.judgement.ruling]

    def _weight(self, index: int, since: int) -> Weight:
        share = self._shares[index]
        return Weight(
            since=since,
            share=share,
            canary_pods=math.ceil(share * self._pods),
            stable_pods=self._pods,
            index=index,
            last=index == len(self._shares) - 1,
        )
