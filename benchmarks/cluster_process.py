"""The embedded API server and its controllers in a process of their own, which takes no time from what is measured."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from typing import Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from sandbox.controllers import Controllers, PodSimulator
from sandbox.kubernetes_api import Call, Change, KubernetesApi
from sandbox.kubernetes_api.kinds import VIRTUAL_SERVICES

_STOP_SECONDS: Final = 10.0


class Told(BaseModel):
    """What the process knows of itself.

    Attributes:
        measured_at: address of a provider that says that all is well.
        requests: how many there were so far, by verb.
        zeros: when a weight of 0 was stored for the canary of each VirtualService, on the machine's monotonic clock.
    """

    model_config = ConfigDict(frozen=True)

    url: str
    measured_at: str
    requests: dict[str, int]
    measurements: int
    zeros: dict[str, float]


class ClusterProcess:
    """The other end."""

    def __init__(self, connection: Connection, pid: int) -> None:
        self.pid = pid
        self._connection = connection
        self._one_at_a_time = asyncio.Lock()

    async def told(self) -> Told:
        """Ask it. Raises EOFError when it has ended."""
        async with self._one_at_a_time:
            self._connection.send(None)
            return Told.model_validate(await asyncio.to_thread(self._connection.recv))


@asynccontextmanager
async def open_cluster() -> AsyncIterator[ClusterProcess]:
    """A cluster, for as long as the context lasts."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(there,), daemon=True)
    process.start()
    there.close()
    try:
        yield ClusterProcess(here, process.pid or 0)
    finally:
        here.close()
        await asyncio.to_thread(process.join, _STOP_SECONDS)
        if process.is_alive():
            process.kill()


def _run(connection: Connection) -> None:
    asyncio.run(_serve(connection))


async def _serve(connection: Connection) -> None:
    requests: Counter[str] = Counter()
    zeros: dict[str, float] = {}
    measurements = 0

    async def gate(call: Call) -> None:
        requests[call.verb] += 1

    def note(change: Change) -> None:
        if change.kind is VIRTUAL_SERVICES:
            name = change.object["metadata"]["name"]
            if change.object["spec"]["http"][0]["route"][1].get("weight", 0):
                zeros.pop(name, None)
            else:
                zeros.setdefault(name, time.monotonic())

    async def answer(_: web.Request) -> web.Response:
        nonlocal measurements
        measurements += 1
        return web.json_response({"ok": True})

    api = KubernetesApi(gate=gate)
    api.store.subscribe(note)
    await api.start()
    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with Controllers(api.cluster, simulator=PodSimulator(api.cluster)):
        while True:
            try:
                await asyncio.to_thread(connection.recv)
            except EOFError:
                break
            told = Told(
                url=api.url,
                measured_at=f"{site.name}/",
                requests=dict(requests),
                measurements=measurements,
                zeros=zeros,
            )
            connection.send(told.model_dump())
    await runner.cleanup()
    await api.stop()
