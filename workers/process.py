"""Common to all processes: connect to Temporal with retries, stop gracefully on a signal, and name bad settings."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Final, NoReturn, TypeVar

import structlog
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from tidegate.client import TidegateError
from tidegate.client.process_end import exit_process
from tidegate.contract.metrics import bucket_overrides
from workers.codec import open_keys
from workers.connection import Connection
from workers.health import Health, serve_health
from workers.logs import configure_logs, core_logging
from workers.settings import Role, Settings, SettingsError, load_settings
from workers.tracing import open_tracing

log = structlog.get_logger(__name__)

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 64

Result = TypeVar("Result")
Serve = Callable[[Settings, asyncio.Event], Awaitable[None]]


def open_runtime(settings: Settings) -> Runtime:
    """The SDK's runtime: with `telemetry` it serves its metrics and ours to Prometheus, named as is usual there."""
    metrics = None
    if settings.telemetry:
        metrics = PrometheusConfig(
            bind_address=settings.telemetry,
            counters_total_suffix=True,
            unit_suffix=True,
            durations_as_seconds=True,
            histogram_bucket_overrides=bucket_overrides(),
        )
    # Which process a metric is of, its pod's labels say.
    return Runtime(telemetry=TelemetryConfig(logging=core_logging(), metrics=metrics, attach_service_name=False))


@asynccontextmanager
async def connected(settings: Settings, stop: asyncio.Event) -> AsyncIterator[Connection | None]:
    """The connection of a process, which says how it is meanwhile; None when `stop` was set first.

    Temporal need not be up yet, and may go away and come back: the health says what is missing.
    """
    runtime = open_runtime(settings)
    health = Health(runtime.metric_meter)
    async with (
        serve_health(health, settings.health.host, settings.health.port) as port,
        open_keys(settings) as keys,
        open_tracing() as interceptors,
    ):
        log.info("health", host=settings.health.host, port=port)
        connection = Connection(settings, health, keys, runtime, interceptors)
        yield connection if await unless_stopped(stop, connection.open()) is not None else None
    log.info("stopped")


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


def run_process(parser: argparse.ArgumentParser, serve: Serve) -> NoReturn:
    """Serve until a signal comes: exits 0 after a signal, 1 when it failed, 64 for settings that it cannot use."""
    role: Role | None = getattr(parser.parse_args(), "role", None)
    exit_process(_run(role, serve))


def _run(role: Role | None, serve: Serve) -> int:
    try:
        settings = load_settings(role)
        configure_logs(settings.log.level)
        asyncio.run(_serve_until_signalled(serve, settings))
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_USAGE
    except TidegateError as error:
        log.error("cannot start", error=error.message, remedy=error.remedy)
        return EXIT_FAILED
    except Exception:
        log.exception("process failed")
        return EXIT_FAILED
    return 0


async def _serve_until_signalled(serve: Serve, settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, stop)
