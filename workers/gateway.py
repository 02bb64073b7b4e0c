"""The `tidegate-gateway` process. It lets a pipeline's token start a release and wait for it, and nothing else.

Temporal's authorizer knows namespaces of its own and four roles: a caller that may start may promote, terminate and
write to any other release. So a pipeline gets no access to Temporal but this one, which has no such requests.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack

import structlog

from tidegate.client import TidegateClient
from tidegate.client.http_server import serve_http
from workers.callers import Callers
from workers.connection import Connection
from workers.gateway_api import GatewayDoor
from workers.outside_settings import GatewaySettings
from workers.process import connected, run_process
from workers.settings import Settings, SettingsError
from workers.tokens import Keys, Verifier

log = structlog.get_logger(__name__)

MAX_SET_BYTES = 256 * 1024
FETCH_SECONDS = 10.0


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Answer until `stop` is set. Temporal need not be up: the health says what is missing."""
    if settings.gateway is None:
        raise SettingsError("TIDEGATE_GATEWAY__ISSUER: name the identity provider whose tokens are let in")
    async with connected(settings, stop) as to:
        if to is not None:
            await _answer(to, settings.gateway, stop)


async def _answer(to: Connection, settings: GatewaySettings, stop: asyncio.Event) -> None:
    import httpx

    from activities.transport.http import TransportError, exchange

    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=True))

        async def fetch() -> bytes:
            try:
                answer = await exchange(http, "GET", settings.keys_url, timeout=FETCH_SECONDS, limit=MAX_SET_BYTES)
            except TransportError as error:
                raise OSError(f"{settings.keys_url}: {error}") from error
            if answer.status != 200:
                raise OSError(f"{settings.keys_url} answers {answer.status}")
            return answer.body

        callers = Callers(settings.callers_file)
        verifier = Verifier(Keys(fetch), settings.issuer, settings.audience)
        client = TidegateClient(to.client)
        to.follow(client.use)
        dispatcher = GatewayDoor(client, verifier, callers)
        port = await stack.enter_async_context(serve_http(dispatcher.app(), settings.host, settings.port))
        log.info("gateway", host=settings.host, port=port, issuer=settings.issuer)
        checking = asyncio.create_task(to.check(lambda: ""))
        try:
            await stop.wait()
        finally:
            checking.cancel()
            to.health.set_not_ready("stopping")


def main() -> None:
    """Run the process of `tidegate-gateway`; `run_process` says how it exits."""
    parser = argparse.ArgumentParser(
        prog="tidegate-gateway", description="Starts releases for pipelines, by the claims of their tokens."
    )
    run_process(parser, serve)


if __name__ == "__main__":
    main()
