"""Temporal's remote codec: decrypts for the UI and the `temporal` command what they are allowed to show."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from temporalio.api.common.v1 import Payload, Payloads

from tidegate.client.codec import PayloadEncryption, UnreadablePayloadError
from tidegate.client.errors import ConfigurationError, TidegateError
from tidegate.client.http_server import serve_http
from tidegate.client.keyring import KeySource

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
MAX_NESTING: Final = 8  # of a body, where three levels have a meaning
REQUEST_TIMEOUT_SECONDS: Final = 10.0
# The header that the UI and the command name the Temporal namespace in; one keyring serves all.
NAMESPACE_HEADER: Final = "x-namespace"
ALLOWED_HEADERS: Final = f"authorization, content-type, {NAMESPACE_HEADER}"
PREFLIGHT_SECONDS: Final = 600
_JSON: Final = "application/json"
_SCHEME: Final = "bearer"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Change = Callable[[list[Payload]], Awaitable[list[Payload]]]


class CodecServer:
    """`POST /encode` and `POST /decode`, each from Temporal's `Payloads` as JSON to the same."""

    def __init__(self, keys: KeySource, *, origins: Collection[str] = (), token: str = "") -> None:
        """`origins` are those whose pages may ask, as `https://temporal.internal`; a `token` is what all must know."""
        self._codec = PayloadEncryption(keys)
        self._origins = frozenset(origins)
        self._token = token.encode()

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._guard])
        app.router.add_post("/encode", self._encode)
        app.router.add_post("/decode", self._decode)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        # Not left to the browser alone: a page that has its own name lead to this address counts there as ours.
        if origin is not None and origin not in self._origins:
            return _error(HTTPStatus.FORBIDDEN, "pages of this origin may not ask; see --origin")
        if request.method == hdrs.METH_OPTIONS:
            answer: web.StreamResponse = web.Response(status=HTTPStatus.NO_CONTENT)
        elif not self._knows_token(request):
            answer = _error(HTTPStatus.UNAUTHORIZED, "send the header Authorization: Bearer TOKEN")
            answer.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        else:
            answer = await _answer(request, handler)
        if origin is not None:
            answer.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            answer.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = hdrs.METH_POST
            answer.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = ALLOWED_HEADERS
            answer.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = str(PREFLIGHT_SECONDS)
        answer.headers[hdrs.VARY] = hdrs.ORIGIN
        answer.headers[hdrs.CACHE_CONTROL] = "no-store"
        return answer

    def _knows_token(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        # Compared even where the scheme is wrong, and in constant time: an answer's time tells nothing of the token.
        same = secrets.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token)
        return not self._token or (same and scheme.lower() == _SCHEME)

    async def _encode(self, request: web.Request) -> web.Response:
        return await _changed(request, self._codec.encode)

    async def _decode(self, request: web.Request) -> web.Response:
        async def decrypt(payloads: list[Payload]) -> list[Payload]:
            return [await self._codec.decrypt(payload) for payload in payloads]

        return await _changed(request, decrypt)


@asynccontextmanager
async def serve_codec(server: CodecServer, host: str, port: int) -> AsyncIterator[int]:
    """Answer on `host`:`port` while the context lasts, 0 being any free port; gives the port.

    Raises ConfigurationError for an address that cannot be listened on.
    """
    async with AsyncExitStack() as stack:
        try:
            bound = await stack.enter_async_context(serve_http(server.app(), host, port))
        except OSError as error:
            raise ConfigurationError(f"{host}:{port}: {error.strerror}", "see --host and --port") from error
        yield bound


def is_loopback(host: str) -> bool:
    """True when only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
            return await handler(request)
    except web.HTTPException as error:
        return _error(HTTPStatus(error.status), error.reason)
    except TimeoutError:
        return _error(HTTPStatus.REQUEST_TIMEOUT, f"not complete after {REQUEST_TIMEOUT_SECONDS:.0f} s")
    except UnreadablePayloadError as error:
        return _error(HTTPStatus.BAD_REQUEST, error.message)
    except TidegateError as error:
        return _error(HTTPStatus.SERVICE_UNAVAILABLE, error.message)


async def _changed(request: web.Request, change: Change) -> web.Response:
    if request.content_type != _JSON:
        return _error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {_JSON}")
    try:
        payloads = Parse(await request.read(), Payloads(), ignore_unknown_fields=True, max_recursion_depth=MAX_NESTING)
    except (ParseError, UnicodeDecodeError, RecursionError):  # the text of ParseError quotes what it read
        return _error(HTTPStatus.BAD_REQUEST, "the body is not Temporal's Payloads as JSON")
    answer = Payloads(payloads=await change(list(payloads.payloads)))
    return web.Response(text=MessageToJson(answer, indent=None), content_type=_JSON)


def _error(status: HTTPStatus, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
