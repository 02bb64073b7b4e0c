"""The frame of the sources that a comparison counts by: settings with secrets, readings, when to return.

A source is one class with `hour`, `counts` and `versions`. Both activities of it come to `ComparisonRunner`, which does
all that sources have in common.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from temporalio import activity

from activities.metrics.past import learn_warm_up
from activities.metrics.provider import ConfigError, RateLimitedError, ResponseError
from activities.metrics.secret_arguments import SecretArgumentError, SecretArguments
from activities.secrets.store import NamedSecrets
from activities.transport.errors import rate_limited, rejected, unavailable
from activities.transport.http import TransportError
from activities.transport.oauth2 import TokenError
from tidegate.analysis.compare.evidence import VERSION, outdated_text
from tidegate.analysis.compare.judge import ALARM, judge_reading
from tidegate.analysis.compare.models import (
    BadEvent,
    Comparison,
    CountRow,
    HourRow,
    Judgement,
)
from tidegate.analysis.compare.pace import PACE, Pace
from tidegate.analysis.compare.provable import chosen_plus, provable
from tidegate.analysis.compare.settings import (
    ComparisonSettingsError,
    after_promotion,
    at_full_traffic,
    automatic_margins,
    comparison_of,
    side_by_side,
)
from tidegate.analysis.compare.state import ComparisonState, open_state
from tidegate.contract import (
    AnalysisKind,
    BeginComparison,
    CompareReadings,
    CompareRequest,
    CompareTarget,
    ComparisonBegun,
    CountReading,
    Document,
)
from tidegate.manifests.analysis_template import Metric
from tidegate.manifests.decode import decode_object
from tidegate.manifests.findings import ManifestError
from tidegate.manifests.plain_text import harmless
from tidegate.manifests.providers.compare import AUTO, KEY, LATENCY_EVENTS, Compare
from tidegate.manifests.version_tag import is_hash_tag

HOUR = 3600
"""Seconds, also the longest window of one question."""
STUCK_FACTOR = 4
"""Times stable's p99 after which a request counts as stuck."""
SHOWN_OTHERS = 0.05
"""Share of requests of other versions from which on they are mentioned."""


@dataclass(frozen=True)
class CountQuery:
    """Counts to be read, with every argument in place. `versions` are canary's and stable's values of the tag."""

    settings: Compare
    wanted: Comparison
    namespace: str
    rollout: str
    hashes: tuple[str, str]
    versions: tuple[str, str]

    def with_thresholds(self, thresholds: Mapping[str, float]) -> CountQuery:
        """The same with the seconds that latency events are slower than."""
        return replace(self, wanted=_with_thresholds(self.wanted, thresholds))

    def of_versions(self, names: tuple[str, str]) -> CountQuery:
        """The same for other versions, by what the source calls them: a tag's value, or the hash of a pod template."""
        return replace(self, hashes=names, versions=names)

    def of_events(self, events: tuple[BadEvent, ...]) -> CountQuery:
        """The same for these events only."""
        return replace(self, wanted=self.wanted.model_copy(update={"events": events}))


@dataclass(frozen=True)
class Counted:
    """Rows of a window, and notes for people."""

    rows: Sequence[CountRow]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class HourCounts:
    """Stable in an hour: seconds that latency events are slower than, by event, its rows, and those of its groups.

    `queries` is the number of series that a reading of both versions asks for.
    """

    thresholds: Mapping[str, float]
    rows: Sequence[HourRow]
    groups: Mapping[str, Sequence[HourRow]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    queries: int = 0


class CountSource(Protocol):
    """One source of counts, as the frame sees it; `start` and `end` are unix seconds on the bucket grid.

    All methods raise ConfigError, ResponseError, RateLimitedError, TransportError and TokenError.
    """

    async def hour(self, query: CountQuery, start: int, end: int) -> HourCounts:
        """Stable from `start` up to `end`, which is at most an hour."""
        ...

    async def versions(self, query: CountQuery, start: int, end: int) -> Mapping[int, Mapping[str, float]]:
        """Requests by the start of an hour and by version; both times are whole hours, at most a week apart."""
        ...

    async def counts(self, query: CountQuery, start: int, end: int) -> Counted:
        """Both versions from `start` up to `end`, which is at most an hour; a bucket without a point has no row."""
        ...


@dataclass(frozen=True)
class ComparisonRunner:
    """Both activities of the source with the key `key`; `clock` gives unix seconds, `sleep` waits for some."""

    key: str
    secrets: NamedSecrets
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    pace: Pace = PACE

    async def begin(self, request: BeginComparison, source: CountSource) -> ComparisonBegun:
        """The comparison in numbers, by the hour before `at`.

        Raises ApplicationError: `RateLimited` with the delay that the source asks for, `Unavailable` for no usable
        answer, and `Rejected` for settings or versions that cannot be compared.
        """
        target = request.target
        async with self.arguments(target.namespace, target.secret_args) as arguments:
            settings = self.settings(target.metric, arguments)
            wanted = comparison_of(settings, plus=request.plus, metrics=request.metrics)
            query = _of_the_hour(target, _query(target, settings, _suited(wanted, request.kind)))
            started = await begin_at(query, source, request)
            return started.model_copy(update={"notes": _notes(arguments, started.notes)})

    async def readings(self, request: CompareRequest, source: CountSource) -> CompareReadings:
        """Readings one after the other, until a minute is over or they say something.

        Raises as `begin` does, when there is no reading at all; those that there are come first.
        """
        readings: list[CountReading] = []
        notes: dict[str, None] = {}
        target = request.target
        if request.state.version != VERSION:  # another worker may be newer
            raise unavailable(self.key, f"{outdated_text(request.state.version)}: update this worker")
        async with self.arguments(target.namespace, target.secret_args) as arguments:
            settings = self.settings(target.metric, arguments)
            query = _query(request.target, settings, request.wanted)
            state, ends = request.state, self.clock() + self.pace.whole
            while True:
                now = self.clock()
                try:
                    counted = await read_counts(query, source, state.table.final, now)
                except (RateLimitedError, ResponseError, TransportError, TokenError):
                    if not readings:
                        raise
                    break
                rows = _changed(state, counted.rows)
                readings.append(CountReading(at=now, rows=rows))
                notes |= dict.fromkeys(counted.notes)
                state, judgement = judge_reading(
                    request.wanted,
                    state,
                    rows,
                    request.weights,
                    now,
                    first_traffic=request.first_traffic,
                    concludes=request.concludes,
                )
                activity.heartbeat(state.table.final)
                wait = self._wait(request, judgement, now)
                if _says_something(request, judgement) or now + wait > ends:
                    break
                await self.sleep(wait)
            return CompareReadings(readings=tuple(readings), notes=_notes(arguments, notes))

    def _wait(self, request: CompareRequest, judgement: Judgement, now: float) -> float:
        newest = max((weight.since for weight in request.weights if weight.since <= now), default=request.first_traffic)
        return self.pace.wait(now - newest, alarmed=judgement.alarm >= ALARM)

    @asynccontextmanager
    async def arguments(
        self, namespace: str, secret_args: Mapping[str, Mapping[str, str]]
    ) -> AsyncIterator[SecretArguments]:
        """Secrets for the settings; what goes wrong is an ApplicationError without any of them in it."""
        arguments = SecretArguments({})
        try:
            arguments = await SecretArguments.read(self.secrets, namespace, secret_args)
            yield arguments
        except SecretArgumentError as error:
            raise (rejected if error.final else unavailable)(self.key, str(error)) from error
        except RateLimitedError as error:
            raise rate_limited(f"{self.key}: rate limit exceeded", error.delay) from None
        except (ConfigError, ComparisonSettingsError, ManifestError) as error:
            raise rejected(self.key, harmless(arguments.mask(str(error)))) from None
        except (ResponseError, TransportError, TokenError) as error:
            raise unavailable(self.key, harmless(arguments.mask(str(error)))) from None

    def settings(self, document: Document, arguments: SecretArguments) -> Compare:
        """Settings of a metric with its secrets in their place. Raises ConfigError for those of another source."""
        metric = decode_object(Metric, arguments.put_into(document), str(document.get("name", "")))
        settings = metric.provider.compare
        if settings is None or getattr(settings, self.key, None) is None:
            raise ConfigError(f"provider.plugin.{KEY}.{self.key} is missing: this metric is counted elsewhere")
        return settings


async def begin_at(query: CountQuery, source: CountSource, request: BeginComparison) -> ComparisonBegun:
    """The comparison by the hour before `request.at`; notes may still hold secrets. Raises as `CountSource.hour`."""
    bucket = query.wanted.bucket
    end = int(request.at // bucket) * bucket
    hour = await source.hour(query, end - HOUR // bucket * bucket, end)
    wanted = _with_thresholds(query.wanted, hour.thresholds)
    margins = {
        name: chosen_plus(wanted, hour.rows, request.weights, name)
        for name in automatic_margins(query.settings)
        if name not in request.plus and not wanted.alone
    }
    wanted = _with_margins(wanted, margins)
    notes = tuple(hour.notes)
    if query.settings.warm_up == AUTO:
        seconds, note = await learn_warm_up(replace(query, wanted=wanted), source, request.at)
        wanted, notes = wanted.model_copy(update={"warm_up": seconds}), (*notes, note)
    return ComparisonBegun(
        wanted=wanted,
        state=open_state(wanted, hour.rows, hour.groups or None, request.first_traffic),
        forecast=provable(wanted, hour.rows, request.weights),
        queries=hour.queries,
        notes=notes,
    )


async def read_counts(query: CountQuery, source: CountSource, start: int, now: float) -> Counted:
    """Counts of all whole buckets from `start` to `now`, an hour at a time. Raises as `CountSource.counts`."""
    bucket = query.wanted.bucket
    end = int(now // bucket) * bucket
    longest = HOUR // bucket * bucket
    rows: list[CountRow] = []
    notes: dict[str, None] = {}
    for first in range(start, end, longest):
        counted = await source.counts(query, first, min(first + longest, end))
        rows += counted.rows
        notes |= dict.fromkeys(counted.notes)
    return Counted(rows, tuple(notes))


def _query(target: CompareTarget, settings: Compare, wanted: Comparison) -> CountQuery:
    given = settings.versions
    versions = (given.canary or target.canary_version, given.stable or target.stable_version)
    return CountQuery(settings, wanted, target.namespace, target.rollout, (target.canary, target.stable), versions)


def _of_the_hour(target: CompareTarget, query: CountQuery) -> CountQuery:
    """The same for the version that stable's hour before is read of."""
    if not target.hour:
        return query
    by_hash = query.settings.datadog is not None and is_hash_tag(query.settings.datadog.version_tag)
    version = target.hour if by_hash else target.hour_version
    return replace(query, hashes=(query.hashes[0], target.hour), versions=(query.versions[0], version))


def _suited(wanted: Comparison, kind: AnalysisKind | Literal[""]) -> Comparison:
    """The comparison as a run of this kind can carry it out. Raises ComparisonSettingsError where none can be."""
    if kind == AnalysisKind.BAKE:
        return at_full_traffic(wanted)
    if kind == AnalysisKind.POST_PROMOTION:
        return after_promotion(wanted)
    return side_by_side(wanted) if kind == AnalysisKind.EXPERIMENT else wanted


def _with_thresholds(wanted: Comparison, thresholds: Mapping[str, float]) -> Comparison:
    events = [
        event.model_copy(update={"slower_than": thresholds[event.name]}) if event.name in thresholds else event
        for event in wanted.events
    ]
    return wanted.model_copy(update={"events": tuple(events)})


def _with_margins(wanted: Comparison, plus: Mapping[str, float]) -> Comparison:
    def changed(event: BadEvent) -> BadEvent:
        margin = event.margin.model_copy(update={"plus": plus.get(event.name, event.margin.plus)})
        return event.model_copy(update={"margin": margin})

    return wanted.model_copy(update={"events": tuple(map(changed, wanted.events))})


def _changed(state: ComparisonState, rows: Sequence[CountRow]) -> tuple[CountRow, ...]:
    known = {row.start: row for row in state.table.rows}
    return tuple(row for row in rows if known.get(row.start) != row)


def _says_something(request: CompareRequest, judgement: Judgement) -> bool:
    return judgement.ruling is not request.ruling or (judgement.alarm >= ALARM) != request.alarmed


def _notes(arguments: SecretArguments, notes: Mapping[str, None] | Sequence[str]) -> tuple[str, ...]:
    return tuple(harmless(arguments.mask(note)) for note in notes)


def latency_thresholds(p90: float, p99: float) -> dict[str, float]:
    """Seconds that each latency event is slower than, by stable's own percentiles."""
    return dict(zip(LATENCY_EVENTS, (p90, p99, STUCK_FACTOR * p99), strict=True))


def others_note(requests: float, others: Mapping[str, float], tag: str) -> tuple[str, ...]:
    """A note where requests of other versions are many; they are left out of all counts."""
    share = sum(others.values()) / requests if requests > 0 else 0.0
    if share <= SHOWN_OTHERS:
        return ()
    names = ", ".join(sorted(others)[:3])
    return (f"{100 * share:.0f} % of the requests are of other versions ({tag}: {names}) and are left out",)
