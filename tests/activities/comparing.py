"""A release that compares: made-up traffic in the embedded Datadog, a clock that only moves when somebody waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from activities.metrics.datadog.comparison import DatadogComparison
from activities.metrics.datadog.provider import DatadogSettings
from activities.secrets.store import NamedSecrets
from sandbox.datadog.series import Telemetry
from sandbox.datadog.server import DatadogApi
from sandbox.datadog.traffic import Traffic, VersionTraffic
from tests.activities.outside import MemorySecrets, http_client, run_activity
from tidegate.analysis.compare.judge import ALARM, judge
from tidegate.analysis.compare.models import Comparison, DecisionPoint, Judgement, Ruling, Weight
from tidegate.analysis.compare.state import ComparisonState, read, weight_at
from tidegate.contract import (
    BeginComparison,
    CompareReadings,
    CompareRequest,
    CompareTarget,
    ComparisonBegun,
)
from tidegate.manifests.providers.compare import KEY

START = 1_700_000_000.0
"""When the canary gets its first traffic: a multiple of every bucket that is used here."""
SECRET = {"secret/argo-rollouts/datadog": {"apiKey": "a" * 32, "appKey": "b" * 40}}
TRACE = {"service": "checkout", "operation": "http.request"}


@dataclass
class FakeClock:
    """Unix seconds, which pass while somebody sleeps."""

    now: float = START

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def target(settings: dict[str, Any] | None = None, **changes: Any) -> CompareTarget:
    given = {"datadog": TRACE} if settings is None else settings
    metric = {"name": "as-good-as-stable", "provider": {"plugin": {KEY: given}}}
    fields = {
        "namespace": "payments",
        "run": "checkout-1",
        "metric": metric,
        "rollout": "checkout",
        "canary": "c0ffee",
        "stable": "5bb7bc",
        "canary_version": "2.0.0",
        "stable_version": "1.0.0",
    }
    return CompareTarget.model_validate({**fields, **changes})


@dataclass
class Lived:
    """The release of one comparison: what a workflow keeps, and what it does with the readings."""

    source: Any
    clock: FakeClock
    target: CompareTarget
    weights: list[Weight] = field(default_factory=list)
    wanted: Comparison | None = None
    state: ComparisonState | None = None
    calls: list[CompareReadings] = field(default_factory=list)
    judged: Judgement | None = None

    async def begin(self, **changes: Any) -> ComparisonBegun:
        request = BeginComparison(
            target=self.target, at=self.clock.now, first_traffic=START, weights=tuple(self.weights), **changes
        )
        begun = ComparisonBegun.model_validate_json((await run_activity(self.source.begin, request)).model_dump_json())
        self.wanted, self.state = begun.wanted, begun.state
        return begun

    async def call(self) -> Judgement:
        """One activity call, and the workflow's own fold of each of its readings."""
        assert self.wanted is not None
        assert self.state is not None
        alarmed = self.judged is not None and self.judged.alarm >= ALARM
        request = CompareRequest(
            target=self.target,
            wanted=self.wanted,
            state=self.state,
            weights=tuple(self.weights),
            first_traffic=START,
            alarmed=alarmed,
        )
        sent = CompareRequest.model_validate_json(request.model_dump_json())
        answered: CompareReadings = await run_activity(self.source.compare, sent)
        self.calls.append(CompareReadings.model_validate_json(answered.model_dump_json()))
        for reading in self.calls[-1].readings:
            self.state, evidence = read(self.wanted, self.state, reading.rows, self.weights, reading.at)
            point = DecisionPoint(
                now=reading.at,
                first_traffic=START,
                weight=weight_at(self.weights, reading.at, reading.at),
                settle=self.state.table.settle,
            )
            self.judged = judge(self.wanted, evidence, point)
        assert self.judged is not None
        return self.judged

    async def until_decided(self, longest: float = 3600) -> Judgement:
        """Calls until there is a ruling, or the time is over."""
        while self.clock.now < START + longest:
            judged = await self.call()
            if judged.ruling is not Ruling.WAIT:
                return judged
            await self.clock.sleep(10)
        assert self.judged is not None
        return self.judged


def datadog(
    *versions: VersionTraffic, settings: dict[str, Any] | None = None
) -> AbstractAsyncContextManager[tuple[DatadogApi, Lived]]:
    """The embedded Datadog with this traffic, and a release whose one weight is 50 % from `START` on."""
    return serving(Traffic("checkout", versions), settings)


@asynccontextmanager
async def serving(
    telemetry: Telemetry, settings: dict[str, Any] | None = None
) -> AsyncIterator[tuple[DatadogApi, Lived]]:
    """The same with what was counted."""
    clock = FakeClock()
    api = DatadogApi(telemetry, api_key="a" * 32, app_key="b" * 40, resolution=10.0, lag=0.0, clock=clock)
    await api.start()
    try:
        async with http_client() as http:
            source = DatadogComparison(
                NamedSecrets(MemorySecrets(dict(SECRET))),
                http,
                DatadogSettings(address=api.url),
                environment={},
                clock=clock,
                sleep=clock.sleep,
            )
            weight = Weight(since=START, share=0.5, canary_pods=2, stable_pods=2, last=True)
            yield api, Lived(source, clock, target(settings), [weight])
    finally:
        await api.stop()
