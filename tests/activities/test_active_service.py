"""The traffic part of a blue-green abort, against the embedded Kubernetes API."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import SERVICES
from activities.kubernetes.replica_sets import HASH_LABEL
from activities.kubernetes.services import select_hash
from tests.activities.mesh import NAMESPACE, TARGET, Mesh, serving
from tidegate.contract import Fence, SelectedStable, SelectStable


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    async with serving() as running:
        await running.service("active")
        await running.replica_set("shop-old", wanted=2, available=1, hash_="old")
        await point(running, "new", running.fence())
        yield running


async def point(mesh: Mesh, hash_: str, fence: Fence) -> None:
    """What a pass writes."""
    await mesh.worker.change(SERVICES, NAMESPACE, "active", fence, select_hash(TARGET.name, hash_))


async def selected(mesh: Mesh) -> str:
    return str((await mesh.now(SERVICES, "active"))["spec"]["selector"][HASH_LABEL])


async def back(mesh: Mesh, service: str = "active", replica_set: str = "shop-old") -> SelectedStable:
    return await mesh.traffic.select_stable(
        SelectStable(target=TARGET, service=service, stable_hash="old", replica_set=replica_set, fence=mesh.fence())
    )


async def test_one_available_pod_is_enough_and_no_earlier_write_lands_after_it(mesh: Mesh) -> None:
    under_way = mesh.fence()
    assert await back(mesh) == SelectedStable(done=True, before="new")
    assert await selected(mesh) == "old"
    with pytest.raises(ApplicationError) as refused:
        await point(mesh, "new", under_way)
    assert refused.value.type == "StaleWrite"
    assert await back(mesh) == SelectedStable(done=True, before="old")


async def test_a_service_that_is_back_already_is_fenced_all_the_same(mesh: Mesh) -> None:
    await point(mesh, "old", mesh.fence())
    under_way = mesh.fence()
    assert await back(mesh) == SelectedStable(done=True, before="old")
    with pytest.raises(ApplicationError) as refused:
        await point(mesh, "new", under_way)
    assert refused.value.type == "StaleWrite"


async def test_what_it_cannot_do_is_left_to_the_passes(mesh: Mesh) -> None:
    assert not (await back(mesh, service="gone")).done
    assert not (await back(mesh, replica_set="")).done
    assert not (await back(mesh, replica_set="gone")).done
    await mesh.pods("shop-old", 0)
    assert not (await back(mesh)).done
    assert await selected(mesh) == "new"
