"""Answers queries from what the proxy counted: time series in Datadog's buckets, and one number of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sandbox.datadog.query import Query, QueryError

HASH_TAG = "kube_pod_label_rollouts_pod_template_hash"
SERVICE_TAG = "service"
HITS = "trace.http.request.hits"
ERRORS = "trace.http.request.errors"
LATENCY = "trace.http.request"
MAX_POINTS = 1500
MAX_TIME = 10**11
POINTS = 15  # Datadog shows five minutes in buckets of 20 s

Values = list[float | None]


class Window(Protocol):
    """What happened between two moments."""

    @property
    def requests(self) -> int:
        """Requests that were answered."""
        ...

    @property
    def errors(self) -> int:
        """How many of them with 5xx."""
        ...

    def percentile(self, p: float) -> float | None:
        """Latency in milliseconds that `p` percent did not exceed; None without requests."""
        ...

    def mean(self) -> float | None:
        """Mean latency in milliseconds; None without requests."""
        ...


class Telemetry(Protocol):
    """What was counted, by service and pod hash."""

    def window(self, service: str, pod_hash: str | None, start: float, end: float) -> Window:
        """Counts between two unix times, of all hashes for None."""
        ...

    def hashes(self, service: str) -> list[str]:
        """The pod hashes of a service."""
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


class Evaluator:
    """Evaluates queries against the telemetry of the embedded world.

    Hits and errors are counters, the latency is a distribution in seconds. A metric, service or tag that nobody
    reports gives no series, nor does a counter that did not fire in the window.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def series(self, query: Query, shown: Frame) -> list[Series]:
        """The series of a query, one for each group that has points. Raises QueryError."""
        found = []
        for group, hashes in self._groups(query):
            values = self._values(query, hashes, shown)
            if any(value is not None for value in values):
                found.append(Series(group, values))
        return found

    def _groups(self, query: Query) -> Iterator[tuple[tuple[str, ...], str | None]]:
        """The groups of a query, each with the hash that it is about, None for all."""
        tags = dict(query.tags)
        known = {SERVICE_TAG, HASH_TAG}
        if tags.get(SERVICE_TAG) is None or len(tags) < len(query.tags) or not known >= {*tags, *query.by}:
            return
        wanted = tags.get(HASH_TAG)
        split = HASH_TAG in query.by and wanted is None
        for pod_hash in self._telemetry.hashes(tags[SERVICE_TAG]) if split else [wanted]:
            labels = {SERVICE_TAG: tags[SERVICE_TAG], HASH_TAG: pod_hash or ""}
            yield tuple(labels[tag] for tag in query.by), pod_hash

    def _values(self, query: Query, pod_hash: str | None, shown: Frame) -> Values:
        service = dict(query.tags)[SERVICE_TAG]
        windows = [self._telemetry.window(service, pod_hash, each.start, each.end) for each in shown.buckets]
        if query.metric == LATENCY:
            return [_latency(query, window) for window in windows]
        if query.metric not in (HITS, ERRORS):
            return []
        if query.aggregator != "sum":
            raise QueryError(f"{query.metric} is a counter: only sum is emulated, not {query.aggregator}")
        counts = [window.errors if query.metric == ERRORS else window.requests for window in windows]
        if not any(counts):
            return []
        per = shown.length if query.as_rate else 1.0
        # Once a counter has fired it is reported as 0, but only by pods that serve somebody.
        return [count / per if window.requests else None for count, window in zip(counts, windows, strict=True)]


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
