"""The `tidegate-worker` process: connect, poll, say how it is, and go gracefully when told to."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence

import structlog
from temporalio.client import Client
from temporalio.worker import Worker

from workers.codec import open_keys
from workers.health import Health, serve_health
from workers.process import check_temporal, connect_patiently, open_runtime, run_process, unless_stopped
from workers.settings import Role, Settings
from workers.wiring import open_workers

log = structlog.get_logger(__name__)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run the workers of `settings.role` until `stop` is set.

    Temporal need not be up yet, and may go away and come back: the process waits for it and says so through its health.
    Raises what makes a worker fail for good.
    """
    runtime = open_runtime(settings)
    health = Health(runtime.metric_meter)
    async with (
        serve_health(health, settings.health.host, settings.health.port) as port,
        open_keys(settings) as keys,
    ):
        log.info("health", host=settings.health.host, port=port)
        client = await unless_stopped(stop, connect_patiently(settings, health, keys, runtime))
        if client is not None:
            await _poll(client, settings, stop, health)
    log.info("stopped")


async def _poll(client: Client, settings: Settings, stop: asyncio.Event, health: Health) -> None:
    async with open_workers(client, settings) as workers:
        log.info("polling", role=settings.role, queues=[worker.task_queue for worker in workers])

        def trouble() -> str:
            return "" if all(worker.is_running for worker in workers) else "a worker does not poll"

        checking = asyncio.create_task(check_temporal(client, health, trouble, settings.temporal_token_file))

        def take_no_more() -> None:
            checking.cancel()
            health.set_not_ready("stopping")

        await _run(workers, stop, take_no_more)


async def _run(workers: Sequence[Worker], stop: asyncio.Event, take_no_more: Callable[[], None]) -> None:
    """Poll until `stop` or the end of a worker, say so, and let what is under way come to its end."""
    running = [asyncio.create_task(worker.run()) for worker in workers]
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        take_no_more()
        await asyncio.gather(*(worker.shutdown() for worker in workers))
    await asyncio.gather(*running)


def main() -> None:
    """Entry point of `tidegate-worker`; `run_process` says how it exits."""
    parser = argparse.ArgumentParser(prog="tidegate-worker", description="Carries out Tidegate's releases.")
    parser.add_argument(
        "--role", type=Role, choices=list(Role), help="what to poll for (default: TIDEGATE_ROLE or all)"
    )
    run_process(parser, serve)


if __name__ == "__main__":
    main()
