"""An earlier revision is asked for again, in the cluster and in Git; the release that follows brings it out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import (
        FOLLOW_UP_WORKFLOW,
        ROLLBACK_WORKFLOW,
        Activity,
        Compensation,
        Effect,
        ErrorType,
        FollowUpRequest,
        PutBack,
        RollbackRequest,
        RollbackResult,
        cluster_queue,
        follow_ups_of,
        rollback_id,
    )
    from workflows.activity_calls import HEARTBEAT_TIMEOUT
    from workflows.failures import cause_of, check_id
    from workflows.inputs import read_input
    from workflows.reverts import undo_request

PATIENCE = timedelta(minutes=1)
RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=300), maximum_interval=timedelta(seconds=10))


@workflow.defn(name=ROLLBACK_WORKFLOW)
class Rollback:
    """Started by a person; one at a time for a Rollout."""

    @workflow.run
    async def run(self, request: Any = None, *more: Any) -> RollbackResult:
        """Change what is asked for. Fails with what a person has to put right, having changed nothing."""
        asked = read_input(RollbackRequest, request, "request to roll back")
        own_id = rollback_id(asked.cluster, asked.target.namespace, asked.target.name)
        check_id("roll-back", workflow.info().workflow_id, own_id)
        try:
            chosen: RollbackResult = await self._ask(asked, Activity.CHOOSE_REVISION, asked, RollbackResult)
            put = PutBack(target=asked.target, replica_set=chosen.replica_set, replaces=chosen.replaces)
            await self._ask(asked, Activity.ROLLBACK, put, None)
        except ActivityError as error:
            raise ApplicationError(cause_of(error), type=ErrorType.REJECTED, non_retryable=True) from error
        return await self._in_git(asked, chosen)

    async def _ask(self, asked: RollbackRequest, name: Activity, request: Any, result_type: type[Any] | None) -> Any:
        return await workflow.execute_activity(
            name,
            request,
            result_type=result_type,
            task_queue=cluster_queue(asked.cluster),
            start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            schedule_to_close_timeout=PATIENCE,
            retry_policy=RETRY,
            summary=asked.target.name,
        )

    async def _in_git(self, asked: RollbackRequest, done: RollbackResult) -> RollbackResult:
        """Have Git say the same, or the next sync would bring the later version again; that goes on by itself."""
        info = workflow.info()
        request = undo_request(asked, done, info.workflow_id, info.first_execution_run_id)
        if request is None:
            return done
        follow_up = f"{follow_ups_of(info.workflow_id)}{info.first_execution_run_id}"
        await workflow.start_child_workflow(
            FOLLOW_UP_WORKFLOW,
            FollowUpRequest(effects=(Effect.of(Compensation.REVERT, Activity.REVERT_COMMIT, request),)),
            id=follow_up,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=f"git revert: undo of {asked.target.name}",
        )
        return done.model_copy(update={"message": f"{done.message}; Git follows: {follow_up}"})
