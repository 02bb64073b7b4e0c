"""Steps and turns of a release beside those of the seed, on the embedded API in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from sandbox.kubernetes_api.kinds import PODS, ROLLOUTS, VIRTUAL_SERVICES
from sandbox.kubernetes_api.objects import Object, meta
from tests.virtual.releases import IMAGE, World
from tests.workflows.edits import HEADER, MIRROR, with_routes, with_steps, without_router
from tests.workflows.watched import paused, routes
from tidegate.contract import Accepted, ReleaseStatus, StepState
from tidegate.report import explain


async def test_managed_routes_stand_from_their_step_to_the_end(world: World) -> None:
    await world.deploy_stable()
    request = world.request("1.1.0", with_routes(MIRROR, {"setWeight": 10}, HEADER, {"pause": {}}, {"setWeight": 50}))
    handle = await world.start(request)
    await world.until(handle, paused)
    assert routes(world) == ["hdr", "mir", "primary"], "in the order of managedRoutes, before all others"
    await handle.signal("promote")
    assert (await handle.result()).outcome == "Healthy"
    assert routes(world) == ["primary"]


async def test_managed_routes_go_with_the_weight_of_an_abort(world: World) -> None:
    await world.deploy_stable()
    request = world.request("1.1.0", with_routes({"setWeight": 10}, HEADER, {"pause": {}}))
    handle = await world.start(request)
    await world.until(handle, paused)
    assert routes(world) == ["hdr", "primary"]
    await handle.signal("abort")
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert routes(world) == ["primary"]
    assert world.cluster.weights() == [10, 0]


async def test_a_route_before_the_first_pods_comes_with_them(world: World) -> None:
    await world.deploy_stable()
    request = world.request("1.1.0", with_routes(HEADER, {"pause": {}}, {"setWeight": 10}, {"pause": {}}))
    handle = await world.start(request)
    await world.until(handle, paused)
    assert routes(world) == ["primary"], "nothing leads where no pod is"
    await handle.signal("promote")
    await world.until(handle, lambda status: status.step_index == 3)
    assert routes(world) == ["hdr", "primary"]


async def test_without_a_router_pods_are_the_weight(world: World) -> None:
    await (await world.start(world.request("1.0.0", without_router))).result()
    handle = await world.start(world.request("1.1.0", without_router))
    await world.until(handle, paused)
    assert world.cluster.wanted() == [6, 2]
    await handle.signal("promote")
    assert (await handle.result()).outcome == "Healthy"
    assert world.cluster.wanted() == [0, 8]
    assert world.cluster.weights() == []


async def test_without_a_router_an_abort_goes_back_by_pods(world: World) -> None:
    await (await world.start(world.request("1.0.0", without_router))).result()
    handle = await world.start(world.request("1.1.0", without_router))
    await world.until(handle, paused)
    await handle.signal("abort")
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert world.cluster.wanted() == [8, 0]


async def test_the_size_of_the_canary_may_be_set_by_itself(world: World) -> None:
    await world.deploy_stable()
    steps = ({"setCanaryScale": {"replicas": 3}}, {"setWeight": 10}, {"pause": {}})
    handle = await world.start(world.request("1.1.0", with_steps(*steps)))
    await world.until(handle, paused)
    assert world.cluster.wanted() == [8, 3]
    assert world.cluster.weights() == [10]


async def test_a_stable_that_gives_up_pods_gets_them_back_before_the_traffic(world: World) -> None:
    await world.deploy_stable()
    edit = with_steps({"setWeight": 50}, {"pause": {}}, dynamicStableScale=True)
    handle = await world.start(world.request("1.1.0", edit))
    await world.until(handle, paused)
    await world.until(handle, lambda _: world.cluster.wanted() == [4, 4])
    await handle.signal("abort")
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert world.cluster.wanted() == [8, 0]
    assert world.cluster.weights()[-1] == 0


async def test_back_to_a_stable_that_is_short_of_pods_is_progress(world: World) -> None:
    await world.deploy_stable()
    edit = with_steps({"setWeight": 50}, {"pause": {}}, dynamicStableScale=True)
    handle = await world.start(world.request("1.1.0", edit))
    await world.until(handle, paused)
    await world.until(handle, lambda _: world.cluster.wanted() == [4, 4])
    world.cluster.never_ready.add(f"{IMAGE}:1.0.0")
    await handle.execute_update("release", world.request("1.0.0", edit), result_type=Accepted)
    status = await world.until(handle, lambda _: world.cluster.wanted() == [4, 8])
    assert status.phase == "Progressing"
    assert world.cluster.weights()[-1] == 50, "stable has the pods for no more"


async def test_a_newer_version_gives_stable_its_pods_back_before_the_traffic(world: World) -> None:
    await world.deploy_stable()
    edit = with_steps({"setWeight": 50}, {"pause": {}}, dynamicStableScale=True)
    handle = await world.start(world.request("1.1.0", edit))
    await world.until(handle, paused)
    await world.until(handle, lambda _: world.cluster.wanted() == [4, 4])
    world.cluster.never_ready.add(f"{IMAGE}:1.2.0")
    await handle.execute_update("release", world.request("1.2.0", edit), result_type=Accepted)
    await world.until(handle, lambda _: world.cluster.weights() == [50, 0])
    written = [(what, value) for what, value in world.cluster.writes if what in ("weight", "scale")]
    assert world.cluster.wanted() == [8, 4, 4], (
        "the canary Service leads to the version before for as long as none is better"
    )
    assert written.index(("scale", (world.cluster.stable_hash, 8))) < written.index(("weight", 0))


async def test_a_newer_version_begins_without_the_routes_of_the_one_before(world: World) -> None:
    await world.deploy_stable()
    first = with_routes({"setWeight": 10}, HEADER, {"pause": {}})
    second = with_routes({"setWeight": 10}, {"pause": {}}, HEADER)
    handle = await world.start(world.request("1.1.0", first))
    await world.until(handle, paused)
    assert routes(world) == ["hdr", "primary"]
    await handle.execute_update("release", world.request("1.2.0", second), result_type=Accepted)
    await world.until(handle, lambda s: paused(s) and len(world.cluster.wanted()) == 3)
    assert routes(world) == ["primary"]


async def test_a_route_goes_before_the_pods_that_it_leads_to(world: World) -> None:
    await world.deploy_stable()
    steps = ({"setWeight": 10}, HEADER, {"pause": {}}, {"setCanaryScale": {"replicas": 0}}, {"pause": {}})
    handle = await world.start(world.request("1.1.0", with_routes(*steps)))
    await world.until(handle, paused)
    assert routes(world) == ["hdr", "primary"]
    hold = world.cluster.hold("patch", "replicasets")
    await handle.signal("promote")
    await hold.begun.wait()
    assert routes(world) == ["primary"]
    assert world.cluster.weights() == [10, 0]
    hold.go_on.set()
    await world.until(handle, lambda s: paused(s) and world.cluster.wanted() == [8, 0])


async def test_a_version_with_as_many_pods_as_are_asked_for_is_promoted_and_healthy_with_all(world: World) -> None:
    await world.deploy_stable()
    threshold = {"type": "Percent", "value": 75}
    edit = with_steps({"setWeight": 100}, {"pause": {}}, replicaProgressThreshold=threshold)
    handle = await world.start(world.request("1.1.0", edit))
    status = await world.until(handle, paused)
    pod = break_a_pod(world, "1.1.0")
    await handle.signal("promote")
    status = await world.until(handle, lambda s: s.stable_hash == s.desired_hash and s.waiting is not None)
    assert world.cluster.stable_hash == status.desired_hash
    assert (status.phase, status.message) == ("Progressing", "updated replicas are still becoming available")
    assert status.waiting is not None
    assert "7 of 8 pods" in status.waiting.what
    world.cluster.change(PODS, pod, ready("True"), status=True)
    assert (await handle.result()).outcome == "Healthy"


async def test_a_newer_version_does_not_wait_for_the_last_pods_of_the_one_before(world: World) -> None:
    await world.deploy_stable()
    threshold = {"type": "Pods", "value": 6}
    edit = with_steps({"setWeight": 100}, {"pause": {}}, replicaProgressThreshold=threshold)
    handle = await world.start(world.request("1.1.0", edit))
    await world.until(handle, paused)
    break_a_pod(world, "1.1.0")
    await handle.signal("promote")
    await world.until(handle, lambda s: s.stable_hash == s.desired_hash and s.phase == "Progressing")
    promoted = world.cluster.stable_hash
    await handle.execute_update("release", world.request("1.2.0", with_steps({"setWeight": 10})), result_type=Accepted)
    result = await handle.result()
    assert result.outcome == "Healthy"
    assert result.revision == 3
    assert promoted != world.cluster.stable_hash == result.hash


async def test_no_more_old_versions_wait_for_their_end_than_the_limit(world: World) -> None:
    await world.deploy_stable()
    edit = with_steps({"setWeight": 100}, scaleDownDelaySeconds=600, scaleDownDelayRevisionLimit=1)
    handle = await world.start(world.request("1.1.0", edit))
    await world.until(handle, lambda s: s.phase == "Healthy")
    assert world.cluster.wanted() == [8, 8]
    await handle.execute_update("release", world.request("1.2.0", edit), result_type=Accepted)
    await world.until(handle, lambda s: s.phase == "Healthy" and s.revision == 3)
    assert world.cluster.wanted() == [0, 8, 8]
    assert (await handle.result()).outcome == "Healthy"


async def test_a_rollback_within_the_window_takes_no_steps(world: World) -> None:
    def windowed(rollout: dict[str, Any]) -> None:
        with_steps({"setWeight": 10}, {"pause": {"duration": "1h"}})(rollout)
        rollout["spec"]["rollbackWindow"] = {"revisions": 1}

    await world.deploy_stable()
    await (await world.start(world.request("1.1.0", windowed))).result()
    world.cluster.writes.clear()
    result = await (await world.start(world.request("1.0.0", windowed))).result()
    assert result.outcome == "Healthy"
    assert 10 not in world.cluster.weights()
    assert {step.state for step in result.status.steps} == {StepState.SKIPPED}
    assert result.status.promotion_reason == "Rollback within window"
    completed = [event.message for event in result.status.events if event.reason == "RolloutCompleted"]
    assert completed == ["Rollout completed update to revision 3: Rollback within window"]
    assert ": Rollback within window; " in explain(result.status, "Completed").headline


async def test_a_small_weight_has_the_least_number_of_pods(world: World) -> None:
    await world.deploy_stable()
    steps = ({"setCanaryScale": {"weight": 50}}, {"setWeight": 10}, {"pause": {}})
    back = ({"setCanaryScale": {"matchTrafficWeight": True}}, {"pause": {}})
    edit = with_steps(*steps, *back, minPodsPerReplicaSet=2)
    handle = await world.start(world.request("1.1.0", edit))
    await world.until(handle, paused)
    assert world.cluster.wanted() == [8, 4]
    await handle.signal("promote")
    await world.until(handle, lambda s: paused(s) and s.step_index == 4)
    assert world.cluster.wanted() == [8, 2]


async def test_another_number_of_replicas_counts_at_once(world: World) -> None:
    request = world.request("1.0.0")
    world.cluster.apply(dict(request.rollout))
    await (await world.start(request)).result()
    handle = await world.start(world.request("1.1.0", with_steps({"setWeight": 50}, {"pause": {}})))
    await world.until(handle, paused)
    assert world.cluster.wanted() == [8, 4]
    world.cluster.change(ROLLOUTS, "checkout", _replicas(4))
    await world.until(handle, lambda _: world.cluster.wanted() == [4, 2])


async def test_weights_of_somebody_else_are_put_right_and_a_fight_holds_the_release(world: World) -> None:
    await world.deploy_stable()
    steps = ({"setWeight": 10}, {"pause": {}}, {"setWeight": 50})
    handle = await world.start(world.request("1.1.0", with_steps(*steps)))
    for fight in range(3):
        await world.until(handle, paused)
        world.cluster.change(VIRTUAL_SERVICES, "checkout-vsvc", _weights(90))
        await world.until(handle, lambda s, seen=fight: _fights(s) > seen)  # type: ignore[misc]
        assert world.cluster.weights()[-1] == 10
    await handle.signal("promote")
    status = await world.until(handle, lambda s: s.message == "ForeignWeights")
    assert status.waiting is not None
    assert "somebody" in status.waiting.what
    await handle.signal("promote")
    assert (await handle.result()).outcome == "Healthy"


def break_a_pod(world: World, tag: str) -> str:
    """A pod of a version is no longer ready; returns its name."""
    image = f"{IMAGE}:{tag}"
    pod = next(pod for pod in world.cluster.pods() if pod["spec"]["containers"][0]["image"] == image)
    name = str(meta(pod)["name"])
    world.cluster.change(PODS, name, ready("False"), status=True)
    return name


def ready(value: str) -> Callable[[Object], Object]:
    def edit(pod: Object) -> Object:
        conditions = [{**each, "status": value} for each in pod["status"].get("conditions") or []]
        return pod | {"status": pod["status"] | {"conditions": conditions}}

    return edit


def _fights(status: ReleaseStatus) -> int:
    return sum(1 for event in status.events if event.reason == "ForeignWeights")


def _replicas(number: int) -> Callable[[Object], Object]:
    return lambda found: found | {"spec": found["spec"] | {"replicas": number}}


def _weights(canary: int) -> Callable[[Object], Object]:
    def edit(found: Object) -> Object:
        [route] = found["spec"]["http"]
        rows = [row | {"weight": weight} for row, weight in zip(route["route"], (100 - canary, canary), strict=True)]
        return found | {"spec": found["spec"] | {"http": [route | {"route": rows}]}}

    return edit
