"""One question to Datadog with the keys that a metric names: renewed where they are refused, a rate limit told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from activities.metrics.counted_requests import counted, note_budget
from activities.metrics.datadog.client import DatadogClient
from activities.metrics.datadog.credentials import Credentials, CredentialsFinder
from activities.metrics.provider import RateLimitedError
from activities.transport.errors import retry_delay
from activities.transport.http import HttpResponse
from activities.transport.outgoing import Outgoing
from tidegate.manifests.providers.datadog import KEY, SecretRef

Ask = Callable[[DatadogClient], Awaitable[HttpResponse]]


@dataclass(frozen=True)
class DatadogAccess:
    """Where questions go and with which keys; `clock` gives unix seconds."""

    http: Outgoing
    finder: CredentialsFinder
    clock: Callable[[], float]

    async def send(self, ask: Ask, ref: SecretRef | None, namespace: str, timeout: timedelta) -> HttpResponse:
        """Ask once; when the keys are refused and the store holds others by now (a rotation), once more with those.

        Raises CredentialsError, RateLimitedError and TransportError.
        """
        credentials = await self.finder.find(ref, namespace)
        answer = await self._send(ask, credentials, timeout)
        if answer.status in (401, 403):
            renewed = await self.finder.find(ref, namespace, fresh=True)
            if renewed != credentials:
                answer = await self._send(ask, renewed, timeout)
        if answer.status == 429:
            raise RateLimitedError(retry_delay(answer.headers, datetime.fromtimestamp(self.clock(), UTC)))
        return answer

    async def _send(self, ask: Ask, credentials: Credentials, timeout: timedelta) -> HttpResponse:
        answer = await counted(KEY, ask(DatadogClient(self.http, credentials, timeout)))
        note_budget(KEY, answer.headers)
        return answer
