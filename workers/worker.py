"""The `tidegate-worker` process: connect, poll, say how it is, and go gracefully when told to."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Sequence
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import RPCError
from temporalio.worker import Worker

from tidegate.client import TidegateError, UnreachableError, connect_temporal
from workers.health import Health, serve_health
from workers.logs import configure_logs, core_logging
from workers.settings import Role, Settings, SettingsError, load_settings
from workers.wiring import open_workers

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS = 0.5
CHECK_SECONDS = 5.0
CHECK_TIMEOUT = timedelta(seconds=3)
EXIT_FAILED = 1
EXIT_USAGE = 64


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run the workers of `settings.role` until `stop` is set.

    Temporal need not be up yet, and may go away and come back: the process waits for it and says so through its health.
    Raises what makes a worker fail for good.
    """
    health = Health()
    async with serve_health(health, settings.health.host, settings.health.port) as port:
        log.info("health", host=settings.health.host, port=port)
        client = await _until(stop, _connect(settings, health))
        if client is not None:
            await _poll(client, settings, stop, health)
    log.info("stopped")


async def _poll(client: Client, settings: Settings, stop: asyncio.Event, health: Health) -> None:
    async with open_workers(client, settings) as workers:
        log.info("polling", role=settings.role, queues=[worker.task_queue for worker in workers])
        checking = asyncio.create_task(_check(client, workers, health))
        try:
            await _run(workers, stop)
        finally:
            checking.cancel()
            health.set_not_ready("stopping")


async def _connect(settings: Settings, health: Health) -> Client:
    metrics = PrometheusConfig(bind_address=settings.telemetry) if settings.telemetry else None
    runtime = Runtime(telemetry=TelemetryConfig(logging=core_logging(), metrics=metrics))
    delay = FIRST_RETRY_SECONDS
    while True:
        try:
            return await connect_temporal(identity=f"{os.getpid()}@{socket.gethostname()}", runtime=runtime)
        except UnreachableError as error:
            health.set_not_ready(error.message)
            await asyncio.sleep(delay)
            delay = min(delay * 2, settings.reconnect_at_most.total_seconds())


async def _run(workers: Sequence[Worker], stop: asyncio.Event) -> None:
    running = [asyncio.create_task(worker.run()) for worker in workers]
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        await asyncio.gather(*(worker.shutdown() for worker in workers))
    await asyncio.gather(*running)


async def _check(client: Client, workers: Sequence[Worker], health: Health) -> None:
    while True:
        try:
            await client.service_client.check_health(timeout=CHECK_TIMEOUT)
        except RPCError as error:
            health.set_not_ready(f"Temporal does not answer: {error.message}")
        else:
            if all(worker.is_running for worker in workers):
                health.set_ready()
        await asyncio.sleep(CHECK_SECONDS if health.ready else FIRST_RETRY_SECONDS)


async def _until(stop: asyncio.Event, connecting: Coroutine[None, None, Client]) -> Client | None:
    work, stopping = asyncio.create_task(connecting), asyncio.create_task(stop.wait())
    await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if work.done():
        return work.result()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    return None


async def _serve_until_signalled(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, stop)


def main() -> None:
    """Entry point of `tidegate-worker`: exits 0 when told to stop, 1 when it failed, 64 for settings it cannot use."""
    parser = argparse.ArgumentParser(prog="tidegate-worker", description="Carries out Tidegate's releases.")
    parser.add_argument(
        "--role", type=Role, choices=list(Role), help="what to poll for (default: TIDEGATE_ROLE or all)"
    )
    role = parser.parse_args().role
    try:
        settings = load_settings(role)
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(EXIT_USAGE)
    configure_logs(settings.log.level)
    try:
        asyncio.run(_serve_until_signalled(settings))
        # The SDK's threads must be gone before the interpreter ends: one that finishes a call after that aborts the
        # process. They end with the last reference to the client, which reference cycles keep.
        gc.collect()
    except TidegateError as error:
        log.error("cannot start", error=error.message, remedy=error.remedy)
        sys.exit(EXIT_FAILED)
    except Exception:
        log.exception("worker failed")
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
