"""What every process does: connect to Temporal with patience, go gracefully when told to, and name bad settings."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

import structlog
from temporalio.client import Client
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import RPCError

from tidegate.client import (
    KeySource,
    KeysUnavailableError,
    TidegateError,
    UnreachableError,
    connect_temporal,
    data_converter,
)
from workers.health import Health
from workers.logs import configure_logs, core_logging
from workers.settings import Role, Settings, SettingsError, load_settings

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS: Final = 0.5
CHECK_SECONDS: Final = 5.0
CHECK_TIMEOUT: Final = timedelta(seconds=3)
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 64

Result = TypeVar("Result")
Serve = Callable[[Settings, asyncio.Event], Awaitable[None]]


def open_runtime(settings: Settings) -> Runtime:
    """The SDK's runtime: with `telemetry` it serves its metrics and ours to Prometheus, named as is usual there."""
    metrics = None
    if settings.telemetry:
        metrics = PrometheusConfig(
            bind_address=settings.telemetry, counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
        )
    # Which process a metric is of, its pod's labels say.
    return Runtime(telemetry=TelemetryConfig(logging=core_logging(), metrics=metrics, attach_service_name=False))


async def connect_patiently(settings: Settings, health: Health, keys: KeySource | None, runtime: Runtime) -> Client:
    """Connect to Temporal; neither it nor the store of `keys` need be up yet: the health says what is not."""
    delay = FIRST_RETRY_SECONDS
    while True:
        try:
            if keys is not None:
                await keys.keyring()  # here, so that no task is taken before its payloads can be read
            return await connect_temporal(
                identity=f"{os.getpid()}@{socket.gethostname()}",
                converter=data_converter(keys),
                runtime=runtime,
                api_key=await read_token(settings.temporal_token_file),
            )
        except (UnreachableError, KeysUnavailableError, TokenFileError) as error:
            health.set_not_ready(error.message)
            await asyncio.sleep(delay)
            delay = min(delay * 2, settings.reconnect_at_most.total_seconds())


class TokenFileError(TidegateError):
    """The file of the process's token for Temporal holds none now."""


async def read_token(file: Path | None) -> str | None:
    """The token for Temporal as it stands in its file now; None where there is no such file. Raises TokenFileError."""
    if file is None:
        return None
    try:
        token = (await asyncio.to_thread(file.read_text, encoding="ascii")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenFileError(f"token for Temporal: {file}: {error}") from error
    if len(token.split()) != 1:
        raise TokenFileError(f"token for Temporal: {file}: it holds no token")
    return token


async def check_temporal(
    client: Client, health: Health, trouble: Callable[[], str], token_file: Path | None = None
) -> None:
    """Keep the health up to date for ever, and the client's token as it stands in its file.

    `trouble` says what else is in the way, empty when nothing is.
    """
    while True:
        try:
            if (token := await read_token(token_file)) is not None and token != client.api_key:
                client.api_key = token
                log.info("token for temporal read anew")
            await client.service_client.check_health(timeout=CHECK_TIMEOUT)
        except RPCError as error:
            health.set_not_ready(f"Temporal does not answer: {error.message}")
        except TokenFileError as error:  # the one from before goes on until it ends
            health.set_not_ready(error.message)
        else:
            if reason := trouble():
                health.set_not_ready(reason)
            else:
                health.set_ready()
        await asyncio.sleep(CHECK_SECONDS if health.ready else FIRST_RETRY_SECONDS)


async def unless_stopped(stop: asyncio.Event, doing: Coroutine[None, None, Result]) -> Result | None:
    """The result of some work, or None when `stop` was set before it was done; the work is cancelled then."""
    work, stopping = asyncio.create_task(doing), asyncio.create_task(stop.wait())
    await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if work.done():
        return work.result()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    return None


def run_process(parser: argparse.ArgumentParser, serve: Serve) -> None:
    """Serve until a signal comes: exits 0 when told to stop, 1 when it failed, 64 for settings it cannot use."""
    role: Role | None = getattr(parser.parse_args(), "role", None)
    try:
        settings = load_settings(role)
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(EXIT_USAGE)
    configure_logs(settings.log.level)
    try:
        asyncio.run(_serve_until_signalled(serve, settings))
        # The SDK's threads must be gone before the interpreter ends: one that finishes a call after that aborts the
        # process. They end with the last reference to the client, which reference cycles keep.
        gc.collect()
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(EXIT_USAGE)
    except TidegateError as error:
        log.error("cannot start", error=error.message, remedy=error.remedy)
        sys.exit(EXIT_FAILED)
    except Exception:
        log.exception("process failed")
        sys.exit(EXIT_FAILED)


async def _serve_until_signalled(serve: Serve, settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, stop)
