"""Measurements by any server that answers in JSON: one request for each metric, all at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import httpx
from temporalio import activity

from activities.metrics.authentication import Authorizer
from activities.metrics.counted_requests import counted
from activities.metrics.http_provider import outcome
from activities.metrics.provider import MetricQuery, MetricValue, Outcome, ProviderRunner, answer_each
from activities.metrics.web.request import WebQuery, read_query
from activities.metrics.web.response import read_value
from activities.secrets.store import NamedSecrets
from activities.transport.http import HttpResponse, exchange
from activities.transport.outgoing import Outgoing
from activities.transport.tls import trusting
from tidegate.analysis.reading import Reading
from tidegate.contract import Activity, MeasureRequest
from tidegate.manifests.providers.web import KEY
from tidegate.manifests.providers.web import Web as Provider


class WebProvider:
    """Metric provider web.

    It differs from Argo where following it would be an accident: an answer that is no JSON is an error (Argo calls it a
    success), redirects are not followed (Argo sends headers and tokens along to any host), and `basicAuth` is sent
    (Argo reads it for Prometheus only, and asks without it here).
    """

    def __init__(self, secrets: NamedSecrets, http: Outgoing, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives unix seconds."""
        self._http = http
        self._authorizer = Authorizer(clock)
        self._measuring = ProviderRunner(KEY, secrets, clock)

    @activity.defn(name=Activity.MEASURE_WEB)
    async def measure(self, request: MeasureRequest) -> list[Reading]:
        """One reading of each metric. Raises ApplicationError of type `RateLimited`."""
        return await self._measuring.readings(request, self)

    async def answer(self, queries: Sequence[MetricQuery]) -> list[Outcome]:
        """One outcome for each metric, as `Provider` says."""
        return await answer_each(queries, self._answer)

    async def _answer(self, query: MetricQuery) -> Outcome:
        return await outcome(lambda: read_query(query.read(Provider, KEY)), self._measure)

    async def _measure(self, query: WebQuery) -> MetricValue:
        async with trusting(self._http, insecure=query.insecure) as http:
            answer = await self._authorizer.exchange(
                http,
                query.access,
                lambda authorization: _send(http, query, authorization),
                timeout=query.timeout,
            )
        return read_value(answer, query.url, query.path)


async def _send(http: httpx.AsyncClient, query: WebQuery, authorization: str) -> HttpResponse:
    # What the manifest writes into `headers` comes before its `authentication`.
    headers = ({"Authorization": authorization} if authorization else {}) | dict(query.headers)
    asking = exchange(
        http,
        query.method,
        str(query.url),
        timeout=query.timeout,
        headers=headers,
        content=query.content,
    )
    return await counted(KEY, asking)
