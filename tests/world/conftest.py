"""One embedded world for all tests of this folder: real Temporal, Envoy and OpenBao, a real worker, real load."""

from __future__ import annotations

import asyncio
import subprocess
import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest_asyncio
from temporalio.client import Client

from sandbox.demo import EXAMPLES, RATE, deliver, network_of
from sandbox.processes import until
from sandbox.world import World, open_world
from tidegate.client import ReleaseError, ReleaseHandle, RolloutRef, TidegateClient, data_converter
from tidegate.contract import ReleaseResult, ReleaseStatus
from tidegate.manifests.documents import load

BIN = Path(sysconfig.get_path("scripts"))
CHECKOUT = RolloutRef(cluster="default", namespace="payments", name="checkout")


class Releases:
    """The releases of one example in one world, from its fast overlay."""

    def __init__(self, world: World, temporal: Client, example: str) -> None:
        self.world = world
        self.temporal = temporal
        self.client = TidegateClient(temporal)
        self.manifests = load([EXAMPLES / example / "fast"])
        self.rollout = replace(CHECKOUT, name=example)

    async def prepare(self, rate: float = RATE) -> None:
        await self.world.apply(network_of(self.manifests))
        await self.ended(await self.start("1.0.0"))
        await self.world.start_load(rate, self.rollout.name)

    async def start(self, tag: str) -> ReleaseHandle:
        return await self.client.start(await deliver(self.world, self.manifests, tag, "a test"))

    async def ended(self, handle: ReleaseHandle) -> ReleaseResult:
        try:
            return await self.client.wait(handle)
        except ReleaseError as error:
            if error.result is None:
                raise
            return error.result

    async def until(self, holds: Callable[[ReleaseStatus], bool], timeout: float = 60.0) -> ReleaseStatus:
        """Wait for a status of the newest release."""
        seen: list[ReleaseStatus] = []

        async def holds_now() -> bool:
            seen[:] = [await self.client.status(self.rollout)]
            return holds(seen[0])

        await until(tolerant(holds_now), timeout, "the release's status")
        return seen[0]

    async def temporal_cli(self, *arguments: str) -> str:
        """What a person types; fails with what the command printed."""
        argv = [str(BIN / "temporal"), *arguments, "--address", self.world.temporal.address]
        done = await asyncio.to_thread(
            subprocess.run, argv, capture_output=True, text=True, timeout=30, env={"HOME": str(self.world.state)}
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def tolerant(condition: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
    """The condition, false while nobody can answer."""
    from tidegate.client import NoWorkerError, UnreachableError

    async def tolerant() -> bool:
        try:
            return await condition()
        except (NoWorkerError, UnreachableError):  # it was killed a moment ago
            return False

    return tolerant


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def world() -> AsyncIterator[World]:
    async with open_world() as world:
        await world.start_worker()
        yield world


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def releases(world: World) -> Releases:
    found = Releases(world, await connected(world), "checkout")
    await found.prepare()
    return found


async def connected(world: World) -> Client:
    """A client of the world's Temporal."""
    return await Client.connect(world.temporal.address, data_converter=data_converter())
