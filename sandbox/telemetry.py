"""What the proxy counted, by service and pod hash, over time: totals, windows, latency percentiles."""

from __future__ import annotations

import asyncio
import time
from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.machine import patience
from sandbox.mesh.names import HASH_LABEL
from tidegate.manifests.version_tag import VERSION_LABEL

HORIZON_SECONDS = 3600.0
PRUNE_EVERY = 512  # samples

Bounds = tuple[float, float]  # lower bound and width of a latency bucket, milliseconds
Bucket = tuple[float, float, int]  # the same, and how many requests fell into it


@dataclass(frozen=True)
class Counts:
    """Requests that were answered, how many of them with 5xx, and requests that were sent, answered or not yet."""

    requests: int = 0
    errors: int = 0
    sent: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.requests + other.requests, self.errors + other.errors, self.sent + other.sent)

    def __sub__(self, other: Counts) -> Counts:
        return Counts(self.requests - other.requests, self.errors - other.errors, self.sent - other.sent)


@dataclass(frozen=True)
class Window:
    """What happened between two moments; `buckets` in rising order of latency."""

    requests: int = 0
    errors: int = 0
    buckets: tuple[Bucket, ...] = ()

    def percentile(self, p: float) -> float | None:
        """Latency in milliseconds that `p` percent (0 to 100) of the requests did not exceed; None without requests.

        Within a bucket requests are taken to be spread evenly, as Envoy does in its own summaries.
        """
        rank = p / 100 * sum(count for _, _, count in self.buckets)
        seen = 0
        for lower, width, count in self.buckets:
            if seen + count >= rank:
                return lower + width * (rank - seen) / count
            seen += count
        return None

    def slower(self, milliseconds: float) -> float:
        """Requests that took longer; within a bucket they are taken to be spread evenly."""
        found = 0.0
        for lower, width, count in self.buckets:
            part = (lower + width - milliseconds) / width if width else float(lower > milliseconds)
            found += count * min(1.0, max(0.0, part))
        return found

    def mean(self) -> float | None:
        """Mean latency in milliseconds, each request taken at the middle of its bucket; None without requests."""
        total = sum(count for _, _, count in self.buckets)
        if not total:
            return None
        return sum((lower + width / 2) * count for lower, width, count in self.buckets) / total


def merged(windows: Iterable[Window]) -> Window:
    """All that happened in several windows."""
    requests = errors = 0
    buckets: defaultdict[Bounds, int] = defaultdict(int)
    for window in windows:
        requests += window.requests
        errors += window.errors
        for lower, width, count in window.buckets:
            buckets[lower, width] += count
    return Window(requests, errors, tuple(sorted((*bounds, count) for bounds, count in buckets.items())))


@dataclass(frozen=True)
class Increment:
    """What was added since the sample before."""

    counts: Counts = field(default_factory=Counts)
    buckets: Mapping[Bounds, int] = field(default_factory=dict)


class _Series:
    """Cumulative counts of one service and hash at the moments when they changed, for the last hour."""

    def __init__(self) -> None:
        self.total = Counts()
        self._before = Counts()  # what the samples that were dropped had reached
        self._times = array("d")
        self._requests = array("Q")
        self._errors = array("Q")
        self._sent = array("Q")
        self._latencies: list[array[int]] = []  # alternating: index of a bucket, requests that fell into it

    def add(self, at: float, counts: Counts, latencies: array[int]) -> None:
        self.total += counts
        self._times.append(at)
        self._requests.append(self.total.requests)
        self._errors.append(self.total.errors)
        self._sent.append(self.total.sent)
        self._latencies.append(latencies)
        if len(self._times) % PRUNE_EVERY == 0:
            self._prune(at - HORIZON_SECONDS)

    def between(self, start: float, end: float) -> tuple[Counts, Iterable[tuple[int, int]]]:
        """Counts, and requests by index of their bucket, of the samples after `start` and not after `end`."""
        first, last = bisect_right(self._times, start), bisect_right(self._times, end)
        chosen = self._latencies[first:last]
        latencies = (pair for sample in chosen for pair in zip(sample[::2], sample[1::2], strict=True))
        return self._at(last) - self._at(first), latencies

    def sent(self) -> list[tuple[float, int]]:
        """Each sample's time, and how many requests were sent since the one before."""
        before = [self._before.sent, *self._sent[:-1]]
        return [(at, now - then) for at, now, then in zip(self._times, self._sent, before, strict=True)]

    def _at(self, position: int) -> Counts:
        if position == 0:
            return self._before
        index = position - 1
        return Counts(self._requests[index], self._errors[index], self._sent[index])

    def _prune(self, horizon: float) -> None:
        keep = bisect_left(self._times, horizon)
        self._before = self._at(keep)
        del self._times[:keep], self._requests[:keep], self._errors[:keep], self._sent[:keep], self._latencies[:keep]


class Telemetry:
    """The proxy's counts, kept for an hour; totals for ever. To be used from one event loop.

    A pod hash is the value of the label `rollouts-pod-template-hash`, "" for pods without one. Times are unix seconds.
    """

    def __init__(self) -> None:
        self._versions: dict[str, str] = {}
        self._series: dict[tuple[str, str], _Series] = {}
        self._buckets: dict[Bounds, int] = {}  # index of each bucket that was ever seen
        self._waiting: list[tuple[float, asyncio.Event]] = []

    def window(self, service: str, pod_hash: str | None, start: float, end: float) -> Window:
        """What happened after `start` up to `end`, in all hashes of the service for None.

        The edges are those of the nearest samples at or before `start` and `end`.
        """
        counts = Counts()
        latencies: defaultdict[int, int] = defaultdict(int)
        for (tag, each), series in self._series.items():
            if tag == service and pod_hash in (None, each):
                added, entries = series.between(start, end)
                counts += added
                for bucket, count in entries:
                    latencies[bucket] += count
        bounds = list(self._buckets)
        buckets = tuple(sorted((*bounds[bucket], count) for bucket, count in latencies.items()))
        return Window(counts.requests, counts.errors, buckets)

    def series(
        self, service: str, pod_hash: str | None, start: float, end: float, step: float
    ) -> list[tuple[float, Window]]:
        """Windows of `step` seconds that cover `start` to `end`, each with the time at which it begins."""
        edges = [start + number * step for number in range(max(0, -int(-(end - start) // step)))]
        return [(edge, self.window(service, pod_hash, edge, min(edge + step, end))) for edge in edges]

    def hashes(self, service: str) -> list[str]:
        """The pod hashes of a service that were ever sent a request, sorted."""
        return sorted(each for tag, each in self._series if tag == service and each)

    def labels(self, pod_hash: str) -> Mapping[str, str]:
        """Tags of the pods of a hash, beside those of the hash and the service."""
        version = self._versions.get(pod_hash, "")
        return {"version": version} if version else {}

    def learn(self, labels: Mapping[str, str]) -> None:
        """Take up what the labels of a pod say of its hash; it stays known when the pod is gone."""
        if version := labels.get(VERSION_LABEL, ""):
            self._versions[labels.get(HASH_LABEL, "")] = version

    def totals(self) -> dict[str, Counts]:
        """Everything since the beginning, by pod hash."""
        result: defaultdict[str, Counts] = defaultdict(Counts)
        for (_, pod_hash), series in self._series.items():
            result[pod_hash] += series.total
        return dict(result)

    def timeline(self, pod_hash: str) -> list[tuple[float, int]]:
        """Times at which requests had been sent to a hash since the sample before, and how many in all until then.

        Requests count when they are sent, so the time of the last entry tells when a hash stopped being used.
        """
        steps = sorted(step for (_, each), series in self._series.items() if each == pod_hash for step in series.sent())
        all_sent = sum(series.total.sent for (_, each), series in self._series.items() if each == pod_hash)
        total = all_sent - sum(sent for _, sent in steps)
        result = []
        for at, sent in steps:
            total += sent
            if sent:
                result.append((at, total))
        return result

    async def flushed(self, timeout: float = 5.0) -> None:
        """Wait until everything that the proxy has counted up to now is here. Raises TimeoutError without a scraper.

        The seconds of `timeout` are those of an idle machine.
        """
        done = asyncio.Event()
        waiting = (time.monotonic(), done)
        self._waiting.append(waiting)
        try:
            await asyncio.wait_for(done.wait(), patience(timeout))
        finally:
            self._waiting.remove(waiting)

    def record(self, service: str, pod_hash: str, at: float, increment: Increment) -> None:
        """Add what a scrape at time `at` found to be new."""
        if increment == Increment():
            return
        latencies = array("L")
        for bounds, count in increment.buckets.items():
            latencies.extend((self._buckets.setdefault(bounds, len(self._buckets)), count))
        self._series.setdefault((service, pod_hash), _Series()).add(at, increment.counts, latencies)

    def complete_until(self, moment: float) -> None:
        """Tell those in `flushed` that all counts up to `moment` (time.monotonic) have been recorded."""
        for asked, done in self._waiting:
            if asked <= moment:
                done.set()
