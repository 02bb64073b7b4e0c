from __future__ import annotations

import asyncio
import random

from sandbox.kubernetes_api import KubernetesApi
from tests.sandbox.kubernetes.kube import ISTIO, JSON_PATCH, Kube, Object, serving, virtual_service

WRITERS, STEPS = 6, 8
PATH = f"{ISTIO}/virtualservices/web"


async def move(kube: Kube, weight: int) -> int:
    """Set both weights in one patch guarded by the version read before; returns how often it came too late."""
    late = 0
    while True:
        found = await kube.get(PATH)
        operations = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": found["metadata"]["resourceVersion"]},
            {"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 100 - weight},
            {"op": "replace", "path": "/spec/http/0/route/1/weight", "value": weight},
            {"op": "add", "path": "/metadata/annotations", "value": {"moves": str(moves_of(found) + 1)}},
        ]
        code, answer = await kube.call("PATCH", PATH, operations, JSON_PATCH)
        if code == 200:
            return late
        assert (code, answer["reason"]) == (422, "Invalid")
        late += 1


def moves_of(obj: Object) -> int:
    return int(obj["metadata"].get("annotations", {}).get("moves", 0))


async def test_of_concurrent_guarded_patches_none_is_lost_and_none_is_half_done() -> None:
    choose = random.Random(7)
    async with serving(KubernetesApi()) as kube:
        await kube.create(f"{ISTIO}/virtualservices", virtual_service("web"))
        sums: list[int] = []
        kube.api.store.subscribe(
            lambda change: sums.append(sum(d["weight"] for d in change.object["spec"]["http"][0]["route"]))
        )

        async def writer() -> int:
            return sum([await move(kube, choose.randrange(101)) for _ in range(STEPS)])

        late = sum(await asyncio.gather(*(writer() for _ in range(WRITERS))))
        assert moves_of(await kube.get(PATH)) == WRITERS * STEPS
        assert sums == [100] * (WRITERS * STEPS)
        assert late > 0  # or the writers never met
