"""Answers queries from what the proxy counted: time series in Datadog's buckets, and one number of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sandbox.datadog.query import Query, QueryError
from sandbox.telemetry import Window, merged

HASH_TAG = "kube_pod_label_rollouts_pod_template_hash"
SERVICE_TAG = "service"
HITS = "trace.http.request.hits"
ERRORS = "trace.http.request.errors"
LATENCY = "trace.http.request"
MAX_POINTS = 1500
MAX_TIME = 10**11
POINTS = 15  # Datadog shows five minutes in buckets of 20 s

Values = list[float | None]


class Telemetry(Protocol):
    """What was counted, by service and pod hash."""

    def window(self, service: str, pod_hash: str | None, start: float, end: float) -> Window:
        """Counts between two unix times, of all hashes for None."""
        ...

    def hashes(self, service: str) -> list[str]:
        """The pod hashes of a service."""
        ...

    def labels(self, pod_hash: str) -> Mapping[str, str]:
        """Tags of the pods of a hash, beside those of the hash and the service."""
        ...


@dataclass(frozen=True)
class Bucket:
    """One point of time: unix seconds, `end` earlier than the bucket's own end while it is still filling."""

    start: float
    end: float


@dataclass(frozen=True)
class Series:
    """Values of one group, one for each bucket; None where nothing was measured. `group` are the values of the tags."""

    group: tuple[str, ...]
    values: Values


@dataclass(frozen=True)
class Frame:
    """The buckets between two unix times, `length` seconds each and aligned to multiples of that since 1970."""

    length: float
    buckets: tuple[Bucket, ...]


def frame(start: float, end: float, seen_until: float, resolution: float, rollup: int | None = None) -> Frame:
    """The buckets that a query gets: those that touch the window.

    Without a rollup they are long enough for about 15 points, no shorter than `resolution`, and only whole ones are
    shown. An explicit rollup also shows the newest bucket while it fills, as Datadog does. Raises QueryError.
    """
    if not 0 <= start < end <= MAX_TIME:
        raise QueryError(f"from must be before to, both unix times up to {MAX_TIME}")
    length = float(rollup) if rollup else resolution * max(1, math.ceil((end - start) / POINTS / resolution))
    until = min(end, seen_until)
    first, last = math.floor(start / length), math.ceil(until / length)
    if last - first > MAX_POINTS:
        raise QueryError(f"more than {MAX_POINTS} points: ask for less time or a longer rollup")
    edges = ((number * length, (number + 1) * length) for number in range(first, last))
    shown = (Bucket(begin, min(finish, until)) for begin, finish in edges if rollup or finish <= until)
    return Frame(length, tuple(bucket for bucket in shown if bucket.end > start))


def window(start: float, end: float, seen_until: float) -> Frame:
    """All of the time between two moments as one bucket, as far as it was seen. Raises QueryError."""
    if not 0 <= start < end <= MAX_TIME:
        raise QueryError(f"from must be before to, both unix times up to {MAX_TIME}")
    return Frame(end - start, (Bucket(start, max(start, min(end, seen_until))),))


@dataclass(frozen=True)
class Ingestion:
    """How points come in, in seconds after the end of their bucket.

    A point is there after `lag`, that of errors after `errors_lag` more, and is whole `spread` later: until then it
    holds that part of what it will. In `gaps` (start, end) nothing was reported.
    """

    lag: float = 0.0
    errors_lag: float = 0.0
    spread: float = 0.0
    gaps: tuple[tuple[float, float], ...] = ()

    def share(self, bucket: Bucket, now: float, *, errors: bool) -> float | None:
        """Part of a bucket's value that is there at `now`, None while there is none."""
        if any(start < bucket.end and bucket.start < end for start, end in self.gaps):
            return None
        age = now - bucket.end - self.lag - (self.errors_lag if errors else 0.0)
        if age < 0:
            return None
        return 1.0 if age >= self.spread else age / self.spread


class Evaluator:
    """Evaluates queries against the telemetry of the embedded world.

    Hits and errors are counters, the latency is a distribution in seconds. A metric, service or tag that nobody
    reports gives no series, nor does a counter that did not fire in the window.
    """

    def __init__(self, telemetry: Telemetry, now: float, ingestion: Ingestion) -> None:
        self._telemetry = telemetry
        self._now = now
        self._ingestion = ingestion

    def series(self, query: Query, shown: Frame) -> list[Series]:
        """The series of a query, one for each group that has points. Raises QueryError."""
        found = []
        for group, hashes in self._groups(query).items():
            values = self._values(query, hashes, shown)
            if any(value is not None for value in values):
                found.append(Series(group, values))
        return found

    def percentile(self, query: Query, group: tuple[str, ...], shown: Frame) -> float | None:
        """Percentile of a group over the whole frame, in seconds."""
        whole = Bucket(shown.buckets[0].start, shown.buckets[-1].end)
        return _latency(query, self._window(query, self._groups(query)[group], whole))

    def _groups(self, query: Query) -> dict[tuple[str, ...], tuple[str, ...] | None]:
        """The groups of a query, each with the hashes that it is about, None for all."""
        tags = dict(query.tags)
        service = tags.pop(SERVICE_TAG, None)
        if service is None or len(tags) + 1 < len(query.tags):
            return {}
        if not tags and not {*query.by} - {SERVICE_TAG}:
            return {tuple(service for _ in query.by): None}
        found: dict[tuple[str, ...], tuple[str, ...]] = {}
        for pod_hash in self._telemetry.hashes(service):
            labels = {SERVICE_TAG: service, HASH_TAG: pod_hash, **self._telemetry.labels(pod_hash)}
            if all(labels.get(tag) == value for tag, value in tags.items()) and {*query.by} <= {*labels}:
                group = tuple(labels[tag] for tag in query.by)
                found[group] = (*found.get(group, ()), pod_hash)
        return dict(found)

    def _window(self, query: Query, hashes: tuple[str, ...] | None, bucket: Bucket) -> Window:
        service = dict(query.tags)[SERVICE_TAG]
        if hashes is None or len(hashes) == 1:
            pod_hash = hashes[0] if hashes else None
            return self._telemetry.window(service, pod_hash, bucket.start, bucket.end)
        return merged(self._telemetry.window(service, each, bucket.start, bucket.end) for each in hashes)

    def _values(self, query: Query, hashes: tuple[str, ...] | None, shown: Frame) -> Values:
        windows = [self._window(query, hashes, each) for each in shown.buckets]
        if query.metric == LATENCY and query.aggregator != "count":
            return [_latency(query, window) for window in windows]
        if query.metric not in (HITS, ERRORS, LATENCY):
            return []
        if query.metric != LATENCY and query.aggregator != "sum":
            raise QueryError(f"{query.metric} is a counter: only sum is emulated, not {query.aggregator}")
        shares = [
            self._ingestion.share(bucket, self._now, errors=query.metric == ERRORS or query.threshold is not None)
            for bucket in shown.buckets
        ]
        # Once a counter has fired it is reported as 0, but only by pods that serve somebody.
        counts = [
            _count(query, window) * share if window.requests and share is not None else None
            for window, share in zip(windows, shares, strict=True)
        ]
        if not any(counts):
            return []
        per = shown.length if query.as_rate else 1.0
        return [None if count is None else count / per for count in counts]


def _count(query: Query, window: Window) -> float:
    """Requests of a window that a query counts."""
    if query.metric == ERRORS:
        return window.errors
    if query.threshold is None:
        return window.requests
    compares, seconds = query.threshold
    slower = window.slower(seconds * 1000)
    return slower if compares.startswith(">") else window.requests - slower


def _latency(query: Query, window: Window) -> float | None:
    whole: dict[str, Callable[[], float | None]] = {
        "avg": window.mean,
        "max": lambda: window.percentile(100.0),
        "min": lambda: window.percentile(0.0),
    }
    if query.percentile is not None:
        milliseconds = window.percentile(query.percentile)
    elif query.aggregator in whole:
        milliseconds = whole[query.aggregator]()
    else:
        raise QueryError(f"{query.metric} is a distribution: {query.aggregator} is not emulated")
    return None if milliseconds is None or not window.requests else milliseconds / 1000


def aggregate(aggregator: str, values: Sequence[float | None], length: float) -> float | None:
    """One number of a series with buckets of `length` seconds, nulls left out. Raises QueryError."""
    present = [value for value in values if value is not None]
    rules: dict[str, Callable[[list[float]], float]] = {
        "last": lambda each: each[-1],
        "sum": math.fsum,
        "avg": lambda each: math.fsum(each) / len(each),
        "mean": lambda each: math.fsum(each) / len(each),
        "min": min,
        "max": max,
        "l2norm": lambda each: math.hypot(*each),
        "area": lambda each: math.fsum(each) * length,
    }
    if aggregator not in rules:
        raise QueryError(f"aggregator {aggregator!r} is not emulated: use one of {', '.join(rules)}")
    return rules[aggregator](present) if present else None
