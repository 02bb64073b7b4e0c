"""One question to Prometheus by the credentials that a metric names."""

from __future__ import annotations

from urllib.parse import urlencode

import httpx

from activities.metrics.authentication import Authorizer
from activities.metrics.counted_requests import counted
from activities.metrics.prometheus.request import PrometheusQuery
from activities.metrics.provider import ResponseError
from activities.transport.http import MAX_ANSWER_BYTES, HttpResponse, exchange
from activities.transport.outgoing import Outgoing
from activities.transport.tls import TrustError, trusting
from tidegate.manifests.providers.prometheus import KEY

# What servers and proxies say that know GET only; Prometheus' own client asks again then, too.
_GET_ONLY = (403, 405, 501)


class PrometheusAccess:
    """Where questions go; tokens are kept from one to the next."""

    def __init__(self, http: Outgoing, authorizer: Authorizer) -> None:
        self._http = http
        self._authorizer = authorizer

    async def send(self, question: PrometheusQuery, *, limit: int = MAX_ANSWER_BYTES) -> HttpResponse:
        """Ask once, for at most `limit` bytes. Raises ResponseError, RateLimitedError, TokenError, TransportError."""
        try:
            async with trusting(self._http, insecure=question.insecure, authorities=question.authorities) as http:
                return await self._authorizer.exchange(
                    http,
                    question.access,
                    lambda authorization: _send(http, question, authorization, limit),
                    timeout=question.timeout,
                )
        except TrustError as error:
            raise ResponseError(f"failed to parse prometheus caCert: {error}") from error


async def _send(http: httpx.AsyncClient, question: PrometheusQuery, authorization: str, limit: int) -> HttpResponse:
    """Ask in a form, which has room for long queries, and in the address where a server takes no form."""
    # What the manifest writes into `headers` comes before its `authentication`.
    headers = ({"Authorization": authorization} if authorization else {}) | dict(question.headers)
    asking = exchange(
        http,
        "POST",
        str(question.url),
        timeout=question.timeout,
        limit=limit,
        headers={"Content-Type": "application/x-www-form-urlencoded"} | headers,
        content=urlencode(question.form),
    )
    answer = await counted(KEY, asking)
    if answer.status in _GET_ONLY:
        url = question.url.copy_merge_params(question.form)
        asking = exchange(http, "GET", str(url), timeout=question.timeout, limit=limit, headers=headers)
        answer = await counted(KEY, asking)
    return answer
