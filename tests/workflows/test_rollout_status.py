"""`.status` of the Rollout object over a release: what Argo CD, kubectl and alerts read of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from sandbox.kubernetes_api.kinds import ROLLOUTS
from sandbox.kubernetes_api.objects import meta
from tests.virtual.releases import World
from tests.workflows.edits import HALF, with_steps
from tidegate.contract import Accepted, ReleaseRequest

Edit = Callable[[dict[str, Any]], None]


def status(world: World) -> dict[str, Any]:
    found: dict[str, Any] = (world.cluster.find(ROLLOUTS, "checkout") or {}).get("status") or {}
    return found


def conditions(world: World) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status(world).get("conditions") or []}


def asked_by_object(world: World, tag: str, edit: Edit) -> ReleaseRequest:
    """The release of a version that stands in the Rollout object, as the watcher asks for it."""
    request = world.request(tag, edit)
    world.cluster.apply(dict(request.rollout))
    return request.model_copy(update={"rollout": copy.deepcopy(world.cluster.find(ROLLOUTS, "checkout") or {})})


def missing_template(rollout: dict[str, Any]) -> None:
    with_steps({"setWeight": 50}, {"analysis": {"templates": [{"templateName": "no-such"}]}})(rollout)


async def stand(world: World) -> None:
    await (await world.start(asked_by_object(world, "1.0.0", HALF))).result()


async def test_conditions_tell_the_life_of_a_release(world: World) -> None:
    await stand(world)
    assert conditions(world) == {
        "Progressing": ("True", "NewReplicaSetAvailable"),
        "Available": ("True", "AvailableReason"),
        "Healthy": ("True", "RolloutHealthy"),
        "Completed": ("True", "RolloutCompleted"),
    }
    assert (status(world)["phase"], status(world)["message"]) == ("Healthy", "")
    assert status(world)["selector"] == "app=checkout"
    assert status(world)["HPAReplicas"] == status(world)["replicas"] == 8
    handle = await world.start(asked_by_object(world, "1.1.0", HALF))
    await world.until(handle, lambda found: found.phase == "Paused" and bool(status(world).get("pauseConditions")))
    told = conditions(world)
    assert told["Progressing"] == ("Unknown", "RolloutPaused")
    assert told["Paused"] == ("True", "RolloutPaused")
    assert told["Completed"][0] == told["Healthy"][0] == "False"
    await handle.signal("abort", {"reason": "wrong day"})
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    told = conditions(world)
    assert told["Progressing"] == ("False", "RolloutAborted")
    [progressing] = [each for each in status(world)["conditions"] if each["type"] == "Progressing"]
    assert progressing["message"] == "Rollout aborted update to revision 2: aborted: wrong day"
    assert status(world)["abort"]
    assert status(world)["abortedAt"] <= progressing["lastUpdateTime"]


async def test_analysis_runs_are_named_while_they_go_on(world: World) -> None:
    await (await world.start(asked_by_object(world, "1.0.0", lambda _: None))).result()
    await (await world.start(asked_by_object(world, "1.1.0", lambda _: None))).result()
    kinds = ("currentStepAnalysisRunStatus", "currentBackgroundAnalysisRunStatus")
    named = [(each.get("canary") or {}).get(kind) for each in world.cluster.statuses for kind in kinds]
    runs = {(each["name"], each["status"]) for each in named if each}
    assert {(meta(run)["name"], "Running") for run in world.cluster.analysis_runs()} <= runs
    assert runs & {(meta(run)["name"], "Successful") for run in world.cluster.analysis_runs()}
    assert "currentStepAnalysisRunStatus" not in status(world)["canary"]


async def test_pods_that_do_not_come_in_time_are_said_to_be_late(world: World) -> None:
    await stand(world)
    world.cluster.never_ready.add("registry.internal/payments/checkout:1.1.0")
    handle = await world.start(asked_by_object(world, "1.1.0", HALF))
    await world.until(handle, lambda _: conditions(world)["Progressing"][1] == "ProgressDeadlineExceeded")
    assert status(world)["phase"] == "Degraded"
    await handle.signal("abort")
    with pytest.raises(WorkflowFailureError):
        await handle.result()


async def test_a_spec_that_is_refused_says_so_until_it_is_put_right(world: World) -> None:
    await stand(world)
    handle = await world.start(asked_by_object(world, "1.1.0", missing_template))
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    found = status(world)
    assert conditions(world)["InvalidSpec"][0] == "True"
    assert found["phase"] == "Degraded"
    assert "no-such" in found["message"]
    assert found["observedGeneration"] == str(meta(world.cluster.find(ROLLOUTS, "checkout") or {})["generation"])
    assert found["stableRS"] == world.cluster.stable_hash
    handle = await world.start(asked_by_object(world, "1.1.0", with_steps({"setWeight": 50})))
    assert (await handle.result()).outcome == "Healthy"
    assert "InvalidSpec" not in conditions(world)


async def test_a_manifest_of_another_door_that_is_refused_says_nothing_of_the_object(world: World) -> None:
    await stand(world)
    handle = await world.start(world.request("1.1.0", missing_template))
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert status(world)["phase"] == "Healthy"
    assert "InvalidSpec" not in conditions(world)


async def test_a_newer_version_that_is_refused_takes_the_canary_with_it(world: World) -> None:
    await stand(world)
    handle = await world.start(asked_by_object(world, "1.1.0", HALF))
    await world.until(handle, lambda found: found.phase == "Paused")
    assert world.cluster.weights()[-1] == 50
    newer = asked_by_object(world, "1.2.0", missing_template)
    assert await handle.execute_update("release", newer, result_type=Accepted)
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert "no-such" in str(failed.value.cause)
    assert world.cluster.weights()[-1] == 0
    assert world.servicenow.incidents
    assert world.cluster.wanted() == [8, 0]
    assert conditions(world)["InvalidSpec"][0] == "True"


async def test_nothing_is_brought_out_of_a_rollout_that_is_paused(world: World) -> None:
    def paused(rollout: dict[str, Any]) -> None:
        HALF(rollout)
        rollout["spec"]["paused"] = True

    await stand(world)
    handle = await world.start(asked_by_object(world, "1.1.0", paused))
    await world.until(handle, lambda _: status(world).get("message") == "manually paused")
    assert status(world)["phase"] == "Paused"
    assert world.cluster.wanted() == [8]
    assert not any(world.cluster.weights())
    await handle.signal("resume")
    await world.until(handle, lambda found: found.phase == "Paused" and found.waiting is not None)
    await world.until(handle, lambda _: world.cluster.weights()[-1:] == [50])
    await handle.signal("abort")
    with pytest.raises(WorkflowFailureError):
        await handle.result()
