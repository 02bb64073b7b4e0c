"""Measurements by Prometheus, and by other servers with its query API: one query for each metric, side by side."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.metrics.authentication import Authorizer
from activities.metrics.http_provider import outcome
from activities.metrics.prometheus.access import PrometheusAccess
from activities.metrics.prometheus.checks import PrometheusChecks
from activities.metrics.prometheus.request import ADDRESS_VARIABLE, PrometheusQuery, read_query
from activities.metrics.prometheus.response import read_value
from activities.metrics.provider import MetricQuery, MetricValue, Outcome, ProviderRunner, answer_each
from activities.secrets.store import NamedSecrets
from activities.transport.outgoing import Outgoing
from tidegate.analysis.reading import Reading
from tidegate.contract import Activity, MeasureRequest
from tidegate.manifests.providers.prometheus import KEY
from tidegate.manifests.providers.prometheus import Prometheus as Provider


class PrometheusSettings(BaseModel):
    """Default address, when neither the manifest nor ARGO_ROLLOUTS_PROMETHEUS_ADDRESS has one."""

    model_config = ConfigDict(frozen=True)

    address: str = ""


class PrometheusProvider:
    """Metric provider Prometheus.

    It differs from Argo where following it would be an accident: redirects are not followed (Argo sends headers and
    tokens along to any host), `headers` do not go to the OAuth 2.0 server, and a token that is refused is replaced.
    """

    def __init__(
        self,
        secrets: NamedSecrets,
        http: Outgoing,
        settings: PrometheusSettings | None = None,
        *,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives unix seconds; `environment` may hold ARGO_ROLLOUTS_PROMETHEUS_ADDRESS, as for Argo."""
        settings = settings or PrometheusSettings()
        self._access = PrometheusAccess(http, Authorizer(clock))
        self._clock = clock
        self._measuring = ProviderRunner(KEY, secrets, clock)
        self._address = environment.get(ADDRESS_VARIABLE) or settings.address

    def checks(self) -> PrometheusChecks:
        """Check of the server that this provider asks where a metric names none."""
        return PrometheusChecks(self._access, self._address, self._clock)

    @activity.defn(name=Activity.MEASURE_PROMETHEUS)
    async def measure(self, request: MeasureRequest) -> list[Reading]:
        """One reading of each metric. Raises ApplicationError of type `RateLimited`."""
        return await self._measuring.readings(request, self)

    async def answer(self, queries: Sequence[MetricQuery]) -> list[Outcome]:
        """One outcome for each metric, as `Provider` says."""
        return await answer_each(queries, self._answer)

    async def _answer(self, query: MetricQuery) -> Outcome:
        return await outcome(lambda: read_query(query.read(Provider, KEY), self._address, query.at), self._measure)

    async def _measure(self, query: PrometheusQuery) -> MetricValue:
        return read_value(await self._access.send(query), query.url)
