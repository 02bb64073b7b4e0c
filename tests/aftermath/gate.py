"""A door in front of an outside system, behind which it may be in trouble."""

from __future__ import annotations

import asyncio
import ssl
from enum import StrEnum

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.activities.outside import Answering

MAX_BODY_BYTES = 16 * 1024 * 1024


class Trouble(StrEnum):
    """What may be the matter with a system."""

    DOWN = "down"
    SLOW = "slow"
    REFUSES = "401"
    BUSY = "429"
    BROKEN = "500"
    NONSENSE = "nonsense"


class Gate:
    """Passes requests on, or answers them as `trouble` says; `met` counts those that met with it.

    After `lasts` of them the system is well again by itself.
    """

    def __init__(self, system: Answering, tls: ssl.SSLContext | None = None) -> None:
        self.trouble: Trouble | None = None
        self.lasts: int | None = None
        self.met = 0
        self._system = system
        self._tls = tls
        self._mended = asyncio.Event()
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/{tail:.*}", self._answer)
        self._server = TestServer(app, host="127.0.0.1")

    async def __aenter__(self) -> Gate:
        await self._server.start_server(ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.mend()
        await self._server.close()

    @property
    def url(self) -> str:
        """What the system is reached by."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{self._server.host}:{self._server.port}"

    def mend(self) -> None:
        """The system is well again."""
        self.trouble = None
        self._mended.set()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.trouble is None:
            return await self._system(request)
        self.met += 1
        trouble = self.trouble
        if self.met == self.lasts:
            self.trouble = None
        match trouble:
            case Trouble.DOWN:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case Trouble.SLOW:
                await self._mended.wait()
                return web.Response(status=504)
            case Trouble.NONSENSE:
                return web.Response(text="<html>we will be back soon</html>", content_type="text/html")
            case Trouble.BUSY:
                return web.Response(status=429, headers={"Retry-After": "30"})
            case Trouble.REFUSES | Trouble.BROKEN:
                return web.Response(status=int(trouble))


def behind(url: str, session: aiohttp.ClientSession) -> Answering:
    """The system that listens there."""

    async def answer(request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        asked = session.request(
            request.method,
            f"{url}{request.path_qs}",
            headers=headers,
            data=await request.read(),
            allow_redirects=False,
        )
        async with asked as said:
            kept = {name: said.headers[name] for name in ("Content-Type", "Location") if name in said.headers}
            return web.Response(status=said.status, body=await said.read(), headers=kept)

    return answer
