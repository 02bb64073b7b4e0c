"""Rollback of a Rollout's spec to an earlier revision, in the cluster and in Git; a release of it follows."""

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

TIMEOUT = timedelta(minutes=1)
_WORDS = {Activity.CHOOSE_REVISION: "choose the revision", Activity.ROLLBACK: "write the earlier template"}
RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=300), maximum_interval=timedelta(seconds=10))


@workflow.defn(name=ROLLBACK_WORKFLOW)
class Rollback:
    """Started by an operator; one at a time for a Rollout."""

    @workflow.run
    async def run(self, request: Any = None, *more: Any) -> RollbackResult:
        """Write the earlier template to the Rollout. Fails with the cause before anything was written."""
        parsed = read_input(RollbackRequest, request, "request to roll back")
        own_id = rollback_id(parsed.cluster, parsed.target.namespace, parsed.target.name)
        check_id("roll-back", workflow.info().workflow_id, own_id)
        try:
            chosen: RollbackResult = await self._call(parsed, Activity.CHOOSE_REVISION, parsed, RollbackResult)
            put = PutBack(target=parsed.target, replica_set=chosen.replica_set, replaces=chosen.replaces)
            await self._call(parsed, Activity.ROLLBACK, put, None)
        except ActivityError as error:
            raise ApplicationError(cause_of(error), type=ErrorType.REJECTED, non_retryable=True) from error
        return await self._in_git(parsed, chosen)

    async def _call(
        self, rollback: RollbackRequest, name: Activity, request: Any, result_type: type[Any] | None
    ) -> Any:
        return await workflow.execute_activity(
            name,
            request,
            result_type=result_type,
            task_queue=cluster_queue(rollback.cluster),
            start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            schedule_to_close_timeout=TIMEOUT,
            retry_policy=RETRY,
            summary=f"{_WORDS[name]} of {rollback.target.name}",
        )

    async def _in_git(self, request: RollbackRequest, result: RollbackResult) -> RollbackResult:
        """Start the revert in Git, or the next sync would bring back the later version. It is not awaited."""
        info = workflow.info()
        revert = undo_request(request, result, info.workflow_id, info.first_execution_run_id)
        if revert is None:
            return result
        follow_up = f"{follow_ups_of(info.workflow_id)}{info.first_execution_run_id}"
        await workflow.start_child_workflow(
            FOLLOW_UP_WORKFLOW,
            FollowUpRequest(effects=(Effect.of(Compensation.REVERT, Activity.REVERT_COMMIT, revert),)),
            id=follow_up,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=f"git revert: undo of {request.target.name}",
        )
        return result.model_copy(update={"message": f"{result.message}; Git follows: {follow_up}"})
