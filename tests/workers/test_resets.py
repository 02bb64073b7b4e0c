"""A release that somebody resets while an analysis goes on: it ends with what it was begun for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.worker import Worker

from activities.kubernetes.client import ANALYSIS_TEMPLATES, ROLLOUTS, Object
from sandbox.machine import patience
from sandbox.processes import until
from tests.workers.scripted_provider import ScriptedProvider, template
from tests.workers.watched import NAMESPACE, TERMINATES, Place, rollout
from tidegate.contract import ANALYSIS_WORKFLOW, metrics_queue
from tidegate.manifests.bake import BAKE

pytestmark = [pytest.mark.asyncio(loop_scope="module"), TERMINATES]


async def reset(place: Place, point: int = -1) -> None:
    """Begin again after a workflow task, the last one by default, as a person does in Temporal's UI."""
    handle = place.temporal.get_workflow_handle(place.ref.workflow_id)
    run = (await handle.describe()).run_id
    done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    points = [event.event_id for event in (await handle.fetch_history()).events if event.event_type == done]
    await place.temporal.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=place.temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=run),
            reason="a test",
            workflow_task_finish_event_id=points[point],
            request_id=f"reset-{run}",
        )
    )


ANALYSIS = {"templates": [{"templateName": "error-rate"}], "args": [{"name": "service", "value": "shop"}]}
BESIDE = {"steps": [{"setWeight": 50}, {"pause": {}}], "analysis": ANALYSIS}
WITHIN = {"steps": [{"setWeight": 50}, {"analysis": ANALYSIS}]}
EXPERIMENT = {
    "templates": [{"name": "baseline", "specRef": "stable"}],
    "analyses": [{"name": "compare", "templateName": "error-rate", "args": ANALYSIS["args"]}],
}
TRIED = {"steps": [{"setWeight": 50}, {"experiment": EXPERIMENT}]}
BAKED = {"steps": [{"setWeight": 50}], "analysis": ANALYSIS}


async def goes_on(place: Place) -> bool:
    """Whether an analysis run of this cluster is under way."""
    found = place.temporal.list_workflows(f"WorkflowType='{ANALYSIS_WORKFLOW}' AND ExecutionStatus='Running'")
    return any([f"/{place.name}/" in each.id async for each in found])


@asynccontextmanager
async def analysed(place: Place, canary: Object, **annotations: str) -> AsyncIterator[None]:
    """A second version under way, whose analysis has asked its provider and goes on until somebody ends it."""
    provider = ScriptedProvider()
    await place.kube.create(ANALYSIS_TEMPLATES.path(NAMESPACE), template(interval="1s", count=10_000))
    given = rollout()
    given["metadata"]["annotations"] = annotations
    given["spec"]["strategy"]["canary"] |= canary
    async with Worker(place.temporal, task_queue=metrics_queue("prometheus"), activities=[provider.measure]):
        await place.kube.create(ROLLOUTS.path(NAMESPACE), given)
        async with place.watching():
            await place.healthy()
            await place.set_image("shop:2")
            await until(lambda: goes_on(place), patience(10.0), "an analysis goes on")
            yield


async def until_none_goes_on(place: Place) -> None:
    async def none() -> bool:
        return not await goes_on(place)

    await until(none, patience(10.0), "no analysis goes on")


@pytest.mark.parametrize("canary", [BESIDE, WITHIN, TRIED], ids=["beside", "within", "tried"])
async def test_an_abort_after_a_reset_ends_the_analysis_that_was_begun_before(place: Place, canary: Object) -> None:
    async with analysed(place, canary):
        await reset(place)
        await place.client.abort(place.ref, by="alice")
        await place.until(lambda status: bool(status.get("phase") == "Degraded"))
        await place.end()
        await until_none_goes_on(place)


async def test_an_abort_in_the_bake_after_a_reset_ends_the_analysis(place: Place) -> None:
    async with analysed(place, BAKED, **{BAKE: "1h"}):
        await place.until(lambda status: "baking" in str(status.get("message")))
        await reset(place)
        await place.client.abort(place.ref, by="alice")
        await place.end()
        await until_none_goes_on(place)


@pytest.mark.parametrize("canary", [BESIDE, WITHIN, TRIED], ids=["beside", "within", "tried"])
async def test_a_reset_to_the_beginning_leaves_no_analysis_behind(place: Place, canary: Object) -> None:
    async with analysed(place, canary):
        await reset(place, 0)
        await place.until(lambda status: bool(status.get("currentStepIndex") == 1))
        await place.client.abort(place.ref, by="alice")
        await place.end()
        await until_none_goes_on(place)


async def test_a_release_that_is_terminated_after_a_reset_leaves_no_analysis_behind(place: Place) -> None:
    async with analysed(place, BESIDE):
        await place.paused_at(1)
        await reset(place)
        run = (await place.status()).run_id
        await place.temporal.get_workflow_handle(place.ref.workflow_id).terminate()

        async def recovered() -> bool:
            status = await place.status()
            return status.run_id != run and bool(status.analyses)

        await until(recovered, patience(20.0), "the release is recovered")
        await place.client.abort(place.ref, by="alice")
        await place.end()
        await until_none_goes_on(place)


async def test_a_step_that_is_skipped_after_a_reset_ends_its_analysis(place: Place) -> None:
    async with analysed(place, {"steps": [{"setWeight": 50}, {"analysis": ANALYSIS}, {"pause": {}}]}):
        await reset(place)
        await place.client.promote(place.ref, by="alice")
        await place.paused_at(2)
        await until_none_goes_on(place)


async def test_a_release_that_was_reset_takes_the_verdict_of_the_analysis_beside_its_steps(place: Place) -> None:
    async with analysed(place, BESIDE):
        first = await place.paused_at(1)
        await reset(place)
        await place.client.promote(place.ref, by="alice")
        await place.healthy(first["status"]["stableRS"])
    status = await place.status()
    assert [(each.kind, each.status.phase) for each in status.analyses] == [("Background", "Successful")]
