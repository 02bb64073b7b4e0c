"""Steps and turns of a release beside those of the seed, on the embedded API in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from sandbox.kubernetes_api.kinds import ROLLOUTS, VIRTUAL_SERVICES
from sandbox.kubernetes_api.objects import Object
from tests.virtual.releases import IMAGE, World
from tidegate.contract import Accepted, ReleaseStatus

Edit = Callable[[dict[str, Any]], None]
HEADER = {"setHeaderRoute": {"name": "hdr", "match": [{"headerName": "agent", "headerValue": {"exact": "f"}}]}}
MIRROR = {"setMirrorRoute": {"name": "mir", "match": [{"path": {"prefix": "/"}}], "percentage": 10}}


def canary_of(rollout: dict[str, Any]) -> dict[str, Any]:
    canary: dict[str, Any] = rollout["spec"]["strategy"]["canary"]
    return canary


def with_steps(*steps: dict[str, Any], **canary: Any) -> Edit:
    def edit(rollout: dict[str, Any]) -> None:
        canary_of(rollout).pop("analysis", None)
        canary_of(rollout).update(steps=list(steps), **canary)

    return edit


def with_routes(*steps: dict[str, Any]) -> Edit:
    def edit(rollout: dict[str, Any]) -> None:
        with_steps(*steps)(rollout)
        canary_of(rollout)["trafficRouting"]["managedRoutes"] = [{"name": "hdr"}, {"name": "mir"}]

    return edit


def without_router(rollout: dict[str, Any]) -> None:
    with_steps({"setWeight": 25}, {"pause": {}}, {"setWeight": 50})(rollout)
    del canary_of(rollout)["trafficRouting"]


def paused(status: ReleaseStatus) -> bool:
    return status.phase == "Paused"


def routes(world: World) -> list[str]:
    rule = world.cluster.find(VIRTUAL_SERVICES, "checkout-vsvc")
    assert rule is not None
    return [route["name"] for route in rule["spec"]["http"]]


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
    status = await world.until(handle, lambda _: world.cluster.wanted()[0] == 8)
    assert status.phase == "Progressing"
    assert world.cluster.weights()[-1] == 50, "stable has the pods for no more"


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
