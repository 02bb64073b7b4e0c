"""Judgements of a comparison about counts of the past: a change of version, and a version against itself.

Readings come as often as in a release, and each is judged by `judge_reading`, as there. All values are final, so only
what would have come late is not played.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import Final

from tidegate.analysis.compare.judge import ALARM, judge_reading
from tidegate.analysis.compare.models import (
    CompareModel,
    Comparison,
    CountRow,
    Counts,
    HourRow,
    Judgement,
    OnUnfair,
    Ruling,
    VersionCounts,
    Weight,
)
from tidegate.analysis.compare.pace import PACE
from tidegate.analysis.compare.state import ComparisonState, weight_to_judge


class Outcome(StrEnum):
    """Ending of a comparison."""

    PROVEN = "Proven"
    HARM = "Harm"
    UNDECIDED = "undecided"


_OUTCOMES: Final = {Ruling.ABORT: Outcome.HARM, Ruling.CLEAR: Outcome.PROVEN}


class PastJudgement(CompareModel):
    """Ending of a comparison after so many seconds from the canary's first traffic, and its sentence."""

    outcome: Outcome
    event: str
    sentence: str
    seconds: float


def for_past(wanted: Comparison) -> Comparison:
    """The comparison without what weights are needed for that were not made of the same counts."""
    return wanted.model_copy(update={"lost": False, "on_unfair": OnUnfair.IGNORE})


@dataclass
class _Playback:
    """Readings of one comparison, one after the other; `now` is the time of the newest, in unix seconds."""

    wanted: Comparison
    state: ComparisonState
    first_traffic: float
    now: float = field(init=False)
    alarmed: bool = False

    def __post_init__(self) -> None:
        self.now = self.first_traffic

    def pass_time(self, weights: Sequence[Weight]) -> None:
        """Wait until the next reading."""
        newest = max((weight.since for weight in weights if weight.since <= self.now), default=self.first_traffic)
        self.now += PACE.wait(self.now - newest, alarmed=self.alarmed)

    def read(self, rows: Sequence[CountRow], weights: Sequence[Weight]) -> Judgement:
        """Take up new rows and judge."""
        self.state, judgement = judge_reading(
            self.wanted, self.state, rows, weights, self.now, first_traffic=self.first_traffic
        )
        self.alarmed = judgement.alarm >= ALARM
        return judgement

    def past(self, judgement: Judgement, outcome: Outcome) -> PastJudgement:
        """The judgement as what the comparison came to."""
        seconds = self.now - self.first_traffic
        return PastJudgement(outcome=outcome, event=judgement.event, sentence=judgement.sentence, seconds=seconds)

    def decided(self, judgement: Judgement, weights: Sequence[Weight]) -> PastJudgement | None:
        """Return how it ended, None while it goes on: before the last weight a clear only leads to the next weight."""
        weight = weight_to_judge(weights, self.now)
        if judgement.ruling is Ruling.WAIT or (
            judgement.ruling is Ruling.CLEAR and not (weight is not None and weight.last)
        ):
            return None
        return self.past(judgement, _OUTCOMES.get(judgement.ruling, Outcome.UNDECIDED))


def judge_past(
    wanted: Comparison, state: ComparisonState, rows: Sequence[CountRow], weights: Sequence[Weight]
) -> PastJudgement:
    """Judge a change as the comparison would have, whose counts are `rows`, in order of time, at these weights.

    `state` is that before the first bucket. Undecided at the end of the counts when nothing was decided until then.
    Raises ValueError without weights.
    """
    if not weights:
        raise ValueError("a change without weights cannot be judged")
    played = _Playback(wanted, state, weights[0].since)
    end = rows[-1].start + wanted.bucket + wanted.settle if rows else played.now
    given = 0
    while True:
        played.pass_time(weights)
        new = given
        while new < len(rows) and rows[new].start + wanted.bucket <= played.now:
            new += 1
        judgement = played.read(rows[given:new], weights)
        given = new
        if (found := played.decided(judgement, weights)) is not None:
            return found
        if played.now >= end:
            return played.past(judgement, Outcome.UNDECIDED)


@dataclass(frozen=True)
class Split:
    """Names of the groups that are the canary at each weight, and the share of the requests that they have."""

    canaries: tuple[frozenset[str], ...]
    shares: tuple[float, ...]


def splits(requests: Mapping[str, float], shares: Sequence[float], most: int) -> Iterator[Split]:
    """Yield at most so many different splits of groups by their requests, each as near to the shares as groups allow.

    A larger weight has the groups of the smaller one and more. Neither side is ever empty. The order in which groups
    come to the canary is made of a hash of their names, so the same groups give the same splits.
    """
    total, seen = math.fsum(requests.values()), set()
    if len(requests) < 2 or total <= 0:
        return
    for number in range(8 * most):
        order = sorted(requests, key=lambda name: hashlib.sha256(f"{number} {name}".encode()).digest())
        sums = list(accumulate(requests[name] / total for name in order))[:-1]
        counts = list(accumulate((_nearest(sums, share) for share in shares), max))
        canaries = tuple(frozenset(order[:count]) for count in counts)
        if canaries in seen:
            continue
        seen.add(canaries)
        yield Split(canaries, tuple(sums[count - 1] for count in counts))
        if len(seen) >= most:
            return


def _nearest(sums: Sequence[float], share: float) -> int:
    """Number of groups whose share is nearest to a share."""
    return min(range(len(sums)), key=lambda at: abs(sums[at] - share)) + 1


def judge_split(
    wanted: Comparison, state: ComparisonState, groups: Mapping[str, Sequence[HourRow]], split: Split
) -> PastJudgement:
    """Judge a version against itself. The next weight comes as soon as one is clear.

    Raises ValueError without counts.
    """
    buckets = _by_bucket(groups)
    if not buckets:
        raise ValueError("groups without counts cannot be judged")
    first, end = min(buckets), max(buckets) + wanted.bucket
    played = _Playback(wanted, state, first)
    weights = [_weight(split, 0, groups, first)]
    read_until = first
    while True:
        played.pass_time(weights)
        until = int(min(played.now, end) // wanted.bucket) * wanted.bucket
        starts = range(read_until, until, wanted.bucket)
        canary = split.canaries[len(weights) - 1]
        rows = [_row(start, buckets[start], canary) for start in starts if start in buckets]
        judgement, read_until = played.read(rows, weights), until
        if (found := played.decided(judgement, weights)) is not None:
            return found
        if played.now >= end + wanted.settle:
            return played.past(judgement, Outcome.UNDECIDED)
        if judgement.ruling is Ruling.CLEAR:
            weights.append(_weight(split, len(weights), groups, until))


def _weight(split: Split, index: int, groups: Mapping[str, Sequence[HourRow]], since: float) -> Weight:
    canaries = len(split.canaries[index])
    return Weight(
        since=since,
        share=split.shares[index],
        canary_pods=canaries,
        stable_pods=len(groups) - canaries,
        index=index,
        last=index == len(split.shares) - 1,
    )


def _by_bucket(groups: Mapping[str, Sequence[HourRow]]) -> dict[int, dict[str, HourRow]]:
    found: dict[int, dict[str, HourRow]] = {}
    for name in sorted(groups):
        for row in groups[name]:
            found.setdefault(row.start, {})[name] = row
    return found


def _row(start: int, by_group: Mapping[str, HourRow], canary: frozenset[str]) -> CountRow:
    sides = [[row for name, row in by_group.items() if (name in canary) is wanted] for wanted in (True, False)]
    events = len(next(iter(by_group.values())).counts)
    counts = []
    for event in range(events):
        one, two = ([found for row in side if (found := row.counts[event]) is not None] for side in sides)
        counts.append(Counts(*_summed(one), *_summed(two)))
    return CountRow(start=start, counts=tuple(counts))


def _summed(counts: Sequence[VersionCounts]) -> tuple[float | None, float | None]:
    if not counts:
        return None, None
    return float(sum(one.requests for one in counts)), float(sum(one.bad for one in counts))
