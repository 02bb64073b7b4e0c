"""Reads Envoy's counters and histograms several times a second and records what they grew by."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
import structlog
from pydantic import JsonValue

from sandbox.documents import Document, items
from sandbox.envoy import Envoy
from sandbox.mesh.names import ClusterName
from sandbox.telemetry import Bounds, Counts, Increment, Telemetry

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 0.25
# Envoy keeps each of these a second time as `.external.`; a cluster's name has no dot behind its last slash.
PATTERN = r"^cluster\.[^;]+;.+/[^/.]*\.upstream_rq_(total|completed|5xx|time)$"


@dataclass(frozen=True)
class _Reading:
    """Cumulative values of one Envoy cluster."""

    counts: Counts = field(default_factory=Counts)
    buckets: Mapping[Bounds, int] = field(default_factory=dict)

    def since(self, before: _Reading) -> Increment:
        """What was added since `before`; values that went down began again at zero."""
        counts = self.counts - before.counts
        if min(counts.requests, counts.errors, counts.sent) < 0:
            counts = self.counts
        old = before.buckets
        if any(self.buckets.get(bounds, 0) < count for bounds, count in old.items()):
            old = {}
        grown = {bounds: count - old.get(bounds, 0) for bounds, count in self.buckets.items()}
        return Increment(counts, {bounds: count for bounds, count in grown.items() if count})


class Scraper:
    """Feeds a Telemetry from an Envoy between `start` and `stop`.

    An Envoy that dies takes with it what it counted since the last reading, and nothing else.
    """

    def __init__(self, envoy: Envoy, telemetry: Telemetry, *, interval: float = INTERVAL_SECONDS) -> None:
        """`interval` is the time between two readings, in seconds."""
        self._envoy = envoy
        self._telemetry = telemetry
        self._interval = interval
        self._before: dict[ClusterName, _Reading] = {}
        self._starts = 0
        self._merged_until = 0.0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop; what was recorded stays."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                began = time.monotonic()
                try:
                    await self._scrape(session)
                except (aiohttp.ClientError, OSError, ValueError) as error:
                    log.debug("scrape failed", error=repr(error))
                await asyncio.sleep(max(0.0, began + self._interval - time.monotonic()))

    async def _scrape(self, session: aiohttp.ClientSession) -> None:
        began = time.monotonic()
        values, histograms = await self._envoy.stats(session, PATTERN)
        self._forget_after_restart()
        readings = _readings(values, histograms)
        increments: defaultdict[tuple[str, str], list[Increment]] = defaultdict(list)
        for name, reading in readings.items():
            increment = reading.since(self._before.get(name, _Reading()))
            increments[name.tag, name.pod_hash].append(increment)
        self._before = readings
        at = time.time()
        for (tag, pod_hash), parts in increments.items():
            self._telemetry.record(tag, pod_hash, at, _sum(parts))
        # Histograms are as they were merged by the reading before this one.
        self._telemetry.complete_until(self._merged_until)
        self._merged_until = began

    def _forget_after_restart(self) -> None:
        """A new process counts from zero, and may have passed the old one's counts since the reading before."""
        starts = self._envoy.program.starts
        if starts != self._starts:
            self._before.clear()
            self._starts = starts


def _readings(values: Mapping[str, JsonValue], histograms: list[Document]) -> dict[ClusterName, _Reading]:
    """Values by cluster; names that this mesh did not give are left out."""
    numbers: defaultdict[ClusterName, dict[str, int]] = defaultdict(dict)
    for stat, value in values.items():
        name, what = _name(stat)
        if name is not None and isinstance(value, int):
            numbers[name][what] = value
    latencies: dict[ClusterName, dict[Bounds, int]] = {}
    for histogram in histograms:
        name, _ = _name(str(histogram.get("name")))
        if name is not None:
            latencies[name] = dict(filter(None, map(_bucket, items(histogram.get("totals")))))
    return {
        name: _Reading(
            Counts(
                requests=found.get("upstream_rq_completed", 0),
                errors=found.get("upstream_rq_5xx", 0),
                sent=found.get("upstream_rq_total", 0),
            ),
            latencies.get(name, {}),
        )
        for name, found in numbers.items()
    }


def _name(stat: str) -> tuple[ClusterName | None, str]:
    cluster, _, what = stat.removeprefix("cluster.").rpartition(".")
    return ClusterName.parse(cluster), what


def _bucket(bucket: Document) -> tuple[Bounds, int] | None:
    lower, width, count = bucket.get("lower_bound"), bucket.get("width"), bucket.get("count")
    if not isinstance(lower, int | float) or not isinstance(width, int | float) or not isinstance(count, int):
        return None
    return (float(lower), float(width)), count


def _sum(parts: list[Increment]) -> Increment:
    buckets: defaultdict[Bounds, int] = defaultdict(int)
    for part in parts:
        for bounds, count in part.buckets.items():
            buckets[bounds] += count
    return Increment(sum((part.counts for part in parts), Counts()), dict(buckets))
