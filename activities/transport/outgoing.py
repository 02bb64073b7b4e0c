"""The client of whatever a manifest can name: it asks what `Egress` allows, at the very address that was judged.

Each URL of a manifest or of a user's Secret (a server, Prometheus, the server of a token, a site of Datadog) goes out
through it, so that there is no second way.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Final

import httpcore
import httpx

from activities.transport.egress import DEFAULT_PORTS, Address, Egress

_LEAST_SECONDS: Final = 1.0
_ERRORS: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


class Outgoing(httpx.AsyncClient):
    """A client that asks only what `egress` allows, and connects to the address that was judged."""

    def __init__(
        self, egress: Egress, context: ssl.SSLContext | None = None, *, resolve: Resolve | None = None
    ) -> None:
        """`context` says whom to trust, by default those whom the system trusts; `resolve` gives a host's addresses."""
        self._egress, self._resolve = egress, resolve or _resolve
        transport = _Transport(egress, context or httpx.create_ssl_context(), self._resolve)
        super().__init__(transport=transport, trust_env=False)

    def trusting(self, context: ssl.SSLContext) -> Outgoing:
        """A client with the same limits that trusts otherwise."""
        return Outgoing(self._egress, context, resolve=self._resolve)


class _Transport(httpx.AsyncBaseTransport):
    """Straight to the server, or through the proxy that the environment names (HTTPS_PROXY, NO_PROXY, ...)."""

    def __init__(self, egress: Egress, context: ssl.SSLContext, resolve: Resolve) -> None:
        self._egress = egress
        self._context = context
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=100,
            max_keepalive_connections=20,
            network_backend=_Addresses(egress, resolve),
        )
        self._proxies = urllib.request.getproxies()
        self._proxied: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.raw_host.decode("ascii")
        port = request.url.port or DEFAULT_PORTS.get(request.url.scheme, 0)
        proxy = self._proxy(request.url.scheme, host)
        self._egress.judge_name(host, port, proxied=bool(proxy))
        if proxy:
            return await self._through(proxy).handle_async_request(request)
        if not isinstance(request.stream, httpx.AsyncByteStream):
            raise TypeError("the body of the request is no asynchronous stream")
        sent = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            answer = await self._pool.handle_async_request(sent)
        except _ERRORS as error:
            raise _of_httpx(error) from error
        return httpx.Response(
            status_code=answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions
        )

    def _proxy(self, scheme: str, host: str) -> str:
        proxy = self._proxies.get(scheme) or self._proxies.get("all") or ""
        if not proxy or urllib.request.proxy_bypass(host, self._proxies):
            return ""
        return proxy if "://" in proxy else f"http://{proxy}"

    def _through(self, proxy: str) -> httpx.AsyncHTTPTransport:
        if proxy not in self._proxied:
            self._proxied[proxy] = httpx.AsyncHTTPTransport(verify=self._context, proxy=proxy)
        return self._proxied[proxy]

    async def aclose(self) -> None:
        await self._pool.aclose()
        for transport in self._proxied.values():
            await transport.aclose()


class _Addresses(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were judged, never to a name: what a name leads to may change in between."""

    def __init__(self, egress: Egress, resolve: Resolve) -> None:
        self._egress = egress
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._judged(host, port)
        share = None if timeout is None else max(timeout / len(addresses), min(timeout, _LEAST_SECONDS))
        failed: Exception = httpcore.ConnectError("All connection attempts failed")
        for address in addresses:
            try:
                return await self._network.connect_tcp(str(address), port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def _judged(self, host: str, port: int) -> Sequence[Address]:
        """Every address of `host`; one that is refused refuses them all. Raises NotAllowedError, ConnectError."""
        try:
            addresses = [ip_address(each) for each in dict.fromkeys(await self._resolve(host, port))]
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from error
        for address in addresses:
            self._egress.judge_address(host, port, address)
        if not addresses:
            raise httpcore.ConnectError(f"{host} has no address")
        return addresses

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._answer.aiter_stream():
                yield part
        except _ERRORS as error:
            raise _of_httpx(error) from error

    async def aclose(self) -> None:
        await self._answer.aclose()


def _of_httpx(error: Exception) -> httpx.HTTPError:
    """The same error in httpx's words: it has one of each name."""
    kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__, httpx.TransportError)
    return kind(str(error))
