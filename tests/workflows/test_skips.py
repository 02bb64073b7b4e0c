"""What an operator skips: all remaining steps. The analyses beside the steps go on deciding (law 4)."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError

from tests.virtual.releases import World
from tests.workflows.edits import canary_of, with_steps
from tests.workflows.test_bake import baked, baking
from tests.workflows.watched import paused
from tidegate.contract import Accepted, AnalysisKind, Document, ReleaseStatus, StepState, Update

ALL_STEPS = {"all_steps": True, "by": "ana", "reason": "quiet hour"}
STEPS: tuple[Document, ...] = ({"setWeight": 10}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}, {"setWeight": 100})


def beside(rollout: Document, **analysis: int) -> None:
    """Steps that end with all of the traffic, and the seed's analysis beside them."""
    kept = canary_of(rollout)["analysis"]
    with_steps(*STEPS)(rollout)
    canary_of(rollout)["analysis"] = kept | analysis


def late(rollout: Document) -> None:
    beside(rollout, startingStep=3)


def measured(status: ReleaseStatus) -> bool:
    return any(metric.successful for run in status.analyses for metric in run.status.metrics)


def phases(status: ReleaseStatus) -> list[str]:
    return [run.status.phase for run in status.analyses if run.kind is AnalysisKind.BACKGROUND]


async def skipped(world: World) -> WorkflowHandle[Any, Any]:
    """A release at 10 % with a reading, whose steps were just skipped."""
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", beside))
    await world.until(handle, measured)
    answer = await handle.execute_update(Update.PROMOTE, ALL_STEPS, result_type=Accepted)
    assert answer.message == "promoted past all steps by ana: quiet hour"
    return handle


async def test_all_steps_are_skipped_and_the_background_analysis_decides(world: World) -> None:
    handle = await skipped(world)
    result = await handle.result()
    assert result.outcome == "Healthy"
    assert [step.state for step in result.status.steps] == [StepState.DONE] * 2 + [StepState.SKIPPED] * 3
    assert phases(result.status)[0] == "Successful"
    assert result.status.promotion_reason == "Skipped to the end of 5 canary steps"
    assert world.cluster.weights() == [10, 100, 0]
    assert result.status.counts.available >= 8, "pods come before the weight (law 1)"


async def test_an_analysis_that_would_begin_in_a_skipped_step_is_a_gate_all_the_same(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", late))
    status = await world.until(handle, paused)
    assert phases(status) == []
    await handle.execute_update(Update.PROMOTE, ALL_STEPS, result_type=Accepted)
    status = await world.until(handle, lambda status: status.held)
    assert phases(status) == ["Inconclusive"], "nothing was measured in this moment"
    assert (status.set_weight, world.cluster.weights()) == (10, [10])
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(Update.PROMOTE, ALL_STEPS, result_type=Accepted)
    assert "no step is left to skip" in str(refused.value.cause)
    await handle.execute_update(Update.PROMOTE, {"full": True}, result_type=Accepted)
    assert (await handle.result()).outcome == "Healthy"


async def test_a_bake_is_no_step(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", baked("10m")))
    await world.until(handle, baking)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(Update.PROMOTE, ALL_STEPS, result_type=Accepted)
    assert "no step is left to skip" in str(refused.value.cause)


async def test_a_newer_version_takes_all_of_its_steps(world: World) -> None:
    handle = await skipped(world)
    await handle.execute_update(
        Update.RELEASE, world.request("1.2.0", with_steps({"setWeight": 50})), result_type=Accepted
    )
    result = await handle.result()
    assert {step.state for step in result.status.steps} == {StepState.DONE}


def to_blue_green(rollout: Document) -> None:
    service = canary_of(rollout)["stableService"]
    rollout["spec"]["strategy"] = {"blueGreen": {"activeService": service, "autoPromotionEnabled": False}}


@pytest.mark.parametrize("skip", [{"all_steps": True}, {"current_step": True}])
async def test_blue_green_has_no_steps_to_skip(world: World, skip: Document) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", to_blue_green))
    await world.until(handle, paused)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(Update.PROMOTE, skip, result_type=Accepted)
    assert "blue-green has no steps to skip" in str(refused.value.cause)
    await handle.execute_update(Update.PROMOTE, {}, result_type=Accepted)
    assert (await handle.result()).outcome == "Healthy"
