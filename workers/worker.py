"""The `tidegate-worker` process: connect, poll, report its health, and stop gracefully on a signal."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence

import structlog
from temporalio.client import Client
from temporalio.worker import Worker

from workers.connection import Connection
from workers.process import connected, run_process
from workers.settings import Role, Settings
from workers.wiring import open_workers

log = structlog.get_logger(__name__)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run the workers of `settings.role` until `stop` is set.

    Temporal need not be up yet, and may go away and come back: the process waits for it and says so through its health.
    Raises what makes a worker fail for good.
    """
    async with connected(settings, stop) as to:
        if to is not None:
            await _poll(to, settings, stop)


async def _poll(to: Connection, settings: Settings, stop: asyncio.Event) -> None:
    async with open_workers(to.client, settings, to.meter) as workers:
        log.info("polling", role=settings.role, queues=[worker.task_queue for worker in workers])

        def trouble() -> str:
            return "" if all(worker.is_running for worker in workers) else "a worker does not poll"

        def take(renewed: Client) -> None:
            for worker in workers:
                worker.client = renewed

        to.follow(take)
        checking = asyncio.create_task(to.check(trouble))

        def take_no_more() -> None:
            checking.cancel()
            to.health.set_not_ready("stopping")

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
    """Run the process of `tidegate-worker`; `run_process` says how it exits."""
    parser = argparse.ArgumentParser(prog="tidegate-worker", description="Carries out Tidegate's releases.")
    parser.add_argument(
        "--role", type=Role, choices=list(Role), help="what to poll for (default: TIDEGATE_ROLE or all)"
    )
    run_process(parser, serve)


if __name__ == "__main__":
    main()
