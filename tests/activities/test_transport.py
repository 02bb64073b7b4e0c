"""Requests about large objects take turns, so that those about others are answered beside them."""

from __future__ import annotations

import asyncio
from typing import Any

from activities.kubernetes.client import ROLLOUTS, Cluster
from activities.kubernetes.transport import LARGE_AT_ONCE, LARGE_BYTES
from sandbox.kubernetes_api import Call, KubernetesApi
from sandbox.processes import Ready, until
from tests.sandbox.kubernetes.kube import serving
from tests.world.planes import wanted


class RolloutDispatcher:
    """Holds requests for objects up, once it is shut."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.inside = 0

    async def pass_through(self, call: Call) -> None:
        if call.verb == "get":
            self.inside += 1
            await self.open.wait()


def named(name: str, size: int) -> dict[str, Any]:
    rollout = wanted("1.0.0")
    rollout["metadata"] = {"name": name, "namespace": "default", "annotations": {"text": "x" * size}}
    return rollout


async def test_requests_about_large_objects_take_turns_and_others_do_not() -> None:
    door = RolloutDispatcher()
    async with serving(KubernetesApi(gate=door.pass_through)) as kube:
        cluster = await Cluster.connect(url=kube.api.url)

        def at_the_door(count: int) -> Ready:
            async def are() -> bool:
                return door.inside == count

            return are

        large = [f"large-{number}" for number in range(6)]
        try:
            for name in large:
                await kube.create(ROLLOUTS.path("default"), named(name, LARGE_BYTES))
            await kube.create(ROLLOUTS.path("default"), named("small", 0))
            for name in (*large, "small"):
                await cluster.get(ROLLOUTS, "default", name)
            door.open.clear()
            door.inside = 0
            asked = [asyncio.create_task(cluster.get(ROLLOUTS, "default", name)) for name in large]
            await until(at_the_door(LARGE_AT_ONCE), 10, "the first of them are asked for")
            asked.append(asyncio.create_task(cluster.get(ROLLOUTS, "default", "small")))
            await until(at_the_door(LARGE_AT_ONCE + 1), 10, "the small one is asked for beside them")
            assert door.inside == LARGE_AT_ONCE + 1
            door.open.set()
            assert len(await asyncio.gather(*asked)) == len(large) + 1
        finally:
            door.open.set()
            await cluster.close()
