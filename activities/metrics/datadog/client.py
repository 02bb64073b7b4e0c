"""The official Datadog client, asked for one thing at a time and limited: no retry, no redirect, a deadline, a size."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import httpx
from datadog_api_client.api_client import AsyncApiClient
from datadog_api_client.configuration import Configuration
from datadog_api_client.v1.api.authentication_api import AuthenticationApi
from datadog_api_client.v1.api.metrics_api import MetricsApi as MetricsApiV1
from datadog_api_client.v2.api.metrics_api import MetricsApi as MetricsApiV2

from activities.metrics.datadog.credentials import Credentials
from activities.metrics.datadog.request import Window
from activities.transport.http import HttpResponse, exchange

# The constructors of the official client are not annotated.
_configuration: Callable[..., Configuration] = Configuration
_authentication_v1: Callable[..., Any] = AuthenticationApi
_metrics_v1: Callable[..., Any] = MetricsApiV1
_metrics_v2: Callable[..., Any] = MetricsApiV2


class DatadogClient:
    """Metric queries with one pair of keys. Answers come as they are, whatever their status."""

    def __init__(self, http: httpx.AsyncClient, credentials: Credentials, timeout: timedelta) -> None:
        """`timeout` limits each whole exchange."""
        # Argo sends queries verbatim and lets Datadog judge them; so the client's own type checks are off, and its
        # decoding too, because it would hide the body that has to be quoted.
        configuration = _configuration(
            host=credentials.address,
            api_key={"apiKeyAuth": credentials.api_key, "appKeyAuth": credentials.app_key},
            request_timeout=timeout.total_seconds(),
            enable_retry=False,
            compress=False,
            preload_content=False,
            check_input_type=False,
        )
        client = _Client(configuration, http, (credentials.api_key, credentials.app_key))
        self._authentication = _authentication_v1(client)
        self._v1 = _metrics_v1(client)
        self._v2 = _metrics_v2(client)

    async def validate(self) -> HttpResponse:
        """`GET /api/v1/validate`, which judges the API key alone. Raises TransportError."""
        answer: HttpResponse = await self._authentication.validate()
        return answer

    async def query(self, query: str, window: Window) -> HttpResponse:
        """`GET /api/v1/query`. Raises TransportError."""
        answer: HttpResponse = await self._v1.query_metrics(_from=window.start, to=window.end, query=query)
        return answer

    async def scalar(self, body: Mapping[str, object]) -> HttpResponse:
        """`POST /api/v2/query/scalar`. Raises TransportError."""
        answer: HttpResponse = await self._v2.query_scalar_data(body=dict(body))
        return answer

    async def timeseries(self, body: Mapping[str, object]) -> HttpResponse:
        """`POST /api/v2/query/timeseries`. Raises TransportError."""
        answer: HttpResponse = await self._v2.query_timeseries_data(body=dict(body))
        return answer


class _Client(AsyncApiClient):
    """The client on top of httpx: its own sessions follow redirects with the keys on, and read without limit."""

    def __init__(self, configuration: Configuration, http: httpx.AsyncClient, keys: tuple[str, str]) -> None:
        self._http = http
        self._keys = keys
        super().__init__(configuration)

    def _build_rest_client(self) -> _Session:
        return _Session(self._http, self._keys)


class _Session:
    """Session of the client: one method."""

    def __init__(self, http: httpx.AsyncClient, keys: tuple[str, str]) -> None:
        self._http = http
        self._keys = keys

    async def request(
        self,
        method: str,
        url: str,
        *,
        query_params: Sequence[tuple[str, str]] | None,
        headers: Mapping[str, str],
        body: object,
        request_timeout: float,
        **_unused: object,
    ) -> HttpResponse:
        return await exchange(
            self._http,
            method,
            url,
            timeout=request_timeout,
            # Argo says so of every request, of one without a body too.
            headers={"Content-Type": "application/json", **headers},
            params=dict(query_params or ()),
            content=None if body is None else json.dumps(body),
            confidential=self._keys,
        )
