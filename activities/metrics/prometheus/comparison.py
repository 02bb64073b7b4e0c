"""Counts of canary and stable by Prometheus, for the comparison: raw counters of each pod, and their differences."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from temporalio import activity

from activities.metrics.authentication import Authorizer
from activities.metrics.backtest import BacktestRunner
from activities.metrics.comparison import STUCK_FACTOR, ComparisonRunner, Counted, CountQuery, HourCounts
from activities.metrics.past import PAST_BUCKET
from activities.metrics.prometheus.access import PrometheusAccess
from activities.metrics.prometheus.count_queries import (
    VERSION_LABEL,
    EventCounters,
    event_counters,
    is_pod_of,
    known_query,
    latency_query,
    source_of,
    version_prefixes,
    versions_query,
)
from activities.metrics.prometheus.counters import LOOKBACK, PodCounters, increases, version_counts
from activities.metrics.prometheus.provider import PrometheusSettings
from activities.metrics.prometheus.request import ADDRESS_VARIABLE, PrometheusQuery, over_range, read_query
from activities.metrics.prometheus.response import LabelledSeries, read_labels, read_matrix
from activities.metrics.provider import ConfigError
from activities.secrets.store import NamedSecrets
from activities.transport.outgoing import Outgoing
from tidegate.analysis.compare.models import CountRow, Counts, HourRow, VersionCounts
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
from tidegate.manifests.providers.compare import LATENCY_EVENTS, SLOW90, SLOW99, STUCK
from tidegate.manifests.providers.prometheus import KEY
from tidegate.manifests.providers.prometheus import Prometheus as Provider

LARGEST_ANSWER: Final = 16 * 1024 * 1024
"""Bytes: an hour of many pods."""
COARSE: Final = 300
"""Seconds between the values by which thresholds are chosen."""
ABOVE: Final = {SLOW90: 0.10, SLOW99: 0.01}
"""Largest share of stable's requests that may be slower than the bound of a bucket that is taken as a percentile."""


class CountWindow(NamedTuple):
    """Buckets from `start` up to `end` in unix seconds, with the times at which counters are looked at."""

    start: int
    end: int
    bucket: int

    @property
    def times(self) -> list[int]:
        """Edges of the buckets, and of those before them in which a pod may have been."""
        first = self.start - LOOKBACK // self.bucket * self.bucket
        return list(range(first, self.end + self.bucket, self.bucket))


class PrometheusComparison:
    """Source of counts Prometheus."""

    def __init__(
        self,
        secrets: NamedSecrets,
        http: Outgoing,
        settings: PrometheusSettings | None = None,
        *,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        pace: Pace = PACE,
    ) -> None:
        """`clock` gives unix seconds, `sleep` waits between readings; addresses are found as for measurements."""
        settings = settings or PrometheusSettings()
        self._access = PrometheusAccess(http, Authorizer(clock))
        self._comparing = ComparisonRunner(KEY, secrets, clock, sleep, pace)
        self._past = BacktestRunner(self._comparing)
        self._address = environment.get(ADDRESS_VARIABLE) or settings.address

    @activity.defn(name=Activity.BEGIN_COMPARISON_PROMETHEUS)
    async def begin(self, request: BeginComparison) -> ComparisonBegun:
        """The comparison in numbers, from the hour before. Raises ApplicationError as `ComparisonRunner.begin` does."""
        return await self._comparing.begin(request, self)

    @activity.defn(name=Activity.FIND_CHANGES_PROMETHEUS)
    async def find_changes(self, request: FindChanges) -> VersionHistory:
        """Changes of version. Raises ApplicationError as `BacktestRunner.find_changes` does."""
        return await self._past.find_changes(request, self)

    @activity.defn(name=Activity.JUDGE_CHANGE_PROMETHEUS)
    async def judge_change(self, request: JudgeChange) -> PastChange:
        """One of them, judged. Raises ApplicationError as `BacktestRunner.judge_change` does."""
        return await self._past.judge_change(request, self)

    @activity.defn(name=Activity.JUDGE_STABLE_PROMETHEUS)
    async def judge_stable(self, request: JudgeStable) -> StableJudged:
        """A version against itself. Raises ApplicationError as `BacktestRunner.judge_stable` does."""
        return await self._past.judge_stable(request, self)

    @activity.defn(name=Activity.COMPARE_PROMETHEUS)
    async def compare(self, request: CompareRequest) -> CompareReadings:
        """Readings of a minute. Raises ApplicationError as `ComparisonRunner.readings` does."""
        return await self._comparing.readings(request, self)

    async def hour(self, query: CountQuery, start: int, end: int) -> HourCounts:
        """Stable in the hour before, as `CountSource` says. Raises ConfigError where there is none of it."""
        thresholds: dict[str, float] = {}
        notes: tuple[str, ...] = ()
        if any(event.name in LATENCY_EVENTS for event in query.wanted.events):
            thresholds, notes = await self._thresholds(query, start, end)
        window = CountWindow(start, end, query.wanted.bucket)
        known = query.with_thresholds(thresholds)
        found = await self._counters(known, window)
        _, stable = version_prefixes(query)
        rows = _hour(found, window, stable)
        if not any(counts is not None for row in rows for counts in row.counts):
            raise ConfigError(f"stable has no requests in the hour before: no pod is called {stable}...")
        groups = _by_pod(found, window, stable)
        return HourCounts(thresholds, rows, groups, notes, queries=1 + len(_texts(event_counters(known))))

    async def groups(self, query: CountQuery, start: int, end: int) -> dict[str, list[HourRow]]:
        """Stable by pod, as `PastSource` says."""
        window = CountWindow(start, end, query.wanted.bucket)
        return _by_pod(await self._counters(query, window), window, version_prefixes(query)[1])

    async def versions(self, query: CountQuery, start: int, end: int) -> dict[int, dict[str, float]]:
        """Requests by hour and ReplicaSet, as `CountSource` says; about, as `increase()` counts."""
        if not query.rollout:
            raise ConfigError("Prometheus tells versions apart by the names of pods: give the Rollout as well, with -f")
        found: dict[int, dict[str, float]] = {}
        for series in await self._range(query, versions_query(query), start + PAST_BUCKET, end, PAST_BUCKET):
            version = series.labels.get(VERSION_LABEL, "")
            for at, requests in _whole(series.values).items():
                if version and requests > 0:
                    found.setdefault(at - PAST_BUCKET, {})[version] = requests
        return found

    async def counts(self, query: CountQuery, start: int, end: int) -> Counted:
        """Both versions, as `CountSource` says."""
        window = CountWindow(start, end, query.wanted.bucket)
        found = await self._counters(query, window)
        canary, stable = (_totals(found, window, prefix) for prefix in version_prefixes(query))
        rows = []
        for at in window.times:
            if at <= start:
                continue
            counts = [Counts(*_of(one, at), *_of(two, at)) for one, two in zip(canary, stable, strict=True)]
            if any(value is not None for each in counts for value in each):
                rows.append(CountRow(start=at - window.bucket, counts=tuple(counts)))
        return Counted(rows)

    async def _counters(self, query: CountQuery, window: CountWindow) -> _Counters:
        """All counters of both versions, each query sent once."""
        events = event_counters(query)
        texts = _texts(events)
        times = window.times
        asking = asyncio.gather(*(self._range(query, text, times[0], times[-1], window.bucket) for text in texts))
        answers, known = await asyncio.gather(asking, self._known(query, times[0]))
        found = dict(zip(texts, answers, strict=True))
        label = source_of(query).pod_label
        return _Counters([_pods(event, found, label) for event in events], known, version_prefixes(query)[0])

    async def _thresholds(self, query: CountQuery, start: int, end: int) -> tuple[dict[str, float], tuple[str, ...]]:
        """Bounds of buckets in the place of stable's percentiles, and how many requests are really slower."""
        text = latency_query(query)
        times = list(range(start, end + 1, COARSE))
        label, prefix = source_of(query).pod_label, version_prefixes(query)[1]
        by_bound: dict[float, float] = {}
        for series in await self._range(query, text, times[0], times[-1], COARSE):
            if is_pod_of(series.labels.get(label, ""), prefix):
                grown = sum(increases(_whole(series.values), times, counts_first=False).values())
                bound = float(series.labels.get("le", "nan"))
                by_bound[bound] = by_bound.get(bound, 0.0) + grown
        return chosen_bounds(by_bound, text)

    async def _known(self, query: CountQuery, at: float) -> frozenset[str]:
        question = self._question(query, known_query(query), at)
        answer = await self._access.send(question, limit=LARGEST_ANSWER)
        label = source_of(query).pod_label
        return frozenset(labels.get(label, "") for labels in read_labels(answer, question.url))

    async def _range(self, query: CountQuery, text: str, start: int, end: int, step: int) -> list[LabelledSeries]:
        question = over_range(self._question(query, text, end), start, end, step)
        return read_matrix(await self._access.send(question, limit=LARGEST_ANSWER), question.url)

    def _question(self, query: CountQuery, text: str, at: float) -> PrometheusQuery:
        source = source_of(query)
        given = {"address": source.address, "query": text}
        provider = Provider.model_validate(given).model_copy(update={"authentication": source.authentication})
        return read_query(provider, self._address, datetime.fromtimestamp(at, UTC))


class _Counters(NamedTuple):
    """Counters of each event by pod, the pods that were there before, and the prefix of the canary's names."""

    events: list[dict[str, PodCounters]]
    known: frozenset[str]
    canary: str


def chosen_bounds(by_bound: Mapping[float, float], query: str) -> tuple[dict[str, float], tuple[str, ...]]:
    """Thresholds of the latency events out of the requests in cumulative buckets, with a note for each.

    Raises ConfigError where there are no requests, or where too many are slower than the last finite bound.
    """
    total = by_bound.get(float("inf"), 0.0)
    finite = sorted(bound for bound in by_bound if bound < float("inf"))
    if total <= 0 or not finite:
        raise ConfigError(f"stable's latencies are not known in the hour before: no classic histogram by {query}")
    above = {bound: max(0.0, 1 - by_bound[bound] / total) for bound in finite}
    found: dict[str, float] = {}
    for name, share in ABOVE.items():
        fitting = [bound for bound in finite if above[bound] <= share]
        if not fitting:
            raise ConfigError(
                f"{name} cannot be compared: {100 * above[finite[-1]]:.3g} % of stable's requests are slower than the "
                f"largest bucket of {finite[-1]:g} s; name events without it, or give the histogram larger buckets"
            )
        found[name] = fitting[0]
    stuck = [bound for bound in finite if bound >= STUCK_FACTOR * found[SLOW99]]
    found[STUCK] = stuck[0] if stuck else finite[-1]
    notes = (
        f"{name}: slower than {bound:g} s, as {100 * above[bound]:.3g} % of stable's requests are"
        for name, bound in found.items()
    )
    return found, tuple(notes)


def _texts(events: Iterable[EventCounters]) -> list[str]:
    """Queries for the counters of events, each once."""
    return list(dict.fromkeys(text for event in events for text in (event.of, event.bad)))


def _pods(event: EventCounters, found: Mapping[str, Sequence[LabelledSeries]], label: str) -> dict[str, PodCounters]:
    """Counters of one event by pod."""
    if event.bound is not None:
        return _slower(found[event.of], event.bound, label)
    requests = {series.labels.get(label, ""): _whole(series.values) for series in found[event.of]}
    bad = {series.labels.get(label, ""): _whole(series.values) for series in found[event.bad]}
    return {pod: PodCounters(values, bad.get(pod, {})) for pod, values in requests.items() if pod}


def _slower(found: Sequence[LabelledSeries], bound: float, label: str) -> dict[str, PodCounters]:
    """All requests of a histogram, and those above a bound."""
    inside: dict[str, dict[int, float]] = {}
    everything: dict[str, dict[int, float]] = {}
    for series in found:
        pod, at = series.labels.get(label, ""), float(series.labels.get("le", "nan"))
        if at == bound:
            inside[pod] = _whole(series.values)
        elif at == float("inf"):
            everything[pod] = _whole(series.values)
    return {
        pod: PodCounters(values, {at: value - inside[pod].get(at, value) for at, value in values.items()})
        for pod, values in everything.items()
        if pod and pod in inside
    }


def _whole(values: Mapping[float, float]) -> dict[int, float]:
    return {round(at): value for at, value in values.items()}


def _totals(found: _Counters, window: CountWindow, prefix: str) -> list[dict[int, tuple[float, float]]]:
    """Requests and bad ones of each event, of the pods whose names begin so."""
    return [
        version_counts(
            {pod: counters for pod, counters in pods.items() if is_pod_of(pod, prefix)},
            window.times,
            found.known,
            first_of_all=prefix == found.canary,
        )
        for pods in found.events
    ]


def _of(totals: Mapping[int, tuple[float, float]], at: int) -> tuple[float | None, float | None]:
    return totals.get(at, (None, None))


def _by_pod(found: _Counters, window: CountWindow, prefix: str) -> dict[str, list[HourRow]]:
    """Rows of each pod whose name begins so."""
    pods = sorted({pod for event in found.events for pod in event if is_pod_of(pod, prefix)})
    return {pod: _hour(found, window, pod) for pod in pods}


def _hour(found: _Counters, window: CountWindow, prefix: str) -> list[HourRow]:
    """Rows of the pods whose names begin so."""
    totals = _totals(found, window, prefix)
    rows = []
    for at in window.times:
        counts = [VersionCounts(*one[at]) if at in one else None for one in totals]
        if at > window.start and any(one is not None for one in counts):
            rows.append(HourRow(start=at - window.bucket, counts=tuple(counts)))
    return rows
