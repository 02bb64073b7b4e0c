"""The watcher between an embedded Kubernetes API and a real Temporal server, with the real release behind it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowFailureError

from activities.kubernetes.client import DEPLOYMENTS, ROLLOUTS
from sandbox.kubernetes_api.kinds import SERVICES
from sandbox.machine import patience
from sandbox.processes import until
from tests.virtual.cluster import Hold
from tests.workers.watched import NAMESPACE, TERMINATES, Place, open_place, rollout
from tidegate.client import NoWorkerError
from tidegate.client.runs import newest_run
from tidegate.watch import StartRelease, release_request

pytestmark = [pytest.mark.asyncio(loop_scope="module"), TERMINATES]


async def test_a_rollout_is_released_by_its_object_alone_whoever_watches_and_dies(place: Place) -> None:
    await place.apply()
    async with place.watching(), place.watching():
        first = await place.healthy()
    await place.set_image("shop:2")  # while nobody watches
    async with place.watching(), place.watching():
        await place.paused_at(1)
        run = (await place.status()).run_id
    await place.kube.patch(f"{place.path}/status", {"status": {"pauseConditions": None}})
    async with place.watching(), place.watching():
        await place.paused_at(3)
        await place.weight_is(60)
    async with place.watching():  # sees everything once more, and has nothing to add
        await place.kube.patch(f"{place.path}/status", {"status": {"pauseConditions": None}})
        done = await place.until(lambda s: s.get("phase") == "Healthy" and s["stableRS"] != first["status"]["stableRS"])
    status = await place.status()
    assert status.run_id == run
    happened = [event.reason for event in status.events]
    once = ("RolloutUpdated", "NewReplicaSetCreated", "RolloutCompleted")
    assert [happened.count(reason) for reason in once] == [1, 1, 1]
    assert happened.count("RolloutPromoted") == len(await place.promotions()) == 2
    assert done["status"]["observedGeneration"] == str(done["metadata"]["generation"])


async def test_abort_and_retry_are_patches_of_the_status(place: Place) -> None:
    await place.apply()
    async with place.watching():
        await place.healthy()
        await place.set_image("shop:2")
        await place.paused_at(1)
        await place.kube.patch(f"{place.path}/status", {"status": {"abort": True}})
        await place.until(lambda s: s.get("phase") == "Degraded" and s["abort"])
        await place.weight_is(0)
        await place.end()
        aborted = (await place.status()).run_id
        await place.kube.patch(f"{place.path}/status", {"status": {"abort": False}})
        await place.paused_at(1)
    assert (await place.status()).run_id != aborted


async def test_a_deployment_that_lends_its_template_is_followed(place: Place) -> None:
    whole = rollout()
    spec = {field: whole["spec"].pop(field) for field in ("selector", "template")}
    metadata = {"name": "legacy"}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": 0, **spec}}
    whole["spec"]["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "legacy"}
    await place.kube.create(ROLLOUTS.path(NAMESPACE), whole)
    async with place.watching():
        await place.until(lambda s: s.get("phase") == "Degraded" and "no such Deployment" in s["message"])
    await place.kube.create(DEPLOYMENTS.path(NAMESPACE), deployment)
    async with place.watching():
        await place.healthy()
        image = {"spec": {"template": {"spec": {"containers": [{"name": "shop", "image": "shop:2"}]}}}}
        await place.kube.patch(DEPLOYMENTS.path(NAMESPACE, "legacy"), image)
        await place.paused_at(1)
    assert (await place.status()).images == {"shop": "shop:2"}


async def test_a_release_that_was_terminated_is_recovered(place: Place) -> None:
    await place.apply()
    async with place.watching():
        await place.healthy()
        await place.set_image("shop:2")
        await place.paused_at(1)
        await place.weight_is(20)
    stopped = (await place.status()).run_id
    await place.temporal.get_workflow_handle(place.ref.workflow_id).terminate("by mistake")
    async with place.watching(), place.watching():
        await place.weight_is(0)
        await place.weight_is(20)  # and the steps start over
        await place.paused_at(1)
    recovered = await place.status()
    assert recovered.run_id != stopped
    assert any("no release stood behind it" in event.message for event in recovered.events)


async def test_a_release_that_is_terminated_while_somebody_watches_is_noticed_soon(place: Place) -> None:
    await place.apply()
    async with place.watching():
        await place.healthy()
        await place.set_image("shop:2")
        await place.paused_at(1)
        await place.weight_is(20)
        stopped = (await place.status()).run_id
        await place.temporal.get_workflow_handle(place.ref.workflow_id).terminate("by mistake")
        await place.weight_is(0)
        await place.weight_is(20)
        await place.paused_at(1)
    assert (await place.status()).run_id != stopped


async def test_a_release_that_is_cancelled_before_it_is_admitted_is_noticed_soon(place: Place) -> None:
    await place.apply()
    place.holds["get", "virtualservices"] = hold = Hold()
    request = release_request(await place.kube.get(place.path), cluster=place.name, start=StartRelease("one", "a test"))
    with pytest.raises(NoWorkerError):  # whoever asked does not wait for so long
        await place.client.start(request, timeout=timedelta(seconds=2))
    cancelled = (await place.status()).run_id
    async with place.watching(stopped_every=timedelta(seconds=1)) as watch:

        async def listed() -> bool:
            return not watch.trouble()

        await until(listed, 20, "the watcher has listed the objects")
        await asyncio.sleep(1)  # it asks nothing of a release under way, which cannot be waited for
        handle = place.temporal.get_workflow_handle(place.ref.workflow_id, run_id=cancelled)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        place.holds.clear()
        hold.go_on.set()
        await place.until(lambda status: status.get("phase") in ("Healthy", "Degraded"))
    assert (await place.status()).run_id != cancelled


async def test_an_abort_that_is_patched_before_the_first_status_is_not_lost(temporal: Client, tmp_path: Path) -> None:
    async with open_place(temporal, tmp_path, working=False) as place:
        await place.apply()
        async with place.watching():
            while await newest_run(temporal, place.ref.workflow_id) is None:
                await place.kube.get(place.path)
            await place.kube.patch(f"{place.path}/status", {"status": {"abort": True}})
            await place.work()
            with pytest.raises(WorkflowFailureError):
                async with asyncio.timeout(patience(20)):
                    await temporal.get_workflow_handle(place.ref.workflow_id).result()
        assert "aborted by" in (await place.status()).message


async def test_a_watch_that_the_server_has_forgotten_begins_with_a_new_list(place: Place) -> None:
    await place.apply()
    async with place.watching():
        first = await place.healthy()
        store = place.kube.api.store
        standing = store.get(SERVICES, NAMESPACE, "shop-stable")
        assert standing is not None
        for _ in range(5000):  # more than the server remembers, before any watch can follow
            standing = store.put(SERVICES, standing)
        await place.set_image("shop:2")
        await place.paused_at(1)
    assert (await place.status()).stable_hash == first["status"]["stableRS"]
