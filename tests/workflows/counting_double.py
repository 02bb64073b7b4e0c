"""Counts of two versions, made up: the real frame of the counting activities, a stand-in only for the source.

Its clock goes ahead by itself: a minute of readings takes no time, on a server that skips time least of all.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.metrics.comparison import ComparisonRunner, Counted, CountQuery, HourCounts
from activities.metrics.provider import ConfigError
from activities.secrets.store import NamedSecrets
from tests.activities.outside import MemorySecrets
from tests.unit.analysis.compare.traffic import EVENTS, RATES, bucket_row
from tidegate.analysis.compare.models import HourRow, VersionCounts, Weight
from tidegate.analysis.compare.state import weight_at
from tidegate.contract import Activity, BeginComparison, CompareReadings, CompareRequest, ComparisonBegun, ErrorType

START = datetime(2026, 11, 30, 12, 0, tzinfo=UTC).timestamp()


class Counting:
    """`times` is how much more often the canary's requests are bad, `load` are requests a second of both versions."""

    def __init__(self) -> None:
        self.times = 1.0
        self.load = 100.0
        self.weights: tuple[Weight, ...] = ()
        self.incomparable = False
        self.failing = ""
        self.now = START
        self.begun: list[BeginComparison] = []
        self.read: list[CompareRequest] = []
        self._runner = ComparisonRunner(
            "datadog", NamedSecrets(MemorySecrets()), clock=lambda: self.now, sleep=self._sleep
        )

    @activity.defn(name=Activity.BEGIN_COMPARISON_DATADOG)
    async def begin(self, request: BeginComparison) -> ComparisonBegun:
        self.begun.append(request)
        self.now = max(self.now, request.first_traffic)
        return await self._runner.begin(request, self)

    @activity.defn(name=Activity.COMPARE_DATADOG)
    async def compare(self, request: CompareRequest) -> CompareReadings:
        self.read.append(request)
        self.weights = request.weights
        self.now = max(self.now, request.weights[-1].since)
        await self._sleep(10)
        if self.failing:
            raise ApplicationError(self.failing, type=ErrorType.REJECTED, non_retryable=True)
        return await self._runner.readings(request, self)

    async def hour(self, asked: CountQuery, start: int, end: int) -> HourCounts:
        if self.incomparable:
            raise ConfigError("both versions have the same value version:1.2.0: they cannot be told apart")
        requests = self.load * 10
        counts = tuple(VersionCounts(requests, requests * rate) for rate in RATES.values())[: len(asked.wanted.events)]
        return HourCounts({}, [HourRow(start=at, counts=counts) for at in range(start, end, 10)])

    async def versions(self, asked: CountQuery, start: int, end: int) -> dict[int, dict[str, float]]:
        return {}

    async def counts(self, asked: CountQuery, start: int, end: int) -> Counted:
        assert len(asked.wanted.events) <= len(EVENTS)
        rows = []
        for at in range(start, end, 10):
            weight = weight_at(self.weights, at, at)
            share = weight.share if weight is not None else 0.0
            row = bucket_row(random.Random(at), at, self.load, share, self._times)
            rows.append(row.model_copy(update={"counts": row.counts[: len(asked.wanted.events)]}))
        return Counted(rows)

    @property
    def _times(self) -> Sequence[float]:
        return [self.times] * len(RATES)

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
