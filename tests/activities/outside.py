"""Stand-ins for what an activity talks to: a scripted HTTP server on a loopback port, and a store of secrets."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.transport.egress import Egress
from activities.transport.outgoing import Outgoing
from tidegate.contract import ErrorType

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Script:
    """An HTTP server that gives the scripted answers in order, the last one for ever, and records what it was asked.

    With `tls` it speaks HTTPS.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.answers: list[Answering] = []
        self.seen: list[Seen] = []
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/{tail:.*}", self._answer)
        self._server = TestServer(app, host="127.0.0.1")

    async def __aenter__(self) -> Script:
        await self._server.start_server(ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    def then(self, status: int = 200, body: Any = b"", **headers: str) -> Script:
        """Add an answer; a body that is no bytes is sent as JSON. `_` in header names stands for `-`."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status, body=data, headers=named)

        return self.then_do(answer)

    def then_drip(self) -> Script:
        """Add an answer of which each part comes in time and the whole never."""

        async def drip(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.01)

        return self.then_do(drip)

    def then_do(self, answering: Answering) -> Script:
        self.answers.append(answering)
        return self

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(Seen(request.method, request.path, request.headers, request.query, await request.read()))
        answering = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answering(request)


@dataclass
class MemorySecrets:
    """A store of secrets in memory; what `after` holds replaces `content` when a path is read again."""

    content: dict[str, dict[str, str]] = field(default_factory=dict)
    after: dict[str, dict[str, str]] = field(default_factory=dict)
    refreshed: list[str] = field(default_factory=list)

    async def read(self, path: str) -> Mapping[str, str]:
        if path not in self.content:
            raise ApplicationError(f"{path} is not there", type=ErrorType.NOT_FOUND, non_retryable=True)
        return self.content[path]

    async def refresh(self, path: str) -> Mapping[str, str]:
        self.refreshed.append(path)
        if path in self.after:
            self.content[path] = self.after[path]
        return await self.read(path)


async def run_activity(
    method: Callable[..., Awaitable[Any]], *args: Any, heartbeats: list[Any] | None = None, attempt: int = 1
) -> Any:
    """Run an activity method in Temporal's own test environment; what it reports is added to `heartbeats`."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, attempt=attempt)
    if heartbeats is not None:
        environment.on_heartbeat = lambda *details: heartbeats.append(details)
    return await environment.run(method, *args)


# Of stand-ins on this machine; a worker in production would refuse them.
LOOPBACK = Egress.of(["*", "127.0.0.0/8", "::1"])


def http_client(egress: Egress = LOOPBACK) -> Outgoing:
    """A client like the worker's, without the time that loading the system's certificates takes."""
    return Outgoing(egress, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody but itself vouches for, and its key."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
    ]
    subject = ["-subj", "/CN=tests", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(
            [*command, *subject, "-keyout", key, "-out", certificate], check=True, timeout=30, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("there is no openssl command to make a certificate with")
    return certificate, key
