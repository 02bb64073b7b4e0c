"""The way from the product's client of a cluster to the embedded API, without a socket; it may lose what travels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlencode

import aiohttp
from aiohttp import StreamReader, web
from aiohttp.http import HttpVersion11, RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from temporalio.exceptions import ApplicationError
from yarl import URL

from activities.kubernetes.client import Cluster
from activities.kubernetes.transport import REQUEST_TIMEOUT_SECONDS
from sandbox.kubernetes_api import Change, KubernetesApi
from sandbox.kubernetes_api.objects import Object, meta
from sandbox.kubernetes_api.paths import parse_path
from sandbox.kubernetes_api.status import ApiError
from tests.virtual.temporal.chances import Chances
from tidegate.contract import ErrorType

_PROTOCOL = SimpleNamespace(
    transport=None,
    ssl_context=None,
    peername=None,
    sockname=None,
    _reading_paused=False,
    resume_reading=lambda **_: None,
)
LATEST_SECONDS = 45.0  # after which a request that was held up on its way arrives at last


class Wire(Cluster):
    """A client whose requests arrive in this process, each after a while.

    A request or its answer may be lost, the answer may be cut off half way, and a request may arrive long after the
    client has given it up. A watch tells of each change later than it happened.
    """

    def __init__(self, api: KubernetesApi, agent: str, chances: Chances) -> None:
        super().__init__(cast("Any", None))
        self._server = api
        self._agent = agent
        self._chances = chances
        self._late: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """Nothing that is held up on its way arrives any more."""
        for task in list(self._late):
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def _exchange(
        self, method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: Any
    ) -> tuple[int, bytes, Mapping[str, str]]:
        chances = self._chances
        await asyncio.sleep(chances.latency(0.004))
        if chances.strikes("connection refused"):
            raise aiohttp.ClientConnectionError("connection refused")
        sending = self._send(method, path, query, headers, body)
        if chances.strikes("request late"):
            self._later(sending, chances.seconds(REQUEST_TIMEOUT_SECONDS, LATEST_SECONDS))
            await asyncio.sleep(REQUEST_TIMEOUT_SECONDS)
            raise TimeoutError
        if chances.strikes("request lost"):
            sending.close()
            await asyncio.sleep(REQUEST_TIMEOUT_SECONDS)
            raise TimeoutError
        answer = await sending
        if chances.strikes("answer cut off"):
            raise aiohttp.ClientPayloadError("Response payload is not completed")
        if chances.strikes("no answer"):
            await asyncio.sleep(REQUEST_TIMEOUT_SECONDS)
            raise TimeoutError
        return answer

    def _later(self, sending: Any, seconds: float) -> None:
        async def arrive() -> None:
            await asyncio.sleep(seconds)
            await sending

        task = asyncio.get_running_loop().create_task(arrive())
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        task.add_done_callback(lambda _: sending.close())

    async def _send(
        self, method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: Any
    ) -> tuple[int, bytes, Mapping[str, str]]:
        answer = await self._server.answer(_request(method, path, query, {**headers, "User-Agent": self._agent}, body))
        return answer.status, cast("bytes", cast("web.Response", answer).body), answer.headers

    async def stream(
        self, path: str, query: list[tuple[str, str]], silence: float, opened: Callable[[], None]
    ) -> AsyncIterator[Object]:
        """Changes of one kind from a version on, each a while after it happened."""
        asked, found = dict(query), parse_path(path)
        assert found is not None
        loop, store = asyncio.get_running_loop(), self._server.store
        changes: asyncio.Queue[Change] = asyncio.Queue()

        def note(change: Change) -> None:
            if change.kind is found.kind and found.namespace in ("", meta(change.object).get("namespace")):
                changes.put_nowait(change)

        try:
            for change in store.changes_after(int(asked["resourceVersion"])):
                note(change)
        except ApiError as error:
            raise ApplicationError(f"Kubernetes API: WATCH: {error}", type=ErrorType.REJECTED) from error
        unsubscribe = store.subscribe(note)
        end = loop.time() + float(asked["timeoutSeconds"])
        try:
            await asyncio.sleep(self._chances.latency(0.004))
            opened()
            while (left := end - loop.time()) > 0:
                try:
                    async with asyncio.timeout(left):
                        change = await changes.get()
                except TimeoutError:
                    return
                late = self._chances.seconds(0.5, 12.0) if self._chances.strikes("stale") else 0.0
                await asyncio.sleep(late + self._chances.latency(0.05))
                if self._chances.strikes("watch cut off"):
                    raise ApplicationError("Kubernetes API: WATCH: cut off", type=ErrorType.UNAVAILABLE)
                yield {"type": change.type, "object": json.loads(json.dumps(change.object))}
        finally:
            unsubscribe()


def _request(method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: Any) -> web.Request:
    """A request as the server's own parser would have made it."""
    sent = CIMultiDict(headers)
    payload = StreamReader(cast("Any", _PROTOCOL), 2**16, loop=asyncio.get_running_loop())
    if body is not None:
        payload.feed_data(json.dumps(body).encode())
    payload.feed_eof()
    url = URL.build(path=path, query_string=urlencode(query), encoded=True)
    message = RawRequestMessage(
        method,
        str(url),
        HttpVersion11,
        CIMultiDictProxy(sent),
        tuple((name.encode(), value.encode()) for name, value in headers.items()),
        should_close=False,
        compression=None,
        upgrade=False,
        chunked=False,
        url=url,
    )
    task = asyncio.current_task()
    assert task is not None
    protocol, writer = cast("Any", _PROTOCOL), cast("Any", None)
    return web.Request(message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=2**24)
