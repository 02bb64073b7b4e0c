"""Start of a world before the eyes of a person: each part as it comes up, and a sign of life while one is slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console
from rich.text import Text

from sandbox.machine import slowness
from sandbox.world import World, open_world

WORKER_SECONDS = 120.0
"""Limit for the worker on an idle machine; a busy one has as much longer. A program that hangs is not waited for."""
SIGN_SECONDS = 10.0
_NAME = 14


@asynccontextmanager
async def started_world(console: Console) -> AsyncIterator[World]:
    """A whole world with a worker. Prints the address of each part, and after it what to type in another terminal."""
    began = time.monotonic()

    def announce(name: str, address: str) -> None:
        console.print(Text.assemble("  ", ("✔ ", "green"), name.ljust(_NAME), address), soft_wrap=True, highlight=False)

    signs = asyncio.create_task(_signs_of_life(console, began))
    try:
        async with open_world(announce=announce) as world:
            await world.start_worker(WORKER_SECONDS)
            signs.cancel()
            announce("worker", f"ready {time.monotonic() - began:.1f} s after the beginning")
            console.print(Text("From another terminal:", style="dim"))
            console.print(f"  export TEMPORAL_ADDRESS={world.temporal.address}", soft_wrap=True, highlight=False)
            console.print(
                "  .venv/bin/tidegate get rollout checkout -n payments --watch", soft_wrap=True, highlight=False
            )
            yield world
    finally:
        signs.cancel()


async def _signs_of_life(console: Console, began: float) -> None:
    while True:
        await asyncio.sleep(SIGN_SECONDS)
        slow = await asyncio.to_thread(slowness)
        why = f"; this machine takes {slow:.0f} times as long as an idle one" if slow >= 2 else ""
        console.print(f"  … still starting after {time.monotonic() - began:.0f} s{why}", soft_wrap=True)
