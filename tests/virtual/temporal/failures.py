"""The failures that Temporal itself makes, as its workers hear of them."""

from __future__ import annotations

from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.workflow_commands import ScheduleActivity


def of_activity(asked: ScheduleActivity, cause: Failure, state: RetryState.ValueType, message: str) -> Failure:
    """What a workflow is told of an activity that did not complete."""
    failure = Failure(message=message)
    failure.cause.CopyFrom(cause)
    info = failure.activity_failure_info
    info.activity_type.name, info.activity_id, info.retry_state = asked.activity_type, asked.activity_id, state
    return failure


def timeout(kind: TimeoutType.ValueType) -> Failure:
    """An attempt, or all of them, took too long."""
    failure = Failure(message=f"activity {TimeoutType.Name(kind)} timeout")
    failure.timeout_failure_info.timeout_type = kind
    return failure


def cancelled() -> Failure:
    """It ended because that was asked for."""
    failure = Failure(message="cancelled")
    failure.canceled_failure_info.SetInParent()
    return failure


def of_child(workflow_id: str, run_id: str, workflow_type: str, cause: Failure, message: str) -> Failure:
    """What a workflow is told of a child that did not complete."""
    failure = Failure(message=message)
    failure.cause.CopyFrom(cause)
    info = failure.child_workflow_execution_failure_info
    info.workflow_execution.workflow_id, info.workflow_execution.run_id = workflow_id, run_id
    info.workflow_type.name = workflow_type
    info.retry_state = RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE
    return failure


def terminated() -> Failure:
    """Somebody ended it from outside."""
    failure = Failure(message="terminated")
    failure.terminated_failure_info.SetInParent()
    return failure


def not_there(workflow_id: str) -> Failure:
    """A message for a workflow that is not running."""
    failure = Failure(message=f"Unable to reach external workflow {workflow_id}: it was not found")
    failure.application_failure_info.type = "ExternalWorkflowExecutionNotFound"
    return failure
