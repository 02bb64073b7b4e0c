"""A real Envoy with hand-made objects and small HTTP servers as pods."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from sandbox.envoy import Envoy
from sandbox.mesh.apply import Applier
from sandbox.mesh.snapshot import Address
from sandbox.mesh.translate import translate
from sandbox.mesh.xds import DiscoveryFiles
from sandbox.processes import LOOPBACK
from sandbox.scraper import Scraper
from sandbox.telemetry import Telemetry

from .objects import World, split_by_weight

CONCURRENCY = 32

Answers = Counter[tuple[int, str]]  # status and pod hash ("" when Envoy itself answered)


class Mesh:
    """Envoy, what it is told, and pods that answer with their hash."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession, stack: contextlib.AsyncExitStack) -> None:
        self.files = DiscoveryFiles(folder / "discovery")
        self.envoy = Envoy(folder, self.files.folder)
        self.applier = Applier(self.envoy, self.files, linger=0.0)
        self.world = World()
        self.session = session
        self._stack = stack

    async def apply(self) -> None:
        await self.applier.apply(self.session, translate(self.world.snapshot()))

    async def pod(self, pod_hash: str, *, status: int = 200, seconds: float = 0.0) -> Address:
        """Start a server; it ends with the test."""

        async def answer(_: web.Request) -> web.Response:
            await asyncio.sleep(seconds)
            return web.Response(status=status, text=pod_hash)

        runner = web.ServerRunner(web.Server(answer))  # type: ignore[arg-type]
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, LOOPBACK, 0).start()
        return LOOPBACK, int(runner.addresses[0][1])

    async def ask(self, count: int, host: str = "checkout", **headers: str) -> Answers:
        """Send `count` requests, some at a time, and count what came back."""
        answers: Answers = Counter()
        numbers = iter(range(count))

        async def client() -> None:
            for _ in numbers:
                async with self.session.get(self.envoy.url, headers={"Host": host, **headers}) as answer:
                    text = await answer.text()
                    answers[answer.status, "" if "upstream" in text else text] += 1

        await asyncio.gather(*(client() for _ in range(min(count, CONCURRENCY))))
        return answers


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        mesh = Mesh(tmp_path, session, stack)
        await mesh.envoy.start()
        stack.push_async_callback(mesh.envoy.stop)
        yield mesh


@pytest.fixture
async def checkout(mesh: Mesh) -> Mesh:
    """A mesh with two stable pods (hash aaa), one canary pod (bbb), and all traffic on stable."""
    stable, canary = [await mesh.pod("aaa"), await mesh.pod("aaa")], [await mesh.pod("bbb")]
    mesh.world.add_service("checkout-stable", {"aaa": stable}, **{"rollouts-pod-template-hash": "aaa"})
    mesh.world.add_service("checkout-canary", {"bbb": canary}, **{"rollouts-pod-template-hash": "bbb"})
    mesh.world.set_routes(split_by_weight(0))
    await mesh.apply()
    return mesh


@pytest.fixture
async def telemetry(mesh: Mesh) -> AsyncIterator[Telemetry]:
    telemetry = Telemetry()
    scraper = Scraper(mesh.envoy, telemetry, interval=0.05)
    await scraper.start()
    yield telemetry
    await scraper.stop()
