"""The life of a release: every turn of it, on the seed's manifests as they are written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError

from sandbox.machine import patience
from tests.virtual.releases import IMAGE, World
from tests.workflows.watched import failure, paused
from tidegate.cli.schema import SchemaKind, schema_of
from tidegate.contract import Accepted, Compensation, ErrorType, ReleaseResult, ReleaseStatus, StepState
from tidegate.report import explain

GOOD = {"error-rate": [0.001], "p99-latency": [0.2]}


async def test_a_first_revision_takes_no_steps(world: World) -> None:
    result = await (await world.start(world.request("1.0.0"))).result()
    assert result.outcome == "Healthy"
    assert result.revision == 1
    assert world.cluster.stable_hash == result.hash
    assert world.cluster.weights() == []


async def test_a_good_version_reaches_everybody_by_the_steps_of_the_seed(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = dict(GOOD)
    result = await (await world.start(world.request("1.1.0"))).result()
    assert result.outcome == "Healthy"
    assert world.cluster.weights() == [10, 25, 50, 100, 0]  # the last: both sides are the new pods
    assert world.cluster.stable_hash == result.hash
    assert {s.state for s in result.status.steps} == {StepState.DONE}
    assert [a.status.phase for a in result.status.analyses] == ["Successful", "Successful"]
    assert world.cluster.wanted() == [0, 8]


async def test_pods_come_before_weight_and_go_after_it(world: World) -> None:
    await world.deploy_stable()
    await (await world.start(world.request("1.1.0"))).result()
    forward = [(what, value) for what, value in world.cluster.writes if what in ("weight", "scale")]
    new = world.cluster.stable_hash
    sizes = {10: 1, 25: 2, 50: 4, 100: 8}
    for weight, pods in sizes.items():
        assert forward.index(("scale", (new, pods))) < forward.index(("weight", weight))
    assert forward[-1][1][1] == 0, "the old pods go last"


async def test_a_bad_version_dies_at_the_first_gate_with_an_incident(world: World) -> None:
    await world.deploy_stable()
    stable = world.cluster.stable_hash
    world.datadog.answers = {"error-rate": [0.2]}
    error, result = await failure(await world.start(world.request("1.1.1-bad")))
    assert error.type == ErrorType.ROLLOUT_ABORTED
    assert 'Metric "error-rate" assessed Failed due to failed (3) > failureLimit (2)' in error.message
    assert world.cluster.weights() == [10, 0]
    assert world.cluster.stable_hash == stable
    assert world.cluster.selector("checkout-canary") == stable
    (incident,) = world.servicenow.incidents
    assert any(name.startswith("analysisrun-") for name in incident.attachments)
    assert result.status.incident is not None
    assert {c.state for c in result.status.compensations} == {"done"}
    assert world.cluster.wanted() == [8, 0]
    [restored, scaled] = world.servicenow.notes
    assert "the canary has 0 % of the traffic" in restored.text
    assert "0 pods of the aborted version are left" in scaled.text
    assert {restored.correlation_id, scaled.correlation_id} == {incident.correlation_id}
    assert world.servicenow.incidents[0].chart is not None
    for name, document in incident.attachments.items():
        kind = SchemaKind.RELEASE if name == "release.json" else SchemaKind.ANALYSIS_RUN
        Draft202012Validator(schema_of(kind)).validate(document)


@pytest.mark.parametrize(
    "argument",
    [[], [None], ["smell"], [{"reason": "smell", "by": "ana", "x": 1}], [7], [[1]], ["smell", {"more": 1}, 3]],
)
async def test_an_abort_in_any_form_is_an_abort(world: World, argument: list[Any]) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    await handle.signal("abort", args=argument)
    error, _ = await failure(handle)
    assert error.type == ErrorType.ROLLOUT_ABORTED
    assert world.cluster.weights() == [10, 0]


async def test_promote_skips_a_pause(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", _indefinite_pause))
    status = await world.until(handle, paused)
    assert status.set_weight == status.actual_weight > 0
    await handle.signal("promote")
    result = await handle.result()
    assert result.outcome == "Healthy"
    assert result.status.set_weight == 100


async def test_promote_full_skips_every_gate_but_not_the_pods(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    answer = await handle.execute_update(
        "promote", {"full": True, "by": "ana", "reason": "hotfix"}, result_type=Accepted
    )
    assert answer.message == "promoted fully by ana: hotfix"
    result = await handle.result()
    assert result.outcome == "Healthy"
    assert world.cluster.weights() == [10, 0]
    assert [s.state for s in result.status.steps][-1] == StepState.SKIPPED
    assert result.status.promotion_reason == "Full promotion requested"
    completed = [event.message for event in result.status.events if event.reason == "RolloutCompleted"]
    assert completed == ["Rollout completed update to revision 2: Full promotion requested"]
    assert ": Full promotion requested; " in explain(result.status, "Completed").headline


async def test_pause_holds_before_the_next_step_and_resume_goes_on(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    await handle.execute_update("pause", {"by": "ana"}, result_type=Accepted)
    status = await world.until(handle, lambda s: s.waiting is not None and s.held)
    assert status.manual_pause is not None
    assert status.steps[1].state is StepState.RUNNING, "the step is not over before a person says so"
    assert status.waiting is not None
    assert status.waiting.until is None
    assert status.waiting.what == "the end of the pause by ana"
    assert status.waiting.who == "an operator: tidegate resume, or tidegate abort"
    await handle.execute_update("resume", result_type=Accepted)
    assert (await handle.result()).outcome == "Healthy"


async def test_a_newer_version_takes_the_place_of_the_canary(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    accepted = await handle.execute_update("release", world.request("1.2.0"), result_type=Accepted)
    assert "goes over" in accepted.message
    result = await handle.result()
    assert result.revision == 3
    assert world.cluster.weights() == [10, 0, 10, 25, 50, 100, 0]
    assert list(result.status.images.values()) == ["registry.internal/payments/checkout:1.2.0"]


async def test_going_back_to_stable_takes_no_steps(world: World) -> None:
    await world.deploy_stable()
    stable = world.cluster.stable_hash
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    await handle.execute_update("release", world.request("1.0.0"), result_type=Accepted)
    result = await handle.result()
    assert (result.hash, result.revision) == (stable, 3)
    assert world.cluster.weights() == [10, 0]
    assert world.cluster.wanted() == [0, 8], "stable is the newest revision now"


async def aborted_during(
    world: World, verb: str, plural: str, seen: Callable[[ReleaseStatus], bool]
) -> tuple[ApplicationError, ReleaseResult]:
    """A release that is aborted while one of its writes is under way, which completes once that much of it is seen."""
    await world.deploy_stable()
    hold = world.cluster.hold(verb, plural)
    handle = await world.start(world.request("1.1.0"))
    await hold.begun.wait()
    await handle.signal("abort")
    await world.until(handle, seen, between_passes=False)
    hold.go_on.set()
    return await failure(handle)


async def test_no_forward_write_lands_after_the_abort(world: World) -> None:
    await aborted_during(world, "patch", "virtualservices", lambda status: status.phase == "Degraded")
    assert world.cluster.weights() == [10, 0], "the write that was under way came first, then the way back"


async def test_an_abort_while_a_command_completes_is_not_lost(world: World) -> None:
    error, result = await aborted_during(world, "create", "replicasets", _has_restored_traffic)
    assert error.type == ErrorType.ROLLOUT_ABORTED
    assert world.cluster.weights() == [], "what the pass would have written next was turned away"
    assert StepState.DONE not in {step.state for step in result.status.steps}


async def test_an_abort_does_not_wait_for_a_pass_that_does_not_end(world: World) -> None:
    await world.deploy_stable()
    hold = world.cluster.hold("create", "replicasets")
    handle = await world.start(world.request("1.1.0"))
    await hold.begun.wait()
    await handle.signal("abort")
    async with asyncio.timeout(patience(60)):
        await world.until(handle, _has_restored_traffic, between_passes=False)
    hold.go_on.set()
    await failure(handle)
    assert world.cluster.weights() == []


async def test_the_way_back_is_retried_for_as_long_as_it_takes(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    world.cluster.fail("patch", "virtualservices", 25)
    await handle.signal("abort")
    await failure(handle)
    assert world.cluster.weights() == [10, 0]


async def test_a_cancelled_release_is_undone_and_ends_cancelled(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert world.cluster.weights() == [10, 0]


async def test_pods_that_never_come_degrade_the_release_and_may_abort_it(world: World) -> None:
    await world.deploy_stable()

    def aborting(rollout: dict[str, Any]) -> None:
        rollout["spec"]["progressDeadlineAbort"] = True

    request = world.request("1.1.0", aborting)
    world.cluster.never_ready.add(f"{IMAGE}:1.1.0")
    error, _ = await failure(await world.start(request))
    assert error.type == ErrorType.ROLLOUT_ABORTED
    assert "has timed out progressing. 0 of 1 pods of checkout-" in error.message
    assert max(world.cluster.weights(), default=0) == 0


async def test_an_inconclusive_gate_waits_for_a_person(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = {"error-rate": [0.02]}  # in the band, for ever
    handle = await world.start(world.request("1.1.0"))
    status = await world.until(handle, lambda s: s.message == "InconclusiveAnalysisRun")
    assert status.waiting is not None
    assert "operator" in status.waiting.who
    await handle.signal("abort", {"by": "ana"})
    error, _ = await failure(handle)
    assert "by ana" in error.message


async def test_a_background_analysis_without_any_data_holds_the_release_before_full_traffic(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = {"error-rate": [None], "p99-latency": [None]}

    def without_step_gates(rollout: dict[str, Any]) -> None:
        rollout["spec"]["strategy"]["canary"]["steps"] = [{"setWeight": 10}, {"setWeight": 50}]

    handle = await world.start(world.request("1.1.0", without_step_gates))
    status = await world.until(handle, lambda s: s.message == "InconclusiveAnalysisRun")
    assert status.waiting is not None
    assert "operator" in status.waiting.who
    assert max(world.cluster.weights()) < 100
    await handle.signal("abort")
    await failure(handle)
    assert world.cluster.weights()[-1] == 0


async def test_a_background_analysis_that_can_still_be_read_holds_nobody_up(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = {"error-rate": [None, 0.001], "p99-latency": [None, 0.001]}

    def without_step_gates(rollout: dict[str, Any]) -> None:
        steps = [{"setWeight": 10}, {"pause": {"duration": "90s"}}, {"setWeight": 50}]
        rollout["spec"]["strategy"]["canary"]["steps"] = steps

    handle = await world.start(world.request("1.1.0", without_step_gates))
    assert (await handle.result()).outcome == "Healthy"
    assert world.cluster.weights() == [10, 50, 100, 0]


async def test_a_hold_that_nobody_answers_ends_at_its_limit(world: World) -> None:
    await world.deploy_stable()

    def limited(rollout: dict[str, Any]) -> None:
        rollout["metadata"]["annotations"] = {"tidegate.io/hold-limit": "30m"}
        _indefinite_pause(rollout)

    error, _ = await failure(await world.start(world.request("1.1.0", limited)))
    assert error.type == ErrorType.ROLLOUT_INCONCLUSIVE
    assert world.cluster.weights() == [10, 0]


async def test_a_manifest_that_cannot_be_released_touches_nothing(world: World) -> None:
    def heavy(rollout: dict[str, Any]) -> None:
        rollout["spec"]["strategy"]["canary"]["steps"][0] = {"setWeight": 120}

    error, _ = await _rejection(await world.start(world.request("1.1.0", heavy)))
    assert error.type == ErrorType.INVALID_SPEC
    assert "setWeight" in error.message
    assert "120" in error.message
    assert world.cluster.writes == []


@pytest.mark.parametrize("junk", [{}, {"namespace": 1}, {"namespace": "a", "name": "b", "rollout": []}])
async def test_input_that_cannot_be_read_fails_the_run_with_the_field(world: World, junk: dict[str, Any]) -> None:
    error, _ = await _rejection(await world.start(junk))
    assert error.type == ErrorType.INVALID_SPEC
    assert "release request" in error.message


async def test_an_unknown_signal_is_recorded_and_hurts_nothing(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    await handle.signal("abrot", {"x": 1})
    status = await world.until(handle, lambda s: any(e.reason == "UnknownSignal" for e in s.events))
    assert status.phase == "Paused"
    assert (await handle.result()).outcome == "Healthy"


def _indefinite_pause(rollout: dict[str, Any]) -> None:
    rollout["spec"]["strategy"]["canary"]["steps"][1] = {"pause": {}}


def _has_restored_traffic(status: ReleaseStatus) -> bool:
    return {row.name: row.state for row in status.compensations}.get(Compensation.TRAFFIC) == "done"


async def _rejection(handle: WorkflowHandle[Any, Any]) -> tuple[ApplicationError, None]:
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause, None
