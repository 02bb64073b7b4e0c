"""What an operator skips: the remaining steps, or one; the analyses beside the steps go on deciding (law 4)."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowUpdateFailedError

from tests.virtual.releases import World
from tests.workflows.edits import canary_of, with_steps
from tests.workflows.test_bake import baked, baking
from tests.workflows.watched import failure, paused
from tidegate.contract import Accepted, AnalysisKind, Document, ErrorType, StepState, Update

ALL_STEPS = {"all_steps": True, "by": "ana", "reason": "quiet hour"}


async def test_all_steps_are_skipped_and_the_background_analysis_decides(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    answer = await handle.execute_update(Update.PROMOTE, ALL_STEPS, result_type=Accepted)
    assert answer.message == "promoted past all steps by ana: quiet hour"
    result = await handle.result()
    assert result.outcome == "Healthy"
    assert [step.state for step in result.status.steps][2:] == [StepState.SKIPPED] * (len(result.status.steps) - 2)
    assert [run.status.phase for run in result.status.analyses if run.kind is AnalysisKind.BACKGROUND] == ["Successful"]
    assert not [run for run in result.status.analyses if run.kind is AnalysisKind.STEP], "those are steps"
    assert result.status.promotion_reason == f"Skipped to the end of {len(result.status.steps)} canary steps"
    assert world.cluster.weights() == [10, 100, 0]


async def test_a_bad_background_analysis_ends_a_release_whose_steps_are_skipped(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    world.datadog.answers = {"error-rate": [0.5]}
    await handle.execute_update(Update.PROMOTE, ALL_STEPS, result_type=Accepted)
    error, _ = await failure(handle)
    assert error.type == ErrorType.ROLLOUT_ABORTED
    assert max(world.cluster.weights()) == 10


async def test_an_analysis_that_would_begin_in_a_skipped_step_is_measured_all_the_same(world: World) -> None:
    def late(rollout: Document) -> None:
        canary = canary_of(rollout)
        canary["analysis"]["startingStep"] = len(canary["steps"]) - 1

    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", late))
    status = await world.until(handle, paused)
    assert not [run for run in status.analyses if run.kind is AnalysisKind.BACKGROUND]
    await handle.execute_update(Update.PROMOTE, ALL_STEPS, result_type=Accepted)
    result = await handle.result()
    assert [run.status.phase for run in result.status.analyses if run.kind is AnalysisKind.BACKGROUND] == ["Successful"]


async def test_a_last_step_at_100_percent_that_is_skipped_is_reached_with_all_pods(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", with_steps({"setWeight": 10}, {"pause": {}}, {"setWeight": 100})))
    await world.until(handle, paused)
    await handle.execute_update(Update.PROMOTE, ALL_STEPS, result_type=Accepted)
    result = await handle.result()
    assert result.outcome == "Healthy"
    assert result.status.counts.available >= 8
    assert world.cluster.weights() == [10, 100, 0]


async def test_there_is_nothing_to_skip_after_the_last_step(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", baked("10m")))
    await world.until(handle, baking)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(Update.PROMOTE, ALL_STEPS, result_type=Accepted)
    assert "no step is left to skip" in str(refused.value.cause)


async def test_a_newer_version_takes_all_of_its_steps(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    await handle.execute_update(Update.PROMOTE, ALL_STEPS, result_type=Accepted)
    await handle.execute_update(Update.RELEASE, world.request("1.2.0"), result_type=Accepted)
    result = await handle.result()
    assert {step.state for step in result.status.steps} == {StepState.DONE}
