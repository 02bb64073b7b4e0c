"""Requests to one Kubernetes API server, which have a time limit, and answers, which have a size limit."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio import client, config
from temporalio.common import MetricMeter

from activities.kubernetes.answers import decode, failure, failures
from activities.kubernetes.turns import Turns
from tidegate.contract.metrics import KUBERNETES_REQUESTS, NO_RESPONSE

REQUEST_TIMEOUT_SECONDS = 10.0
LARGE_BYTES = 64 * 1024
LARGE_AT_ONCE = 2  # of all namespaces; the rest of the server's time is for requests about objects of a usual size
PATHS = 10_000  # of which is remembered how large their answers were

_NAMESPACE = re.compile(r"/namespaces/([^/]+)/")


class Transport:
    """The connections to one API server; failures are typed."""

    def __init__(
        self,
        api: client.ApiClient,
        timeout: float = REQUEST_TIMEOUT_SECONDS,
        meter: MetricMeter = MetricMeter.noop,
    ) -> None:
        """`timeout` is how many seconds a request may take; `meter` counts requests."""
        self._api = api
        self._meter = meter
        self._timeout = timeout
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._large = Turns(LARGE_AT_ONCE)

    @classmethod
    async def connect(
        cls,
        *,
        url: str = "",
        kubeconfig: str = "",
        context: str = "",
        timeout: float = REQUEST_TIMEOUT_SECONDS,
        agent: str = "tidegate",
        meter: MetricMeter = MetricMeter.noop,
    ) -> Self:
        """Reach a server by plain URL, by a kubeconfig file, or by the pod's service account when neither is given.

        `timeout` is how many seconds a request may take, `agent` whom the server's audit log names; `meter` counts
        requests.
        """
        settings = client.Configuration()
        if url:
            settings.host = url
        elif kubeconfig:
            await config.load_kube_config(kubeconfig, context=context or None, client_configuration=settings)
        else:
            config.load_incluster_config(client_configuration=settings)
        settings.connection_pool_maxsize = 0  # no limit: no watch may keep a write from its connection
        # By itself aiohttp reads ~/.netrc, and asks for a proxy in a thread, before each request.
        settings.client_session_kwargs = {"trust_env": False}
        settings.proxy = settings.proxy or _proxy_of(settings.host)
        settings.retries = None  # False would be read as the number 0, which the client counts up to for ever
        api = client.ApiClient(settings)
        api.user_agent = agent
        return cls(api, timeout, meter)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> dict[str, Any]:
        headers = {"Accept": accept, "Content-Type": content_type}
        with failures(method, path):
            async with self._turn(path):
                status, data, answered = await self._exchange(method, path, query or [], headers, body)
        self._sizes[path] = len(data)
        self._sizes.move_to_end(path)
        if len(self._sizes) > PATHS:
            self._sizes.popitem(last=False)
        return decode(method, path, status, data, answered)

    def _turn(self, path: str) -> AbstractAsyncContextManager[None]:
        """To wait for before a request whose answer will be large, as the one before was: those take turns."""
        if self._sizes.get(path, 0) < LARGE_BYTES:
            return nullcontext()
        found = _NAMESPACE.search(path)
        return self._large.of(found.group(1) if found else "")

    async def _exchange(
        self, method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: Any
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """One request on the wire: status, body and headers of the answer."""
        prepared = await self._api.param_serialize(
            method, path, query_params=query, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        response = await self._counted(method, self._api.call_api(*prepared, _request_timeout=self._timeout))
        return response.status, await response.read(), response.headers

    async def _counted(self, method: str, sent: Awaitable[Any]) -> Any:
        """The client's response to a request, which is counted by its status."""
        try:
            response = await sent
        except Exception:
            KUBERNETES_REQUESTS.add(self._meter, method=method, code=NO_RESPONSE)
            raise
        KUBERNETES_REQUESTS.add(self._meter, method=method, code=str(response.status))
        return response

    async def stream(
        self, path: str, query: list[tuple[str, str]], silence: float, opened: Callable[[], None]
    ) -> AsyncIterator[dict[str, Any]]:
        """Read objects, one on each line, until the server ends it, which is no error.

        `opened` is called when the server has begun to answer. Where nothing comes for `silence` seconds the connection
        is taken for dead: that is a failure. What comes as a `Status` in an event of type ERROR is raised as it would
        be as an answer.
        """
        with failures("WATCH", path):
            prepared = await self._api.param_serialize(
                "GET",
                path,
                query_params=query,
                header_params={"Accept": "application/json"},
                auth_settings=["BearerToken"],
            )
            patience = aiohttp.ClientTimeout(total=None, connect=self._timeout, sock_read=silence)
            answer = await self._counted("WATCH", self._api.call_api(*prepared, _request_timeout=patience))
            response = answer.response
            async with response:
                if response.status != 200:
                    decode("WATCH", path, response.status, await response.read(), response.headers)
                opened()
                while line := await response.content.readline():  # which has a limit of its own, far above any object
                    event = decode("WATCH", path, response.status, line, response.headers)
                    if event.get("type") == "ERROR":
                        status = event.get("object") or {}
                        raise failure("WATCH", path, status.get("code") or 0, json.dumps(status), {})
                    yield event


def _proxy_of(url: str) -> str | None:
    """The proxy that the environment names for an address."""
    asked = urlsplit(url)
    return None if proxy_bypass(asked.netloc) else getproxies().get(asked.scheme)
