"""Measurements by Datadog: all metrics that are due in as few requests as possible, one reading for each."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.metrics.datadog.access import DatadogAccess
from activities.metrics.datadog.batch import PendingQuery, batches, measure_batch
from activities.metrics.datadog.checks import DatadogChecks
from activities.metrics.datadog.credentials import DEFAULT_SECRET, CredentialsError, CredentialsFinder
from activities.metrics.datadog.request import read_query
from activities.metrics.provider import ConfigError, Failed, MetricQuery, Outcome, ProviderRunner
from activities.secrets.store import NamedSecrets
from activities.transport.outgoing import Outgoing
from tidegate.analysis.reading import Reading
from tidegate.contract import Activity, MeasureRequest
from tidegate.manifests.providers.datadog import KEY
from tidegate.manifests.providers.datadog import Datadog as Provider


class DatadogSettings(BaseModel):
    """Where queries go when the credentials name no address, and the path above Tidegate's own credentials."""

    model_config = ConfigDict(frozen=True)

    address: str = "https://api.datadoghq.com"
    credentials_path: str = "secret/argo-rollouts"


class DatadogProvider:
    """Metric provider Datadog."""

    def __init__(
        self,
        secrets: NamedSecrets,
        http: Outgoing,
        settings: DatadogSettings | None = None,
        *,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives unix seconds; `environment` may hold DD_API_KEY, DD_APP_KEY and DD_ADDRESS, as for Argo."""
        settings = settings or DatadogSettings()
        self._measuring = ProviderRunner(KEY, secrets, clock)
        self._finder = CredentialsFinder(secrets, settings.credentials_path, settings.address, environment)
        self._access = DatadogAccess(http, self._finder, clock)

    def checks(self) -> DatadogChecks:
        """Check of the keys that this provider uses."""
        return DatadogChecks(self._access, f"{self._finder.own}/{DEFAULT_SECRET}")

    @activity.defn(name=Activity.MEASURE_DATADOG)
    async def measure(self, request: MeasureRequest) -> list[Reading]:
        """One reading of each metric. Raises ApplicationError of type `RateLimited`."""
        return await self._measuring.readings(request, self)

    async def answer(self, requested: Sequence[MetricQuery]) -> list[Outcome]:
        """One outcome for each metric, as `Provider` says."""
        prepared = [await self._prepare(index, each) for index, each in enumerate(requested)]
        due = [each for each in prepared if isinstance(each, PendingQuery)]
        measured = await self._measure(due, requested[0].namespace)
        queries = {each.index: each.question.text for each in due}
        return [
            each if isinstance(each, Failed) else replace(measured[index], query=queries[index])
            for index, each in enumerate(prepared)
        ]

    async def _prepare(self, index: int, metric: MetricQuery) -> PendingQuery | Failed:
        try:
            provider = metric.read(Provider, KEY)
            # Argo looks for credentials before it looks at the queries, and so reports their absence first.
            await self._finder.find(provider.secret_ref, metric.namespace)
            question = read_query(provider)
        except (ConfigError, CredentialsError) as error:
            return Failed(str(error))
        return PendingQuery(index, question, question.window(metric.at.timestamp()), provider.secret_ref)

    async def _measure(self, due: Sequence[PendingQuery], namespace: str) -> dict[int, Outcome]:
        groups = batches(due)
        answered = await asyncio.gather(
            *(self._measure_batch(batch, namespace) for batch in groups), return_exceptions=True
        )
        outcomes: dict[int, Outcome] = {}
        for batch, result in zip(groups, answered, strict=True):
            if isinstance(result, BaseException):
                raise result
            outcomes |= zip((each.index for each in batch), result, strict=True)
        return outcomes

    async def _measure_batch(self, batch: Sequence[PendingQuery], namespace: str) -> list[Outcome]:
        try:
            due = batch[0]
            send = self._access.send
            return await measure_batch(batch, lambda call: send(call, due.secret_ref, namespace, due.question.timeout))
        except CredentialsError as error:
            return [Failed(str(error))] * len(batch)
