"""The frame of every metric provider: secrets put in and masked, outcomes made readings, rate limits made waits.

A provider is one module with one class. Its `measure` is the activity; it gives the request and its own question to
`ProviderRunner.readings`, which does all that providers have in common.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

import structlog
from pydantic import BaseModel, JsonValue, ValidationError
from temporalio import activity

from activities.metrics.secret_arguments import SecretArgumentError, SecretArguments
from activities.secrets.store import NamedSecrets
from activities.transport.errors import rate_limited, rejected
from tidegate.analysis.reading import Reading, Verdict
from tidegate.contract import MeasureRequest
from tidegate.manifests.plain_text import harmless, harmless_values

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=BaseModel)


class ConfigError(ValueError):
    """A provider's settings that cannot be measured with; the text is Argo's where Argo has one."""


class ResponseError(ValueError):
    """An answer without a usable value; the text is what is stored with the measurement, Argo's where Argo has one."""


@dataclass(frozen=True)
class MetricQuery:
    """One metric to be measured now, with every argument in place.

    `settings` is what the manifest has under the provider's key, `pending` what the provider itself recorded
    (`MetricValue.metadata`) of a measurement that is still under way, else empty. `number` counts the measurements of
    the metric from 1.
    """

    metric: str
    settings: Mapping[str, Any]
    namespace: str
    run: str
    number: int
    at: datetime
    pending: Mapping[str, str]

    def read(self, model: type[M], key: str) -> M:
        """The settings as the model of provider `key`. Raises ConfigError that names the field."""
        try:
            return model.model_validate(self.settings)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"provider.{key}.{where}: {first['msg']}") from error


@dataclass(frozen=True)
class MetricValue:
    """Value of one metric, as a provider measured it."""

    result: JsonValue | float | list[float] | None  # None: no data
    text: str  # stored and shown
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    query: str = ""
    resume_at: datetime | None = None  # while the provider is still at work
    verdict: Verdict | None = None  # of a provider whose answer is a verdict: no condition is evaluated
    no_data: bool = False  # the result is none, though conditions may read it, such as an empty list


@dataclass(frozen=True)
class Failed:
    """Reason why a metric has no reading."""

    error: str
    unresolved: bool = False  # an argument has no value, so that another attempt cannot help
    query: str = ""


Outcome = MetricValue | Failed


class RateLimitedError(Exception):
    """A provider wants to be left alone for `delay`."""

    def __init__(self, delay: timedelta) -> None:
        super().__init__()
        self.delay = delay


class Provider(Protocol):
    """One metric provider, as the frame sees it."""

    async def answer(self, queries: Sequence[MetricQuery]) -> Sequence[Outcome]:
        """One outcome for each metric, in their order. Raises RateLimitedError."""
        ...


async def answer_each(
    queries: Sequence[MetricQuery], answer: Callable[[MetricQuery], Awaitable[Outcome]]
) -> list[Outcome]:
    """Outcomes of `answer` for all metrics, side by side. The longest of several rate limits counts.

    For a provider that has a request of its own for each metric. Raises RateLimitedError.
    """
    answered = await asyncio.gather(*map(answer, queries), return_exceptions=True)
    outcomes: list[Outcome] = []
    limits: list[RateLimitedError] = []
    for each in answered:
        if isinstance(each, RateLimitedError):
            limits.append(each)
        elif isinstance(each, BaseException):
            raise each
        else:
            outcomes.append(each)
    if limits:
        raise max(limits, key=lambda limit: limit.delay)
    return outcomes


@dataclass(frozen=True)
class ProviderRunner:
    """Measurements by the provider whose key in manifests is `key`; `clock` gives unix seconds."""

    key: str
    secrets: NamedSecrets
    clock: Callable[[], float] = time.time

    async def readings(self, request: MeasureRequest, provider: Provider) -> list[Reading]:
        """One reading of each metric, in their order.

        A rejected, slow, oversized or undecodable response is a reading with an error, as in Argo. A rate limit is
        none: the whole measurement is tried again when the limit resets, so that it never counts against a release.

        Raises ApplicationError of type `RateLimited`, with the provider's delay.
        """
        started = self._now()
        limited_since = _limited_since() or started
        arguments, prepared = await self._prepare(request, started)
        queries = {index: each for index, each in enumerate(prepared) if isinstance(each, MetricQuery)}
        outcomes: dict[int, Outcome] = {index: each for index, each in enumerate(prepared) if isinstance(each, Failed)}
        try:
            if queries:
                outcomes |= zip(queries, await provider.answer(list(queries.values())), strict=True)
        except RateLimitedError as error:
            # The next attempt finds this in its heartbeat details and can say how long the limit held it up.
            activity.heartbeat(limited_since.isoformat())
            seconds = error.delay.total_seconds()
            log.info("metric provider is rate limited", provider=self.key, run=request.run, seconds=seconds)
            raise rate_limited(f"{self.key}: rate limit exceeded", error.delay) from None
        common = {
            "started_at": started,
            "finished_at": self._now(),
            "rate_limited_seconds": (started - limited_since).total_seconds(),
        }
        found = (
            Reading.model_validate({**common, "metric": str(metric.get("name", "")), **_fields(outcomes[index])})
            for index, metric in enumerate(request.metrics)
        )
        try:
            return [
                arguments.masked(arguments.judged(metric, reading))
                for metric, reading in zip(request.metrics, found, strict=True)
            ]
        except ValueError as error:  # of the manifest with the secrets in place, which it quotes
            raise rejected(self.key, arguments.mask(str(error))) from None

    async def _prepare(
        self, request: MeasureRequest, at: datetime
    ) -> tuple[SecretArguments, list[MetricQuery | Failed]]:
        try:
            arguments = await SecretArguments.read(self.secrets, request.namespace, request.secret_args)
        except SecretArgumentError as error:
            return SecretArguments({}), [Failed(str(error), unresolved=error.final)] * len(request.metrics)
        return arguments, [self._query(request, metric, arguments, at) for metric in request.metrics]

    def _query(
        self, request: MeasureRequest, metric: Mapping[str, Any], arguments: SecretArguments, at: datetime
    ) -> MetricQuery | Failed:
        name = str(metric.get("name", ""))
        try:
            settings = (arguments.put_into(metric).get("provider") or {}).get(self.key)
        except SecretArgumentError as error:
            return Failed(str(error), unresolved=error.final)
        if settings is None:
            return Failed(f"provider.{self.key} is missing: this metric is measured elsewhere")
        number, pending = request.numbers.get(name, 1), request.pending.get(name, {})
        return MetricQuery(name, settings, request.namespace, request.run, number, at, pending)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)


def _limited_since() -> datetime | None:
    """Time at which the rate limit held up the first attempt of this activity, None without one."""
    details = activity.info().heartbeat_details
    return datetime.fromisoformat(details[0]) if details else None


def _fields(outcome: Outcome) -> dict[str, object]:
    """The fields of a reading that an outcome fills."""
    if isinstance(outcome, Failed):
        return {
            "query": harmless(outcome.query),
            "error": harmless(outcome.error),
            "unresolved": outcome.unresolved,
        }
    return {
        "query": harmless(outcome.query),
        "result": outcome.result,
        "value": harmless(outcome.text),
        "no_data": outcome.no_data
        or (outcome.result is None and outcome.verdict is None and outcome.resume_at is None),
        "notes": tuple(map(harmless, outcome.notes)),
        "metadata": harmless_values(dict(outcome.metadata)),
        "resume_at": outcome.resume_at,
        "verdict": outcome.verdict,
    }
