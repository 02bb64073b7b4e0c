"""Counts of canary and stable by Datadog, for the comparison: one request for each reading, all events together."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

from pydantic import JsonValue
from temporalio import activity

from activities.metrics.backtest import BacktestRunner
from activities.metrics.comparison import (
    ComparisonRunner,
    Counted,
    CountQuery,
    HourCounts,
    latency_thresholds,
)
from activities.metrics.datadog.access import Ask, DatadogAccess
from activities.metrics.datadog.count_answers import (
    Points,
    groups_of,
    read_hour,
    read_percentiles,
    read_points,
    read_rows,
)
from activities.metrics.datadog.count_queries import (
    HITS,
    HOST_TAG,
    PERCENTILES,
    CountQueries,
    count_queries,
    hits_query,
    normal_tag,
    percentile_body,
    percentile_queries,
    timeseries_body,
)
from activities.metrics.datadog.credentials import CredentialsError, CredentialsFinder
from activities.metrics.datadog.provider import DatadogSettings
from activities.metrics.datadog.response import check_status, read_table
from activities.metrics.past import PAST_BUCKET
from activities.metrics.provider import ConfigError, ResponseError
from activities.secrets.store import NamedSecrets
from activities.transport.http import HttpResponse, TransportError
from activities.transport.outgoing import Outgoing
from tidegate.analysis.compare.models import HourRow
from tidegate.analysis.compare.pace import PACE, Pace
from tidegate.contract import (
    Activity,
    BeginComparison,
    CompareReadings,
    CompareRequest,
    ComparisonBegun,
    FindChanges,
    JudgeChange,
    JudgeStable,
    PastChange,
    StableJudged,
    VersionHistory,
)
from tidegate.manifests.providers.compare import ERRORS, LATENCY_EVENTS
from tidegate.manifests.providers.datadog import KEY

TIMEOUT: Final = timedelta(seconds=30)
# Answers that condemn a whole request for what a single query of it may have done.
_PERHAPS_ONE_QUERY: Final = (400, 422)


class DatadogComparison:
    """Source of counts Datadog."""

    def __init__(
        self,
        secrets: NamedSecrets,
        http: Outgoing,
        settings: DatadogSettings | None = None,
        *,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        pace: Pace = PACE,
    ) -> None:
        """`clock` gives unix seconds, `sleep` waits between readings; keys are found as for measurements."""
        settings = settings or DatadogSettings()
        finder = CredentialsFinder(secrets, settings.credentials_path, settings.address, environment)
        self._access = DatadogAccess(http, finder, clock)
        self._comparing = ComparisonRunner(KEY, secrets, clock, sleep, pace)
        self._past = BacktestRunner(self._comparing)

    @activity.defn(name=Activity.BEGIN_COMPARISON_DATADOG)
    async def begin(self, request: BeginComparison) -> ComparisonBegun:
        """The comparison in numbers, from the hour before. Raises ApplicationError as `ComparisonRunner.begin` does."""
        return await self._comparing.begin(request, self)

    @activity.defn(name=Activity.FIND_CHANGES_DATADOG)
    async def find_changes(self, request: FindChanges) -> VersionHistory:
        """Changes of version. Raises ApplicationError as `BacktestRunner.find_changes` does."""
        return await self._past.find_changes(request, self)

    @activity.defn(name=Activity.JUDGE_CHANGE_DATADOG)
    async def judge_change(self, request: JudgeChange) -> PastChange:
        """One of them, judged. Raises ApplicationError as `BacktestRunner.judge_change` does."""
        return await self._past.judge_change(request, self)

    @activity.defn(name=Activity.JUDGE_STABLE_DATADOG)
    async def judge_stable(self, request: JudgeStable) -> StableJudged:
        """A version against itself. Raises ApplicationError as `BacktestRunner.judge_stable` does."""
        return await self._past.judge_stable(request, self)

    @activity.defn(name=Activity.COMPARE_DATADOG)
    async def compare(self, request: CompareRequest) -> CompareReadings:
        """Readings of a minute. Raises ApplicationError as `ComparisonRunner.readings` does."""
        return await self._comparing.readings(request, self)

    async def hour(self, asked: CountQuery, start: int, end: int) -> HourCounts:
        """Stable in the hour before, as `CountSource` says. Raises ConfigError where it cannot be found by its tag."""
        _check_versions(asked)
        events = [event for event in asked.wanted.events if event.name in LATENCY_EVENTS]
        thresholds = await self._thresholds(asked, start, end) if events else {}
        asked = asked.with_thresholds(thresholds)
        stable = normal_tag(asked.versions[1])
        queries = count_queries(asked, _tag(asked))
        points = await self._points(asked, queries, start, end)
        rows = read_hour(queries, points, stable)
        if not any(counts is not None for row in rows for counts in row.counts):
            raise ConfigError(f"stable has no requests by the tag {_tag(asked)}:{stable} in the hour before")
        try:
            groups = await self.groups(asked, start, end)
            return HourCounts(thresholds, rows, groups, queries=len(queries.texts))
        except (ResponseError, TransportError) as error:  # such as an answer that is too large for so many hosts
            note = f"dispersion is taken from all of stable's pods together, as its hosts are not known: {error}"
            return HourCounts(thresholds, rows, notes=(note,), queries=len(queries.texts))

    async def counts(self, asked: CountQuery, start: int, end: int) -> Counted:
        """Both versions, as `CountSource` says."""
        _check_versions(asked)
        queries = count_queries(asked, _tag(asked))
        return read_rows(asked, queries, await self._points(asked, queries, start, end))

    async def groups(self, asked: CountQuery, start: int, end: int) -> dict[str, list[HourRow]]:
        """Stable's errors by host, as `PastSource` says.

        The latency distribution knows no hosts, so its events have no counts there.
        """
        errors = asked.of_events(tuple(event for event in asked.wanted.events if event.name == ERRORS))
        if not errors.wanted.events:
            return {}
        queries = count_queries(errors, HOST_TAG, f"{_tag(asked)}:{normal_tag(asked.versions[1])}")
        points = await self._points(errors, queries, start, end)
        at = [event.name for event in asked.wanted.events].index(ERRORS)
        return {
            host: [_placed(row, at, len(asked.wanted.events)) for row in read_hour(queries, points, host)]
            for host in groups_of(points)
            if host
        }

    async def versions(self, asked: CountQuery, start: int, end: int) -> dict[int, dict[str, float]]:
        """Requests by hour and version, as `CountSource` says."""
        texts = {HITS: hits_query(asked, _tag(asked), PAST_BUCKET)}
        answer = await self._ask(asked, texts, lambda some: timeseries_body(some, start, end, PAST_BUCKET))
        found: dict[int, dict[str, float]] = {}
        for version, values in read_points(answer.body, [HITS], PAST_BUCKET)[HITS].items():
            for at, requests in values.items():
                if version:
                    found.setdefault(at, {})[version] = requests
        return found

    async def _thresholds(self, asked: CountQuery, start: int, end: int) -> dict[str, float]:
        texts = percentile_queries(asked)
        answer = await self._ask(asked, texts, lambda some: percentile_body(some, start, end), scalar=True)
        found = read_percentiles(read_table(answer.body), list(texts))
        if len(found) < len(PERCENTILES):
            version = f"{_tag(asked)}:{normal_tag(asked.versions[1])}"
            raise ConfigError(
                f"latencies cannot be compared by the tag {version}: {texts['p99']} has no value in the hour before; "
                "name events without latencies, or a tag that the latency distribution has"
            )
        return latency_thresholds(found["p90"], found["p99"])

    async def _points(self, asked: CountQuery, queries: CountQueries, start: int, end: int) -> Points:
        bucket = asked.wanted.bucket
        answer = await self._ask(asked, queries.texts, lambda some: timeseries_body(some, start, end, bucket))
        return read_points(answer.body, list(queries.texts), bucket)

    async def _ask(
        self,
        asked: CountQuery,
        texts: Mapping[str, str],
        body: Callable[[Mapping[str, str]], dict[str, JsonValue]],
        *,
        scalar: bool = False,
    ) -> HttpResponse:
        """Ask for all queries at once. Raises ResponseError that names the query at fault where one of them is."""
        answer = await self._send(asked, body(texts), scalar=scalar)
        if answer.status in _PERHAPS_ONE_QUERY:
            refused = [
                name for name, text in texts.items() if await self._is_refused(asked, body({name: text}), scalar)
            ]
            named = "; ".join(f"{name}: {texts[name]}" for name in refused or texts)
            raise ConfigError(f"Datadog refuses ({answer.status}) {named}: {answer.quoted}")
        check_status(answer)
        return answer

    async def _is_refused(self, asked: CountQuery, body: dict[str, JsonValue], scalar: bool) -> bool:
        return (await self._send(asked, body, scalar=scalar)).status in _PERHAPS_ONE_QUERY

    async def _send(self, asked: CountQuery, body: dict[str, JsonValue], *, scalar: bool) -> HttpResponse:
        ask: Ask = (lambda client: client.scalar(body)) if scalar else (lambda client: client.timeseries(body))
        ref = asked.settings.datadog.secret_ref if asked.settings.datadog else None
        try:
            return await self._access.send(ask, ref, asked.namespace, TIMEOUT)
        except CredentialsError as error:
            raise ResponseError(str(error)) from error


def _tag(asked: CountQuery) -> str:
    return asked.settings.datadog.version_tag.strip() if asked.settings.datadog else ""


def _placed(row: HourRow, at: int, events: int) -> HourRow:
    """The row of one event as that of all, of which the others have no counts."""
    counts = tuple(row.counts[0] if index == at else None for index in range(events))
    return HourRow(start=row.start, counts=counts)


def _check_versions(asked: CountQuery) -> None:
    """Raise ConfigError for versions that Datadog cannot tell apart."""
    canary, stable = map(normal_tag, asked.versions)
    if not canary or not stable:
        side = "canary" if not canary else "stable"
        raise ConfigError(f"the pod template of {side} says no value for the tag {_tag(asked)}")
    if canary == stable:
        raise ConfigError(f"both versions have the same value {_tag(asked)}:{canary}: they cannot be told apart")
