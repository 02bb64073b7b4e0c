"""Check of Prometheus: does the server in the settings answer a query."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from temporalio import activity

from activities.metrics.http_provider import outcome
from activities.metrics.prometheus.access import PrometheusAccess
from activities.metrics.prometheus.request import ADDRESS_VARIABLE, PrometheusQuery, read_query
from activities.metrics.prometheus.response import read_value
from activities.metrics.provider import Failed, MetricValue
from activities.transport.checks import absent, wrong
from tidegate.contract import Activity, Check, Checks, CheckSystems
from tidegate.manifests.providers.prometheus import Prometheus

NAME: Final = "Prometheus"
SETTING: Final = "TIDEGATE_PROMETHEUS__ADDRESS"
TIMEOUT_SECONDS: Final = 10


class PrometheusChecks:
    """The activity that checks the server of metrics that name none."""

    def __init__(self, access: PrometheusAccess, address: str, clock: Callable[[], float]) -> None:
        """`address` is empty where metrics have to name one; `clock` gives unix seconds."""
        self._access = access
        self._address = address
        self._clock = clock

    @activity.defn(name=Activity.CHECK_PROMETHEUS)
    async def check(self, request: CheckSystems) -> Checks:
        """Ask for the number 1."""
        if not self._address:
            return Checks(checks=(absent(NAME, f"{SETTING} or {ADDRESS_VARIABLE}"),))
        provider = Prometheus(query="vector(1)", timeout=TIMEOUT_SECONDS)
        at = datetime.fromtimestamp(self._clock(), UTC)
        answered = await outcome(lambda: read_query(provider, self._address, at), self._measure)
        if isinstance(answered, Failed):
            remedy = f"curl -sS '{self._address.rstrip('/')}/api/v1/query?query=vector(1)'; then set {SETTING}"
            return Checks(checks=(wrong(NAME, answered.error, remedy),))
        return Checks(checks=(Check(name=NAME, detail=f"{self._address} answers"),))

    async def _measure(self, query: PrometheusQuery) -> MetricValue:
        return read_value(await self._access.send(query), query.url)
