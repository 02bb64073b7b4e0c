"""What the real workflows say of themselves is enough to say why."""

from __future__ import annotations

from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError

from tests.virtual.releases import IMAGE, World
from tidegate.client import AnalysisRunRef, RolloutRef, TidegateClient


async def test_a_rollback_is_led_back_to_the_readings_that_decided(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = {"error-rate": [0.2]}
    handle = await world.start(world.request("1.1.0"))
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    client = TidegateClient(world.client)
    explanation = await client.explain(RolloutRef("payments", world.name))
    reason = "error-rate is bad (failed (3) > failureLimit (2)): 0.2 meets failure `result >= 0.05`"
    assert explanation.headline == (f"payments/checkout revision 2 ({IMAGE}:1.1.0) was rolled back at 10 %: {reason}")
    beside, step = explanation.gates
    assert (beside.name, beside.kind, beside.step, beside.weight) == (explanation.decided_by, "Background", 3, 10)
    readings = beside.metrics[0].metric.measurements
    assert [(reading.query, reading.value) for reading in readings] == [("query of error-rate", "0.2")] * 3
    assert [entry.text for entry in beside.timeline] == [
        "aborted",
        "0 % of the traffic to the canary, 100 % to stable (back to stable)",
        "incident INC0010001: https://servicenow.example/INC0010001",
        "done: canary pods down",
    ]
    assert all(entry.at is not None for entry in beside.timeline)
    assert "did not wait for it" in step.timeline[0].text
    run = AnalysisRunRef("payments", beside.name)
    alone = await client.explain_run(run)
    assert alone.headline == f"analysis run {run.name} ended Failed: {reason}"
    assert alone.gates == (beside,)


async def test_a_hold_names_the_gate_that_could_not_tell_and_who_answered(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = {"error-rate": [0.03]}
    handle = await world.start(world.request("1.1.0"))
    await world.env.sleep(timedelta(minutes=20))  # three times the readings that the first gate wants
    await world.until(handle, lambda status: status.held)
    client, rollout = TidegateClient(world.client), RolloutRef("payments", world.name)
    explanation = await client.explain(rollout)
    assert "waits for an operator at 10 %" in explanation.headline
    held = next(gate for gate in explanation.gates if gate.timeline and gate.timeline[0].text == "held for an operator")
    assert "could not be judged" in held.metrics[0].sentence
    await handle.signal("promote", {"by": "ana", "reason": "known noise"})
    await world.until(handle, lambda status: any(event.reason == "RolloutPromoted" for event in status.events))
    answered = {gate.name: gate.timeline for gate in (await client.explain(rollout)).gates}
    assert answered[held.name][1].text == "promoted by ana: known noise"
    await handle.signal("abort")
    with pytest.raises(WorkflowFailureError):
        await handle.result()
