"""Turns in a release's life that versions, the Rollout object and the cluster bring about."""

from __future__ import annotations

from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError

from sandbox.kubernetes_api.kinds import PODS, REPLICA_SETS, ROLLOUTS
from sandbox.kubernetes_api.objects import meta, timestamp
from tests.virtual.cluster import NAMESPACE
from tests.virtual.releases import IMAGE, World
from tests.workflows.edits import HALF, HEADER, with_routes, with_steps
from tests.workflows.test_steps import ready
from tests.workflows.watched import Watched, failure, paused, routes
from tidegate.contract import Accepted, ErrorType

# ------------------------------------------------------------------------------------------------------------- versions


async def test_other_steps_in_mid_canary_start_over_with_the_pods_that_stand(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", HALF))
    before = await world.until(handle, paused)
    edited = with_steps({"setWeight": 20}, {"pause": {}}, {"setWeight": 60})
    await handle.execute_update("release", world.request("1.1.0", edited), result_type=Accepted)
    after = await world.until(handle, lambda status: paused(status) and len(status.steps) == 3)
    assert after.step_index == 1
    assert after.step_hash != before.step_hash
    assert (after.desired_hash, after.revision) == (before.desired_hash, 2)
    assert world.cluster.weights() == [50, 20], "the weight of the first step, as Argo's index 0 asks; not first 0"
    await world.until(handle, lambda _: world.cluster.wanted() == [8, 2])
    moves = [(what, value) for what, value in world.cluster.writes if what in ("weight", "scale")]
    assert moves[-2:] == [("weight", 20), ("scale", (after.desired_hash, 2))], "what has traffic keeps its pods (law 2)"
    await handle.signal("promote")
    assert (await handle.result()).revision == 2
    assert world.cluster.weights() == [50, 20, 60, 100, 0]


async def test_an_aborted_version_is_tried_again_from_its_first_step(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = {"error-rate": [0.2]}
    _, first = await failure(await world.start(world.request("1.1.0")))
    world.datadog.answers = {}
    again = await (await world.start(world.request("1.1.0"))).result()
    assert again.outcome == "Healthy"
    assert (again.hash, again.revision) == (first.hash, first.revision) == (world.cluster.stable_hash, 2)
    assert again.status.run_id != first.status.run_id
    assert world.cluster.weights() == [10, 0, 10, 25, 50, 100, 0]
    assert {run.status.phase for run in again.status.analyses} == {"Successful"}, "it is judged anew"


async def test_an_earlier_version_comes_back_by_the_steps_in_the_replica_set_that_it_had(world: World) -> None:
    await world.deploy_stable()
    first = world.cluster.stable_hash
    second = await (await world.start(world.request("1.1.0"))).result()
    world.cluster.writes.clear()
    result = await (await world.start(world.request("1.0.0"))).result()
    assert result.outcome == "Healthy"
    assert (result.hash, result.revision) == (first, 3)
    assert world.cluster.weights() == [10, 25, 50, 100, 0]
    assert [meta(found)["name"] for found in world.cluster.replica_sets()] == [
        f"checkout-{second.hash}",
        f"checkout-{first}",
    ]
    assert world.cluster.wanted() == [0, 8]
    assert "create" not in [what for what, _ in world.cluster.writes]


# -------------------------------------------------------------------------------------------------------- broken stable


def stable_pods(world: World, *, available: bool) -> None:
    """All pods of the first version become ready, or are so no more."""
    for pod in world.cluster.pods():
        if pod["spec"]["containers"][0]["image"] == f"{IMAGE}:1.0.0":
            world.cluster.change(PODS, meta(pod)["name"], ready(str(available)), status=True)


async def test_a_good_canary_takes_the_place_of_a_stable_that_breaks(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", HALF))
    await world.until(handle, paused)
    stable_pods(world, available=False)
    status = await world.until(handle, lambda status: status.counts.available == 4)
    assert status.phase == "Paused", "a stable that breaks says nothing against the canary"
    await handle.signal("promote")
    result = await handle.result()
    assert result.outcome == "Healthy"
    assert world.cluster.weights() == [50, 100, 0]
    moves = [(what, value) for what, value in world.cluster.writes if what in ("weight", "scale")]
    assert moves.index(("scale", (result.hash, 8))) < moves.index(("weight", 100)), "ready before weight (law 1)"
    assert world.cluster.wanted() == [0, 8]


async def test_a_version_behind_a_broken_stable_says_so_and_comes_out_when_a_person_promotes_it_fully(
    world: World,
) -> None:
    await world.deploy_stable()
    stable_pods(world, available=False)
    handle = await world.start(world.request("1.1.0", HALF))
    await world.env.sleep(timedelta(minutes=9))
    late = await world.until(handle, lambda status: status.phase == "Degraded")
    named = f"0 of 8 pods of checkout-{late.stable_hash} available"
    assert named in late.message
    assert late.waiting is not None
    assert named in late.waiting.what
    assert late.counts.available == 4, "nothing is wrong with the new pods"
    assert world.cluster.weights() == []
    await handle.signal("promote", {"full": True, "by": "ana", "reason": "stable is broken"})
    assert (await handle.result()).outcome == "Healthy"
    assert world.cluster.wanted() == [0, 8]


async def test_an_abort_goes_back_to_a_broken_stable_and_keeps_the_pods_until_it_is_well(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", HALF))
    await world.until(handle, paused)
    stable_pods(world, available=False)
    await world.until(handle, lambda status: status.counts.available == 4)
    await handle.signal("abort", {"by": "ana"})
    await world.until(handle, lambda status: status.incident is not None)
    assert world.cluster.weights() == [50, 0], "who says so has decided: the way back waits for nothing (law 3)"
    status = await world.until(handle, lambda status: status.waiting is not None and "0 of 8" in status.waiting.what)
    assert (status.phase, status.finished_at) == ("Degraded", None)
    await world.env.sleep(timedelta(minutes=5))
    assert world.cluster.wanted() == [8, 4], "they may be needed again"
    stable_pods(world, available=True)
    error, result = await failure(handle)
    assert error.type == ErrorType.ROLLOUT_ABORTED
    assert {row.state for row in result.status.compensations} == {"done"}
    assert world.cluster.wanted() == [8, 0]


# ----------------------------------------------------------------------------------------------------------- the object


@pytest.mark.parametrize("replicas", [5, 12])
async def test_another_number_of_replicas_between_releases_takes_no_steps(world: World, replicas: int) -> None:
    watched = Watched(world)
    first = await (await watched.apply("1.0.0", HALF)).result()
    world.cluster.writes.clear()
    handle = await watched.patch(replicas=replicas)
    result = await handle.result()
    assert result.outcome == "Healthy"
    assert (result.hash, result.revision) == (first.hash, 1)
    assert result.status.run_id != first.status.run_id
    assert world.cluster.writes == [("scale", (first.hash, replicas))]
    assert watched.status()["replicas"] == watched.status()["availableReplicas"] == replicas
    assert watched.status()["phase"] == "Healthy"
    await watched.tell()
    assert (await watched.release().describe()).run_id == result.status.run_id, "once is enough"


async def test_another_number_of_replicas_after_an_abort_scales_what_is_stable(world: World) -> None:
    watched = Watched(world)
    await (await watched.apply("1.0.0", HALF)).result()
    handle = await watched.held("1.1.0")
    await handle.signal("abort", {"reason": "too slow"})
    with pytest.raises(WorkflowFailureError):
        await (await watched.ended()).result()
    told, incidents = watched.status(), len(world.servicenow.incidents)
    world.cluster.writes.clear()
    await watched.patch(replicas=12)
    with pytest.raises(WorkflowFailureError):
        await (await watched.ended()).result()
    assert world.cluster.writes == [("scale", (world.cluster.stable_hash, 12))]
    assert watched.status()["availableReplicas"] == 12
    for field in ("phase", "message", "abort", "currentStepIndex", "currentPodHash"):
        assert watched.status()[field] == told[field]
    assert len(world.servicenow.incidents) == incidents


async def test_a_restart_between_releases_brings_new_pods_of_the_same_version(world: World) -> None:
    watched = Watched(world)
    first = await (await watched.apply("1.0.0", HALF)).result()
    before = uids(world)
    await world.env.sleep(timedelta(hours=1))
    moment = await world.env.get_current_time()
    world.cluster.writes.clear()
    result = await (await watched.patch(restartAt=timestamp(moment))).result()
    assert (result.outcome, result.hash) == ("Healthy", first.hash)
    assert len(uids(world)) == 8
    assert not uids(world) & before
    assert world.cluster.writes == []
    assert watched.status()["restartedAt"] == timestamp(moment)


async def test_a_restart_in_mid_canary_replaces_the_pods_of_both_versions_in_place(world: World) -> None:
    watched = Watched(world)
    await (await watched.apply("1.0.0", HALF)).result()
    handle = await watched.apply("1.1.0", HALF)
    status = await world.until(handle, paused)
    before, moment = uids(world), await world.env.get_current_time() + timedelta(minutes=10)
    world.cluster.writes.clear()
    await watched.patch(restartAt=timestamp(moment))
    await world.env.sleep(timedelta(minutes=9))
    assert uids(world) == before
    status = await world.until(handle, lambda status: status.restarted_at is not None)
    assert (await world.env.get_current_time()) >= moment.replace(microsecond=0)
    assert len(uids(world)) == 12
    assert not uids(world) & before
    assert world.cluster.writes == []
    assert paused(status)
    await handle.signal("promote")
    assert (await (await watched.ended()).result()).outcome == "Healthy"


@pytest.mark.parametrize("watching", [False, True])
async def test_a_rollout_that_is_deleted_in_mid_canary_leaves_no_trace_in_the_routes(
    world: World, watching: bool
) -> None:
    watched = Watched(world)
    edit = with_routes({"setWeight": 10}, HEADER, {"pause": {}})
    await (await watched.apply("1.0.0", edit)).result()
    handle = await watched.apply("1.1.0", edit)
    await world.until(handle, paused)
    assert routes(world) == ["hdr", "primary"]
    world.cluster.delete(ROLLOUTS, "checkout")
    if watching:
        await watched.tell()
    error, result = await failure(await watched.ended())
    assert "was deleted" in error.message
    assert "compensation failed" not in error.message
    assert world.cluster.weights() == [10, 0]
    assert routes(world) == ["primary"]
    assert world.cluster.api.store.select(REPLICA_SETS, NAMESPACE) == []
    assert world.cluster.pods() == []
    assert result.status.finished_at is not None
    await watched.tell()
    assert (await handle.describe()).run_id == result.status.run_id, "nothing is begun for what is gone"


def uids(world: World) -> set[str]:
    return {meta(pod)["uid"] for pod in world.cluster.pods()}


async def test_a_version_that_was_gone_back_to_is_the_stable_one_of_the_next_release(world: World) -> None:
    await world.deploy_stable()
    first = world.cluster.stable_hash
    await (await world.start(world.request("1.1.0", with_steps({"setWeight": 50})))).result()
    back = await (await world.start(world.request("1.0.0", with_steps({"setWeight": 50})))).result()
    assert (back.outcome, back.hash, world.cluster.stable_hash) == ("Healthy", first, first)
    world.cluster.writes.clear()
    handle = await world.start(world.request("1.2.0", HALF))
    await world.until(handle, paused)
    await handle.signal("abort")
    await failure(handle)
    assert world.cluster.selector("checkout-stable") == first
    assert world.cluster.selector("checkout-canary") == first
