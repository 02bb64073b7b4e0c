"""Release of the objects that a deleted Rollout had claimed, so that they serve again without it."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import LET_GO_WORKFLOW, Activity, Fence, LeftAlone, LetGo, cluster_queue
    from workflows.activity_calls import HEARTBEAT_TIMEOUT

RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))


@workflow.defn(name=LET_GO_WORKFLOW)
class LetGoOfObjects:
    """Started by the watcher, once for a Rollout object."""

    @workflow.run
    async def run(self, request: LetGo) -> LeftAlone:
        """Release them, with retries until it succeeds: until then Services may select pods that are gone."""
        epoch = int(workflow.info().start_time.timestamp() * 1000)
        result: LeftAlone = await workflow.execute_activity(
            Activity.LET_GO,
            request.model_copy(update={"fence": Fence(epoch=epoch, sequence=1)}),
            result_type=LeftAlone,
            task_queue=cluster_queue(request.cluster),
            start_to_close_timeout=timedelta(minutes=1),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RETRY,
            summary=f"let go of what {request.target.name} had claimed",
        )
        return result
