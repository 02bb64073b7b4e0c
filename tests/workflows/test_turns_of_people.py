"""What people may say to a release, and when: promote, abort at every step, and more while it is being undone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, CancelledError

from tests.virtual.releases import IMAGE, World
from tests.workflows.edits import canary_of, with_steps
from tests.workflows.watched import failure, paused
from tidegate.contract import Accepted, ErrorType, ReleaseStatus, StepState, Update

BEFORE: list[list[int]] = [[], [10], [10], [10], [10, 25], [10, 25], [10, 25, 50], [10, 25, 50]]
"""What the canary's weight was by the time that each step of the seed is under way."""
UNDER_WAY = [0, 0, 130, 400, 430, 700, 730, 1000]
"""Seconds after which a step is under way; or the one before it, where the step waits for nothing but pods."""
IN_THE_BAND = {"error-rate": [0.02]}  # neither good nor bad, for ever


async def at_step(world: World, index: int) -> WorkflowHandle[Any, Any]:
    """A second version of the seed in one of its steps; a step that sets a weight waits for pods that do not come."""
    await world.deploy_stable()
    request = world.request("1.1.0")
    sets_weight = "setWeight" in canary_of(dict(request.rollout))["steps"][index]
    if sets_weight and index == 0:
        world.cluster.never_ready.add(f"{IMAGE}:1.1.0")
    handle = await world.start(request)
    await world.env.sleep(UNDER_WAY[index])
    if sets_weight and index > 0:
        await world.until(handle, lambda status: status.step_index == index - 1)
        world.cluster.never_ready.add(f"{IMAGE}:1.1.0")
    await world.until(handle, lambda status: _takes(status, index))
    return handle


@pytest.mark.parametrize("index", range(len(BEFORE)))
async def test_an_abort_at_any_step_goes_back_the_same_way(world: World, index: int) -> None:
    handle = await at_step(world, index)
    assert world.cluster.weights() == BEFORE[index]
    await handle.signal("abort", {"by": "ana"})
    error, result = await failure(handle)
    assert error.type == ErrorType.ROLLOUT_ABORTED
    assert world.cluster.weights() == BEFORE[index] + [0] * bool(BEFORE[index])
    assert [step.state for step in result.status.steps][index:] == [
        StepState.FAILED,
        *[StepState.PENDING] * (len(BEFORE) - 1 - index),
    ]
    assert world.cluster.wanted() == [8, 0]
    assert world.cluster.writes[-1][0] == "scale", "the pods go after the traffic"
    assert world.cluster.selector("checkout-canary") == world.cluster.stable_hash == result.status.stable_hash
    assert [row.state for row in result.status.compensations] == ["done"] * 3
    assert len(world.servicenow.incidents) == 1
    assert not [run for run in result.status.analyses if not run.status.phase.completed]


async def being_undone(world: World) -> tuple[WorkflowHandle[Any, Any], Any]:
    """A release whose way back is under way, at a server that does not answer before the hold goes on."""
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    hold = world.cluster.hold("patch", "virtualservices")
    await handle.signal("abort", {"by": "ana", "reason": "smell"})
    await hold.begun.wait()
    return handle, hold


@pytest.mark.parametrize(
    ("word", "full"), [("abort", False), ("promote", False), ("promote", True), ("pause", False), ("resume", False)]
)
async def test_nothing_that_is_said_during_an_abort_changes_it(world: World, word: str, full: bool) -> None:
    handle, hold = await being_undone(world)
    await handle.signal(word, {"by": "bob", "full": full})
    hold.go_on.set()
    error, result = await failure(handle)
    assert "aborted by ana: smell" in error.message
    assert not [event for event in result.status.events if "bob" in event.message]
    assert world.cluster.weights() == [10, 0]
    assert world.cluster.wanted() == [8, 0]
    assert result.status.manual_pause is None
    assert len(world.servicenow.incidents) == 1


async def test_a_promotion_that_comes_during_an_abort_is_told_so(world: World) -> None:
    handle, hold = await being_undone(world)
    for word in ("promote", "pause"):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(word, {"full": True})
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.type == ErrorType.REJECTED
        assert "is being aborted" in refused.value.cause.message
    again = await handle.execute_update("abort", result_type=Accepted)
    assert "is being aborted" in again.message, "who asks for what is under way gets it"
    hold.go_on.set()
    await failure(handle)
    assert world.cluster.weights() == [10, 0]


async def test_a_cancellation_waits_until_an_abort_is_done(world: World) -> None:
    handle, hold = await being_undone(world)
    await handle.cancel()
    hold.go_on.set()
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert world.cluster.weights() == [10, 0]
    assert world.cluster.wanted() == [8, 0]
    status: ReleaseStatus = await handle.query("status", result_type=ReleaseStatus)
    assert {row.state for row in status.compensations} == {"done"}
    assert "aborted by ana: smell" in status.message


@pytest.mark.parametrize("another", [False, True])
async def test_a_cancellation_of_a_stable_version_leaves_no_pods_of_the_one_before(world: World, another: bool) -> None:
    """They go when their time has come; a release that is asked for meanwhile does not wait for that."""
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", with_steps({"setWeight": 50})))
    await world.until(handle, lambda status: status.phase == "Healthy")
    assert world.cluster.wanted() == [8, 8]
    await handle.cancel()
    if another:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(Update.RELEASE, world.request("1.2.0"))
        assert "ask again in a moment" in str(refused.value.cause)
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert world.cluster.wanted() == ([8, 8] if another else [0, 8])


async def test_a_promoted_analysis_proves_nothing_and_holds_nothing_up(world: World) -> None:
    handle = await at_step(world, 2)
    await handle.signal("promote", {"by": "ana", "reason": "seen enough"})
    status = await world.until(handle, lambda status: status.step_index == 4)
    left, beside = sorted(status.analyses, key=lambda run: run.kind, reverse=True)
    assert (left.kind, left.status.phase) == ("Step", "Inconclusive"), "without a verdict (law 4)"
    assert not beside.status.phase.completed, "the one beside the steps goes on"
    assert "promoted by ana: seen enough" in [event.message for event in status.events]
    assert status.steps[2].state is StepState.DONE
    assert world.cluster.weights() == [10, 25]
    result = await handle.result()
    assert result.outcome == "Healthy"
    assert world.cluster.weights() == [10, 25, 50, 100, 0]


async def test_an_inconclusive_gate_that_a_person_promotes_is_followed_by_the_next_step(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = dict(IN_THE_BAND)
    handle = await world.start(world.request("1.1.0", without_background))
    await world.env.sleep(timedelta(minutes=15))
    status = await world.until(handle, lambda status: status.held)
    assert (status.message, status.step_index) == ("InconclusiveAnalysisRun", 2)
    await handle.signal("promote", {"by": "ana", "reason": "known noise"})
    result = await handle.result()
    assert result.outcome == "Healthy"
    assert [run.status.phase for run in result.status.analyses] == ["Inconclusive"]
    assert world.cluster.weights() == [10, 25, 50, 100, 0]


async def test_an_inconclusive_gate_that_nobody_answers_ends_at_its_limit(world: World) -> None:
    def limited(rollout: dict[str, Any]) -> None:
        without_background(rollout)
        rollout["metadata"]["annotations"] = {"tidegate.io/hold-limit": "30m"}

    await world.deploy_stable()
    world.datadog.answers = dict(IN_THE_BAND)
    handle = await world.start(world.request("1.1.0", limited))
    await world.env.sleep(timedelta(minutes=15))
    status = await world.until(handle, lambda status: status.message == "InconclusiveAnalysisRun")
    assert status.waiting is not None
    assert status.waiting.until is not None
    assert (status.waiting.until - status.waiting.since).total_seconds() == 30 * 60
    error, result = await failure(handle)
    assert error.type == ErrorType.ROLLOUT_INCONCLUSIVE
    assert "nobody answered within 0:30:00" in error.message
    assert result.status.finished_at is not None
    assert result.status.finished_at >= status.waiting.until
    assert world.cluster.weights() == [10, 0]
    assert world.cluster.wanted() == [8, 0]


def without_background(rollout: dict[str, Any]) -> None:
    del canary_of(rollout)["analysis"]


def _takes(status: ReleaseStatus, index: int) -> bool:
    return bool(status.steps) and status.step_index == index and status.steps[index].state is StepState.RUNNING


@pytest.mark.parametrize("turn", ["abort", "newer", "cancel"])
async def test_a_full_promotion_that_waits_for_its_pods_can_be_turned(world: World, turn: str) -> None:
    await world.deploy_stable()
    stable = world.cluster.stable_hash
    world.cluster.never_ready.add(f"{IMAGE}:1.1.0")
    handle = await world.start(world.request("1.1.0", with_steps({"setWeight": 50}, {"pause": {}})))
    await world.until(handle, lambda status: status.waiting is not None)
    await handle.signal("promote", {"full": True, "by": "ana", "reason": "now"})
    await world.until(handle, lambda status: status.promoted_full)
    if turn == "newer":
        await handle.execute_update(Update.RELEASE, world.request("1.2.0", with_steps({"setWeight": 50})))
        assert (await handle.result()).outcome == "Healthy"
        return
    await (handle.cancel() if turn == "cancel" else handle.signal("abort", {"by": "ana"}))
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert world.cluster.stable_hash == stable
    assert world.cluster.weights()[-1:] in ([], [0])
    assert len(world.servicenow.incidents) == 1
