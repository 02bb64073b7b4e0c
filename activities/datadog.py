"""Measurements by Datadog: all metrics that are due in as few requests as possible, one reading for each."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import structlog
from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.datadog_batch import Ask, Due, Failed, Outcome, batches, measure_batch
from activities.datadog_client import DatadogClient
from activities.datadog_credentials import Credentials, CredentialsError, CredentialsFinder
from activities.datadog_request import ConfigError, read_provider, read_question
from activities.errors import rate_limited, retry_delay
from activities.http import Answer
from activities.secret_arguments import SecretArgumentError, SecretArguments
from activities.secrets import NamedSecrets, Secrets
from tidegate.analysis.reading import Reading
from tidegate.contract import Activity, MeasureRequest

log = structlog.get_logger(__name__)


class DatadogSettings(BaseModel):
    """Where keys are looked for and where queries go.

    `address` is used when the credentials name none. The Kubernetes Secret `name` of `namespace` is what stands under
    `secret_path` in the secret store; `controller_namespace` is where Argo's controller would run.
    """

    model_config = ConfigDict(frozen=True)

    address: str = "https://api.datadoghq.com"
    secret_path: str = "secret/{namespace}/{name}"  # noqa: S105  a path
    controller_namespace: str = "argo-rollouts"


class _RateLimitedError(Exception):
    def __init__(self, delay: timedelta) -> None:
        super().__init__()
        self.delay = delay


class Datadog:
    """Metric provider Datadog.

    A reading says what Datadog said, or why it said nothing: a refused, slow, oversized or undecodable answer is a
    reading with an error, as in Argo. Only a rate limit is none: the whole measurement is tried again when the limit
    resets, so that it never counts against a release.
    """

    def __init__(
        self,
        secrets: Secrets,
        http: httpx.AsyncClient,
        settings: DatadogSettings | None = None,
        *,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives unix seconds; `environment` may hold DD_API_KEY, DD_APP_KEY and DD_ADDRESS, as for Argo."""
        settings = settings or DatadogSettings()
        self._http = http
        self._clock = clock
        self._secrets = NamedSecrets(secrets, settings.secret_path)
        self._finder = CredentialsFinder(self._secrets, settings.controller_namespace, settings.address, environment)

    @activity.defn(name=Activity.MEASURE_DATADOG)
    async def measure(self, request: MeasureRequest) -> list[Reading]:
        """One reading of each metric, in their order.

        Raises ApplicationError of type `RateLimited`, with the delay that Datadog asks for.
        """
        started = self._now()
        limited_since = _limited_since() or started
        arguments, prepared = await self._prepare_all(request, started)
        due = [each for each in prepared if isinstance(each, Due)]
        outcomes: dict[int, Outcome] = {index: each for index, each in enumerate(prepared) if isinstance(each, Failed)}
        try:
            outcomes |= await self._measure(due, request.namespace)
        except _RateLimitedError as error:
            # The next attempt finds this in its heartbeat details and can say how long the limit held it up.
            activity.heartbeat(limited_since.isoformat())
            log.info("datadog rate limit", run=request.run, seconds=error.delay.total_seconds())
            raise rate_limited("Datadog: rate limit exceeded", error.delay) from None
        queries = {each.index: each.question.text for each in due}
        common = {
            "started_at": started,
            "finished_at": self._now(),
            "rate_limited_seconds": (started - limited_since).total_seconds(),
        }
        readings = [
            Reading.model_validate(
                {
                    **common,
                    "metric": metric.get("name", ""),
                    "query": arguments.mask(queries.get(index, "")),
                    **_said(outcomes[index], arguments),
                }
            )
            for index, metric in enumerate(request.metrics)
        ]
        return [arguments.judged(metric, reading) for metric, reading in zip(request.metrics, readings, strict=True)]

    async def _prepare_all(self, request: MeasureRequest, now: datetime) -> tuple[SecretArguments, list[Due | Failed]]:
        try:
            arguments = await SecretArguments.read(self._secrets, request.namespace, request.secret_args)
        except SecretArgumentError as error:
            return SecretArguments({}), [Failed(str(error), unresolved=error.final)] * len(request.metrics)
        prepared = [
            await self._prepare(index, metric, arguments, request.namespace, now)
            for index, metric in enumerate(request.metrics)
        ]
        return arguments, prepared

    async def _prepare(
        self, index: int, metric: Mapping[str, Any], arguments: SecretArguments, namespace: str, now: datetime
    ) -> Due | Failed:
        try:
            provider = read_provider(arguments.put_into(metric))
            # Argo looks for credentials before it looks at the queries, and so reports their absence first.
            await self._finder.find(provider.secret_ref, namespace)
            question = read_question(provider)
        except SecretArgumentError as error:
            return Failed(str(error), unresolved=error.final)
        except (ConfigError, CredentialsError) as error:
            return Failed(str(error))
        return Due(index, question, question.window(now.timestamp()), provider.secret_ref)

    async def _measure(self, due: Sequence[Due], namespace: str) -> dict[int, Outcome]:
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

    async def _measure_batch(self, batch: Sequence[Due], namespace: str) -> list[Outcome]:
        try:
            return await measure_batch(batch, lambda ask: self._send(batch[0], namespace, ask))
        except CredentialsError as error:
            return [Failed(str(error))] * len(batch)

    async def _send(self, due: Due, namespace: str, ask: Ask) -> Answer:
        """Ask once; when the keys are refused and the store holds others by now (a rotation), once more with those."""
        credentials = await self._finder.find(due.secret_ref, namespace)
        answer = await self._exchange(due, credentials, ask)
        if answer.status in (401, 403):
            renewed = await self._finder.find(due.secret_ref, namespace, fresh=True)
            if renewed != credentials:
                answer = await self._exchange(due, renewed, ask)
        if answer.status == 429:
            raise _RateLimitedError(retry_delay(answer.headers, self._now()))
        return answer

    async def _exchange(self, due: Due, credentials: Credentials, ask: Ask) -> Answer:
        answer = await ask(DatadogClient(self._http, credentials, due.question.timeout))
        return replace(answer, body=credentials.mask(answer.body))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _limited_since() -> datetime | None:
    """When the first attempt of this activity was held up by the rate limit, if one was."""
    details = activity.info().heartbeat_details
    return datetime.fromisoformat(details[0]) if details else None


def _said(outcome: Outcome, arguments: SecretArguments) -> dict[str, object]:
    """The fields of a reading that an outcome fills."""
    if isinstance(outcome, Failed):
        return {"error": arguments.mask(outcome.error), "unresolved": outcome.unresolved}
    return {
        "result": outcome.result,
        "value": outcome.text,
        "no_data": outcome.result is None,
        "notes": outcome.notes,
        "metadata": outcome.metadata,
    }
