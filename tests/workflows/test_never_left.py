"""No release ends with traffic on its canary, whatever ended it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from tests.virtual.releases import World
from tests.workflows.edits import HALF, canary_of
from tests.workflows.watched import Watched, failure, paused
from tidegate.contract import Accepted, Compensation, Document, ReleaseStatus


def judged(status: ReleaseStatus) -> bool:
    return bool(status.analyses) and status.actual_weight > 0


def gate(rollout: Document) -> None:
    canary = canary_of(rollout)
    canary["steps"] = [{"setWeight": 50}, {"analysis": canary.pop("analysis")}]


def beside(rollout: Document) -> None:
    canary_of(rollout)["steps"] = [{"setWeight": 50}, {"pause": {}}]


@pytest.mark.parametrize("edit", [gate, beside])
async def test_a_gate_that_somebody_cancels_is_an_error_and_the_traffic_goes_back(world: World, edit: Any) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", edit))
    status = await world.until(handle, judged)
    await world.client.get_workflow_handle(status.analyses[-1].workflow_id).cancel()
    _, result = await failure(handle)
    assert world.cluster.weights() == [50, 0]
    assert result.status.analyses[-1].status.phase == "Error"
    assert [each.state for each in result.status.compensations if each.name == Compensation.TRAFFIC] == ["done"]
    assert len(world.servicenow.incidents) == 1


async def test_one_that_is_cancelled_between_two_versions_takes_the_first_ones_canary_back(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", HALF))
    await world.until(handle, paused)
    world.cluster.deny("list", "replicasets", "not now", code=503)
    await handle.execute_update("release", world.request("1.2.0", HALF), result_type=Accepted)
    await world.env.sleep(timedelta(seconds=5))
    assert world.cluster.weights() == [50]
    await handle.cancel()
    world.cluster.deny("list", "replicasets", "")
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert world.cluster.weights() == [50, 0]
    status: ReleaseStatus = await handle.query("status", result_type=ReleaseStatus)
    assert status.finished_at is not None


async def test_an_abort_in_the_object_is_heard_by_a_version_that_came_after_a_healthy_one(world: World) -> None:
    watched = Watched(world)
    await watched.promoted("1.0.0")
    handle = await watched.held("1.1.0")
    await handle.signal("promote")
    healthy = await world.until(handle, lambda status: status.phase == "Healthy", between_passes=False)
    await watched.apply("1.2.0", HALF)
    newer = await world.until(watched.release(), paused)
    assert newer.run_id == healthy.run_id, "the same run goes over to it while the old pods wait for their deadline"
    watched.flag("abort")
    await watched.tell()
    status: ReleaseStatus = await watched.release().query("status", result_type=ReleaseStatus)
    assert status.aborting
    _, result = await failure(await watched.ended())
    assert "aborted by somebody: status.abort" in result.message


async def test_a_version_of_an_object_that_is_gone_before_the_first_look_is_not_brought_out(world: World) -> None:
    def identified(rollout: Document) -> None:
        rollout["metadata"]["uid"] = "0b7e3c1e-5f0a-4c39-9f0f-7c0f3a6f2d11"

    handle = await world.start(world.request("1.0.0", identified))
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert "metadata.uid: '0b7e3c1e-5f0a-4c39-9f0f-7c0f3a6f2d11': there is no Rollout of that name" in str(
        caught.value.cause
    )
    assert world.cluster.writes == []
