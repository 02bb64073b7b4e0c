"""An activity that a client asked for by itself: no workflow waits for it, whoever asked polls for its outcome."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from temporalio.api.activity.v1 import ActivityExecutionOutcome
from temporalio.bridge.proto.activity_result import ActivityResolution
from temporalio.bridge.proto.workflow_commands import ScheduleActivity

from tests.virtual.temporal.attempts import ActivityTask
from tests.virtual.temporal.loop import running

if TYPE_CHECKING:
    from tests.virtual.temporal.server import VirtualTemporal


class StandaloneActivity:
    """From the request until its outcome; to its attempts it is what a workflow's run is to those of others."""

    workflow_id = ""
    workflow_type = ""

    def __init__(self, server: VirtualTemporal, req: Any) -> None:
        """`req` is a StartActivityExecutionRequest."""
        self.run_id = server.chances.uuid()
        self.outcome: asyncio.Future[ActivityExecutionOutcome] = running().create_future()
        asked = ScheduleActivity(
            seq=1,
            activity_id=req.activity_id,
            activity_type=req.activity_type.name,
            task_queue=req.task_queue.name,
            arguments=req.input.payloads,
            schedule_to_close_timeout=req.schedule_to_close_timeout,
            schedule_to_start_timeout=req.schedule_to_start_timeout,
            start_to_close_timeout=req.start_to_close_timeout,
            heartbeat_timeout=req.heartbeat_timeout,
            retry_policy=req.retry_policy,
        )
        self.task = ActivityTask(server, self, asked)

    def activity_ended(self, _: int, resolution: ActivityResolution | None) -> None:
        """It ended: what a workflow is told of the activity is wrapped around what the client is told."""
        outcome = ActivityExecutionOutcome()
        if resolution is not None and resolution.HasField("completed"):
            outcome.result.payloads.append(resolution.completed.result)
        elif resolution is not None:
            outcome.failure.CopyFrom(resolution.failed.failure.cause)
        self.outcome.set_result(outcome)
