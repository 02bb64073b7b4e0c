"""A release that somebody resets, while an analysis goes on beside its steps."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.cluster import ANALYSIS_TEMPLATES, ROLLOUTS
from tests.workers.scripted_provider import ScriptedProvider, endless
from tests.workers.watched import NAMESPACE, Place, open_place, rollout
from tidegate.contract import metrics_queue

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def place(temporal: Client, tmp_path: Path) -> AsyncIterator[Place]:
    async with open_place(temporal, tmp_path) as place:
        yield place
    gc.collect()  # so that what is left of the run that was reset ends within its test


async def reset(place: Place) -> None:
    """Begin again after the last workflow task, as a person does in Temporal's UI."""
    handle = place.temporal.get_workflow_handle(place.ref.workflow_id)
    run = (await handle.describe()).run_id
    done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    points = [event.event_id for event in (await handle.fetch_history()).events if event.event_type == done]
    await place.temporal.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=place.temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=run),
            reason="a test",
            workflow_task_finish_event_id=points[-1],
            request_id=f"reset-{run}",
        )
    )


async def test_a_release_that_was_reset_takes_the_verdict_of_the_analysis_beside_its_steps(place: Place) -> None:
    provider = ScriptedProvider()
    await place.kube.create(ANALYSIS_TEMPLATES.path(NAMESPACE), endless())
    analysed = rollout()
    arguments = [{"name": "service", "value": "shop"}]
    analysed["spec"]["strategy"]["canary"] |= {
        "steps": [{"setWeight": 50}, {"pause": {}}],
        "analysis": {"templates": [{"templateName": "error-rate"}], "args": arguments},
    }
    async with Worker(place.temporal, task_queue=metrics_queue("prometheus"), activities=[provider.measure]):
        await place.kube.create(ROLLOUTS.path(NAMESPACE), analysed)
        async with place.watching():
            first = await place.healthy()
            await place.set_image("shop:2")
            await place.paused_at(1)
            await provider.reached.wait()
            await reset(place)
            await place.client.promote(place.ref, by="alice")
            await place.healthy(first["status"]["stableRS"])
    status = await place.status()
    assert [(each.kind, each.status.phase) for each in status.analyses] == [("Background", "Successful")]
