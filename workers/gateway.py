"""The `tidegate-gateway` process: what a pipeline's token may ask of Temporal, which is to start a release and to wait.

Temporal's authorizer knows namespaces of its own and four roles: whoever may start may promote, terminate and write to
any other release. So a pipeline is given no way to Temporal but this one, which has no such doors.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from temporalio.client import Client

from tidegate.client import TidegateClient
from workers.callers import Callers
from workers.codec import open_keys
from workers.gateway_door import GatewayDoor, serve_gateway
from workers.health import Health, serve_health
from workers.outside_settings import GatewaySettings
from workers.process import check_temporal, connect_patiently, open_runtime, run_process, unless_stopped
from workers.settings import Settings, SettingsError
from workers.tokens import Keys, Verifier

log = structlog.get_logger(__name__)

MAX_SET_BYTES = 256 * 1024
FETCH_SECONDS = 10.0


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Answer until `stop` is set. Temporal need not be up: the health says what is missing."""
    if settings.gateway is None:
        raise SettingsError("TIDEGATE_GATEWAY__ISSUER: name the identity provider whose tokens are let in")
    runtime = open_runtime(settings)
    health = Health(runtime.metric_meter)
    async with (
        serve_health(health, settings.health.host, settings.health.port) as port,
        open_keys(settings) as keys,
    ):
        log.info("health", host=settings.health.host, port=port)
        client = await unless_stopped(stop, connect_patiently(settings, health, keys, runtime))
        if client is not None:
            await _answer(client, settings.gateway, settings.temporal_token_file, stop, health)
    log.info("stopped")


async def _answer(
    temporal: Client, asked: GatewaySettings, token_file: Path | None, stop: asyncio.Event, health: Health
) -> None:
    import httpx

    from activities.http import TransportError, exchange

    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=True))

        async def fetch() -> bytes:
            try:
                answer = await exchange(http, "GET", asked.keys_url, timeout=FETCH_SECONDS, limit=MAX_SET_BYTES)
            except TransportError as error:
                raise OSError(f"{asked.keys_url}: {error}") from error
            if answer.status != 200:
                raise OSError(f"{asked.keys_url} answers {answer.status}")
            return answer.body

        callers = Callers(asked.callers_file)
        verifier = Verifier(Keys(fetch), asked.issuer, asked.audience)
        door = GatewayDoor(TidegateClient(temporal), verifier, callers)
        port = await stack.enter_async_context(serve_gateway(door, asked.host, asked.port))
        log.info("gateway", host=asked.host, port=port, issuer=asked.issuer)
        checking = asyncio.create_task(check_temporal(temporal, health, lambda: "", token_file))
        try:
            await stop.wait()
        finally:
            checking.cancel()
            health.set_not_ready("stopping")


def main() -> None:
    """Entry point of `tidegate-gateway`; `run_process` says how it exits."""
    parser = argparse.ArgumentParser(
        prog="tidegate-gateway", description="Starts releases for pipelines, by the claims of their tokens."
    )
    run_process(parser, serve)


if __name__ == "__main__":
    main()
