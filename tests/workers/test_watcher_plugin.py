"""Every verb of Argo's kubectl plugin: the patch that it sends, byte for byte, by a real kubectl."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowFailureError

from activities.kubernetes.client import REPLICA_SETS, Object
from tests.workers.watched import NAMESPACE, Place, rollout

pytestmark = pytest.mark.asyncio(loop_scope="module")


ABORT = '{"status":{"abort":true}}'
RETRY = '{"status":{"abort":false}}'
PROMOTE = '{"status":{"pauseConditions":null}}'
PROMOTE_FULL = '{"status":{"promoteFull":true}}'
NEXT_STEP = '{"status":{"currentStepIndex":2}}'
SKIP_STEP = '{"status":{"pauseConditions":null, "currentStepIndex":2}}'
SKIP_INCONCLUSIVE = '{"status":{"pauseConditions":null, "controllerPause":false, "currentStepIndex":2}}'
SKIP_ALL_STEPS = '{"status":{"pauseConditions":null, "currentStepIndex":4}}'
PAUSE = '{"spec":{"paused":true}}'
UNPAUSE = '{"spec":{"paused":false}}'
RESTART = '{"spec":{"restartAt":"%s"}}'
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


async def paused_in_its_first_step(place: Place) -> str:
    """A second version at its first pause; returns the hash of the first one, which is stable."""
    await place.apply()
    stable = str((await place.healthy())["status"]["stableRS"])
    await place.set_image("shop:2")
    await place.paused_at(1)
    await place.weight_is(20)
    return stable


async def test_promote_ends_a_pause(place: Place) -> None:
    async with place.watching():
        await paused_in_its_first_step(place)
        await place.patch_status(PROMOTE)
        await place.paused_at(3)
        await place.weight_is(60)


@pytest.mark.parametrize("patch", [NEXT_STEP, SKIP_STEP, SKIP_INCONCLUSIVE])
async def test_promote_goes_on_with_the_next_step(place: Place, patch: str) -> None:
    async with place.watching():
        await paused_in_its_first_step(place)
        await place.patch_status(patch)
        await place.paused_at(3)
    assert len(await place.promotions()) == 1


@pytest.mark.parametrize("patch", [PROMOTE_FULL, SKIP_ALL_STEPS])
async def test_promote_full_skips_all_steps(place: Place, patch: str) -> None:
    async with place.watching():
        stable = await paused_in_its_first_step(place)
        await place.patch_status(patch)
        await place.healthy(before=stable)


async def test_abort_and_retry(place: Place) -> None:
    async with place.watching():
        await paused_in_its_first_step(place)
        await place.patch_status(ABORT)
        await place.until(lambda s: s.get("phase") == "Degraded" and s["abort"])
        await place.weight_is(0)
        aborted = (await place.status()).run_id
        await place.patch_status(RETRY)
        await place.paused_at(1)
        await place.weight_is(20)
    assert (await place.status()).run_id != aborted


async def test_promote_full_brings_an_aborted_version_out(place: Place) -> None:
    async with place.watching():
        stable = await paused_in_its_first_step(place)
        await place.patch_status(ABORT)
        await place.until(lambda s: s.get("phase") == "Degraded" and s["abort"])
        await place.patch_status(PROMOTE_FULL)
        done = await place.healthy(before=stable)
    assert not done["status"].get("abort")
    assert not done["status"].get("pauseConditions")


async def test_pause_and_promote(place: Place) -> None:
    async with place.watching():
        await paused_in_its_first_step(place)
        await place.patch(PAUSE)
        while (await place.status()).manual_pause is None:
            await place.until(lambda s: s.get("observedGeneration") == "3")
        await place.patch(UNPAUSE)
        await place.patch_status(PROMOTE)
        await place.paused_at(3)
    assert (await place.status()).manual_pause is None


async def undo(place: Place, hash_: str) -> None:
    """What the plugin does: the template of the ReplicaSet, as the server stored it, without the label of its hash."""
    found = await place.kube.get(REPLICA_SETS.path(NAMESPACE, f"shop-{hash_}"))
    template = found["spec"]["template"]
    assert template != rollout()["spec"]["template"], "with the defaults"
    del template["metadata"]["labels"]["rollouts-pod-template-hash"]
    await set_template(place, template)


async def set_template(place: Place, template: Object) -> None:
    """Replace the pod template, of which the plugin says each field."""
    patch = json.dumps([{"op": "replace", "path": "/spec/template", "value": template}])
    await place.kubectl("patch", "rollout", "shop", "--type=json", "-p", patch)


async def test_set_image_and_undo_change_the_template(place: Place) -> None:
    async with place.watching():
        stable = await paused_in_its_first_step(place)
        sets = await place.kube.names(REPLICA_SETS.path(NAMESPACE))
        await undo(place, stable)
        await place.until(lambda s: s.get("phase") == "Healthy" and s["currentPodHash"] == s["stableRS"] == stable)
        await place.weight_is(0)
        assert await place.kube.names(REPLICA_SETS.path(NAMESPACE)) == sets, "it had a ReplicaSet already"
        await set_template(place, rollout()["spec"]["template"])  # as a sync from Git does, without the defaults
        generation = (await place.kube.get(place.path))["metadata"]["generation"]
        await place.until(lambda s: s.get("observedGeneration") == str(generation) and s.get("phase") == "Healthy")
        assert (await place.status()).desired_hash == stable
    assert await place.kube.names(REPLICA_SETS.path(NAMESPACE)) == sets


async def test_restart_replaces_the_pods_of_a_version_that_is_stable(place: Place) -> None:
    async with place.watching():
        await place.apply()
        await place.healthy()
        before = set(await place.kube.names(PODS))
        moment = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        await place.patch(RESTART % moment)
        await place.until(lambda s: s.get("restartedAt") == moment and s.get("phase") == "Healthy")
        after = set(await place.kube.names(PODS))
    assert not before & after
    assert len(after) == 2


async def test_delete_ends_the_release_and_what_it_owns_goes(place: Place) -> None:
    async with place.watching():
        await paused_in_its_first_step(place)
        await place.kubectl("delete", "rollout", "shop")
        await place.weight_is(0)
        await place.kube.eventually(PODS, lambda found: not found["items"])
        with pytest.raises(WorkflowFailureError):
            await place.temporal.get_workflow_handle(place.ref.workflow_id).result()
    assert await place.kube.names(REPLICA_SETS.path(NAMESPACE)) == []
    status = await place.status()
    assert "was deleted" in status.message
    assert "compensation failed" not in status.message
