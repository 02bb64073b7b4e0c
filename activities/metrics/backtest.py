"""The frame of backtests by a source of counts: which versions changed when, and what the comparison says of it.

It reads what a comparison in a release reads, at times of the past, and folds it by the same pure code. Folding takes
seconds, so it runs in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol

from activities.metrics.comparison import (
    ComparisonRunner,
    Counted,
    CountQuery,
    CountSource,
    HourCounts,
    begin_at,
    read_counts,
)
from activities.metrics.past import first_traffic, read_hours
from activities.metrics.provider import ConfigError
from tidegate.analysis.compare.backtest import PastJudgement, Split, for_past, judge_past, judge_split, splits
from tidegate.analysis.compare.history import HOUR, stable_hours, version_changes
from tidegate.analysis.compare.models import Comparison, HourRow, Weight
from tidegate.analysis.compare.pace import hour_series, series_of
from tidegate.analysis.compare.reconstruction import past_weights
from tidegate.analysis.compare.settings import comparison_of
from tidegate.analysis.compare.state import ComparisonState, open_state
from tidegate.analysis.compare.traffic import traffic_event
from tidegate.analysis.compare.variations import varied
from tidegate.contract import (
    MOST_CHANGES,
    MOST_HOURS,
    BeginComparison,
    CompareTarget,
    FindChanges,
    JudgeChange,
    JudgeStable,
    PastChange,
    PastTarget,
    SplitCounts,
    StableJudged,
    VersionHistory,
)
from tidegate.manifests.providers.compare import Compare

LONGEST_CHANGE: Final = 3 * HOUR
"""Seconds after the hour of a canary's first traffic in which a change is looked at, whatever `maxWait` says."""
MOST_WEIGHTS: Final = 20
"""Weights that a result names: a change that never held a weight has one each minute."""
_NOBODY: Final = "another"
"""In the place of a version that is not looked at."""
WEIGHT: Final = Weight(since=0, share=0.5, last=True)
"""Weight at which a version is compared with itself where no Rollout is known."""


class PastSource(CountSource, Protocol):
    """A source that also knows groups of pods. Its methods raise what those of CountSource do."""

    async def groups(self, query: CountQuery, start: int, end: int) -> Mapping[str, Sequence[HourRow]]:
        """Stable by groups of its pods from `start` up to `end`, which is at most an hour."""
        ...


@dataclass
class _Counting:
    """A source that counts how many series it is asked for."""

    source: PastSource
    queries: int = 0

    async def hour(self, query: CountQuery, start: int, end: int) -> HourCounts:
        found = await self.source.hour(query, start, end)
        self.queries += hour_series(_names(query))
        return found

    async def counts(self, query: CountQuery, start: int, end: int) -> Counted:
        self.queries += series_of(_names(query))
        return await self.source.counts(query, start, end)

    async def groups(self, query: CountQuery, start: int, end: int) -> Mapping[str, Sequence[HourRow]]:
        self.queries += series_of(_names(query))
        return await self.source.groups(query, start, end)

    async def versions(self, query: CountQuery, start: int, end: int) -> Mapping[int, Mapping[str, float]]:
        self.queries += 1
        return await self.source.versions(query, start, end)


@dataclass(frozen=True)
class BacktestRunner:
    """The three activities of a source, with the secrets of its comparisons.

    Each raises ApplicationError: `RateLimited` with the delay that the source asks for, `Unavailable` for no usable
    answer, and `Rejected` for settings that nothing can be compared with, and where there is no history.
    """

    comparing: ComparisonRunner

    async def find_changes(self, request: FindChanges, source: PastSource) -> VersionHistory:
        """The newest changes of version, and hours of one version alone."""
        asking = _Counting(source)
        async with self._settings(request.target) as settings:
            query = _query(request.target, settings, _NOBODY, _NOBODY)
            hours = await read_hours(query, asking, request.start, request.end)
            if not hours:
                days = (request.end - request.start) / 86_400
                raise ConfigError(f"there is no history: no request of any version in the last {days:.3g} days")
            changes = version_changes(hours)
            return VersionHistory(
                changes=changes[-MOST_CHANGES:],
                found=len(changes),
                stable=stable_hours(hours, MOST_HOURS),
                begins=min(hours),
                queries=asking.queries,
            )

    async def judge_change(self, request: JudgeChange, source: PastSource) -> PastChange:
        """Judge one change as the comparison would have."""
        asking, change = _Counting(source), request.change
        async with self._settings(request.target) as settings:
            query = _query(request.target, settings, change.canary, change.stable)
            first = await first_traffic(query, asking, change.since)
            started = await begin_at(query, asking, _begin(request, query, first))
            variations = [varied(for_past(started.wanted), setting) for setting in ("", *request.settings)]
            longest = min(LONGEST_CHANGE, max(each.max_wait for each in variations))
            query = replace(query, wanted=started.wanted)
            counted = await read_counts(query, asking, first, min(change.until, first + longest))
            found = past_weights(started.wanted, counted.rows, request.weights)
            if not found.weights:
                raise ConfigError("all requests went to one version at a time: there is nothing to compare")
            rows = [row for row in counted.rows if row.start < found.until]
            judged = [
                await asyncio.to_thread(judge_past, wanted, started.state, rows, found.weights) for wanted in variations
            ]
            return PastChange(
                change=change,
                weights=found.weights[:MOST_WEIGHTS],
                until=found.until,
                judgements=tuple(judged),
                queries=asking.queries,
            )

    async def judge_stable(self, request: JudgeStable, source: PastSource) -> StableJudged:
        """Judge one version against itself, for different splits of its pods."""
        asking, hour = _Counting(source), request.hour
        async with self._settings(request.target) as settings:
            query = _query(request.target, settings, _NOBODY, hour.version)
            before = await asking.hour(query, hour.start - HOUR, hour.start)
            query = query.with_thresholds(before.thresholds)
            groups = await asking.groups(query, hour.start, hour.start + HOUR)
            events = _known(groups, len(query.wanted.events))
            if len(groups) < 2 or not events:
                raise ConfigError(f"{len(groups)} groups of pods are known in that hour, and a split needs two")
            wanted = _only(for_past(query.wanted), events)
            state = open_state(wanted, _rows(before.rows, events), _grouped(before.groups, events), hour.start)
            variations = [varied(wanted, setting) for setting in ("", *request.settings)]
            counts = await _judge_splits(variations, state, _grouped(groups, events), request)
            names = tuple(event.name for event in wanted.events)
            return StableJudged(counts=tuple(counts), events=names, queries=asking.queries)

    @asynccontextmanager
    async def _settings(self, target: PastTarget) -> AsyncIterator[Compare]:
        async with self.comparing.arguments(target.namespace, target.secret_args) as arguments:
            yield self.comparing.settings(target.metric, arguments)


def _names(query: CountQuery) -> list[str]:
    return [event.name for event in query.wanted.events]


def _query(target: PastTarget, settings: Compare, canary: str, stable: str) -> CountQuery:
    """Counts of two versions by what the source calls them: a tag's value, or the hash of a pod template."""
    wanted = comparison_of(settings, metrics=target.metrics)
    versions = (canary, stable)
    return CountQuery(settings, wanted, target.namespace, target.rollout, versions, versions)


def _begin(request: JudgeChange, query: CountQuery, first: int) -> BeginComparison:
    target = CompareTarget(
        namespace=query.namespace,
        run=query.rollout,
        metric=request.target.metric,
        rollout=query.rollout,
        canary=query.hashes[0],
        stable=query.hashes[1],
    )
    weights = request.weights or (WEIGHT,)
    return BeginComparison(target=target, at=first, first_traffic=first, weights=weights)


async def _judge_splits(
    variations: Sequence[Comparison],
    state: ComparisonState,
    groups: Mapping[str, Sequence[HourRow]],
    request: JudgeStable,
) -> list[SplitCounts]:
    at = traffic_event(variations[0])
    requests = {
        name: float(sum(found.requests for row in rows if (found := row.counts[at]) is not None))
        for name, rows in groups.items()
    }
    shares = [weight.share for weight in request.weights or (WEIGHT,)]
    counts = [SplitCounts() for _ in variations]
    for split in splits(requests, shares, request.most):
        judged = await asyncio.to_thread(_judged, variations, state, groups, split)
        counts = [one.with_outcome(each.outcome) for one, each in zip(counts, judged, strict=True)]
    return counts


def _judged(
    variations: Sequence[Comparison], state: ComparisonState, groups: Mapping[str, Sequence[HourRow]], split: Split
) -> list[PastJudgement]:
    return [judge_split(wanted, state, groups, split) for wanted in variations]


def _known(groups: Mapping[str, Sequence[HourRow]], events: int) -> list[int]:
    """Indexes of the events that groups have counts for: Datadog's latency distributions know no hosts."""
    rows = [row for found in groups.values() for row in found]
    return [at for at in range(events) if any(row.counts[at] is not None for row in rows)]


def _only(wanted: Comparison, events: Sequence[int]) -> Comparison:
    return wanted.model_copy(update={"events": tuple(wanted.events[at] for at in events)})


def _rows(rows: Sequence[HourRow], events: Sequence[int]) -> list[HourRow]:
    return [HourRow(start=row.start, counts=tuple(row.counts[at] for at in events)) for row in rows]


def _grouped(groups: Mapping[str, Sequence[HourRow]], events: Sequence[int]) -> dict[str, list[HourRow]]:
    return {name: _rows(rows, events) for name, rows in groups.items()}
