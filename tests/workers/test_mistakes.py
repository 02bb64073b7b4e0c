"""A mistake in the code of a release is seen at once: its task fails, and nobody waits for an answer in silence."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from sandbox.processes import until
from tests.workers.scripted_release import request
from tidegate.client import NoWorkerError, TidegateClient
from tidegate.contract import RELEASES_QUEUE, ROLLOUT_WORKFLOW, ReleaseResult, rollout_id
from workflows.rollout import Rollout

pytestmark = pytest.mark.asyncio(loop_scope="module")


@workflow.defn(name=ROLLOUT_WORKFLOW)
class Mistaken(Rollout):
    """A release with a mistake before anything was done."""

    @workflow.init
    def __init__(self, request: Any = None) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: Any = None) -> ReleaseResult:
        return await super().run(request)

    async def _admit(self, request: Any, before: Any = None) -> Any:
        raise KeyError("a mistake")


async def test_a_mistake_fails_the_task_where_people_look(temporal: Client, client: TidegateClient) -> None:
    name = f"checkout-{uuid.uuid4().hex[:8]}"
    asked = request(name=name)
    mistaken = Worker(
        temporal, task_queue=RELEASES_QUEUE, workflows=[Mistaken], workflow_runner=UnsandboxedWorkflowRunner()
    )
    async with mistaken:
        with pytest.raises(NoWorkerError):
            await client.start(asked, timeout=timedelta(seconds=3))
        handle = temporal.get_workflow_handle(rollout_id(asked.cluster, asked.namespace, name))

        async def failed() -> bool:
            events = (await handle.fetch_history()).events
            return any(event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED for event in events)

        await until(failed, 20, "the task failed")
        await handle.terminate()
