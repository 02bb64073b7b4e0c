"""One simulated rollout in a closed loop: the judge moves the traffic, and the traffic decides what the judge sees."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from benchmarks.judge.chance import binomial
from benchmarks.judge.fleet import BUCKET, HOUR, PODS, SHARES, Fleet
from benchmarks.judge.session import EVENTS, Session
from tidegate.analysis.compare.models import Comparison, CountRow, Counts, HourRow, VersionCounts

FOR_A_PERSON: Final = 90
"""Buckets in which a paused rollout keeps its weight until somebody acts."""
Seen = dict[int, tuple[int, tuple[int, ...]]]


@dataclass(frozen=True)
class Outcome:
    """End of a rollout: promoted, aborted or held, after how many seconds, with how many extra bad requests."""

    end: str
    seconds: int
    harm: float
    sentence: str


@dataclass
class Backend:
    """What the source shows of each version: first a part, then all, errors perhaps later, some points never."""

    fleet: Fleet
    draw: random.Random
    canary: Seen = field(default_factory=dict)
    stable: Seen = field(default_factory=dict)
    _arriving: dict[int, list[tuple[Seen, int, float, tuple[int, tuple[int, ...]]]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def happened(self, at: int, truth: tuple[tuple[int, tuple[int, ...]], ...]) -> None:
        """Take up a bucket that is over."""
        metrics = self.fleet.service.metrics
        for series, counted in zip((self.canary, self.stable), truth, strict=True):
            first, whole = self.draw.uniform(10, 25), self.draw.uniform(30, 60)
            if self.draw.random() < metrics.missing:
                continue
            part, late = self.draw.uniform(0.3, 0.9), metrics.errors_late * self.draw.uniform(0.5, 1)
            requests, bad = counted
            self._arrive(series, at, first, part, counted)
            self._arrive(series, at, whole, 1.0, (requests, (0, *bad[1:])) if late > whole else counted)
            if late > whole:
                self._arrive(series, at, late, 1.0, counted)

    def _arrive(self, series: Seen, at: int, after: float, part: float, counted: tuple[int, tuple[int, ...]]) -> None:
        self._arriving[at + 1 + -int(-after // BUCKET)].append((series, at, part, counted))

    def read(self, tick: int) -> list[CountRow]:
        """Rows that are new or have changed."""
        changed = set()
        for series, at, part, (requests, bad) in self._arriving.pop(tick, []):
            seen = [binomial(self.draw, one, part) for one in bad]
            series[at] = (requests, bad) if part >= 1 else (round(requests * part), tuple(seen))
            changed.add(at)
        return [self._row(at) for at in sorted(changed)]

    def _row(self, at: int) -> CountRow:
        empty: tuple[None, tuple[None, ...]] = (None, (None,) * len(EVENTS))
        canary, stable = self.canary.get(at, empty), self.stable.get(at, empty)
        counts = [Counts(canary[0], one, stable[0], other) for one, other in zip(canary[1], stable[1], strict=True)]
        return CountRow(start=at * BUCKET, counts=tuple(counts))


def opened(fleet: Fleet) -> Session:
    """Begin a comparison with the hour before of all pods."""
    groups = {f"pod{at}": _rows(pod) for at, pod in enumerate(fleet.hour())}
    hour = [
        HourRow(start=rows[0].start, counts=tuple(map(_sum, zip(*(row.counts for row in rows), strict=True))))
        for rows in zip(*groups.values(), strict=True)
    ]
    wanted = Comparison(events=EVENTS, warm_up=max(60, fleet.service.cold))
    return Session(wanted, hour, groups, SHARES, PODS)


def _rows(pod: list[tuple[int, tuple[int, ...]]]) -> list[HourRow]:
    return [
        HourRow(start=(at - HOUR) * BUCKET, counts=tuple(VersionCounts(requests, one) for one in bad))
        for at, (requests, bad) in enumerate(pod)
    ]


def _sum(counts: tuple[VersionCounts | None, ...]) -> VersionCounts:
    known = [one for one in counts if one is not None]
    return VersionCounts(sum(one.requests for one in known), sum(one.bad for one in known))


def run(fleet: Fleet, watch: Callable[[int, Session], None] = lambda seconds, session: None) -> Outcome:
    """Play one rollout to its end, at most an hour. `watch` is called after each judgement, with its time."""
    session, backend = opened(fleet), Backend(fleet, random.Random(f"{fleet.seed} metrics"))
    index = since = 0
    harm = 0.0
    for tick in range(1, HOUR + 1):
        truth = fleet.bucket(tick - 1, index, since)
        backend.happened(tick - 1, truth)
        harm += _sent(fleet, tick - 1, SHARES[index]) * fleet.harm(tick - 1, index)
        action = session.step(tick * BUCKET, index, since * BUCKET, backend.read(tick))
        watch(tick * BUCKET, session)
        if action == "advance" and index < len(SHARES) - 1:
            index, since = index + 1, tick
        elif action != "hold":
            return _ended(fleet, session, action, tick, index, harm)
    return _ended(fleet, session, "hold", HOUR, index, harm)


def _sent(fleet: Fleet, at: int, share: float) -> float:
    return fleet.load(at) * share


def _ended(fleet: Fleet, session: Session, action: str, tick: int, index: int, harm: float) -> Outcome:
    """Add what a promoted version does to the end of the hour, or a paused one until a person acts."""
    sentence = session.judgement.sentence if session.judgement else ""
    if action == "abort":
        return Outcome("aborted", tick * BUCKET, harm, sentence)
    promoted = action == "advance"
    until = HOUR if promoted else min(HOUR, tick + FOR_A_PERSON)
    share = 1.0 if promoted else SHARES[index]
    harm += sum(_sent(fleet, at, share) * fleet.harm(at, index) for at in range(tick, until))
    return Outcome("promoted" if promoted else "held", tick * BUCKET, harm, sentence)
