"""Calls of workflows that an operator starts and waits for. They read, and change nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.exceptions import TimeoutError as ActivityTimeoutError

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import Activity, Payload
    from workflows.activity_calls import HEARTBEAT_TIMEOUT
    from workflows.failures import cause_of

TIMEOUT = timedelta(seconds=40)  # of all attempts at one call: a person waits
ATTEMPT_TIMEOUT = timedelta(seconds=30)
RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=3)

Answered = TypeVar("Answered", bound=Payload)


async def read(activity: Activity, request: Payload, answer: type[Answered], queue: str, summary: str) -> Answered:
    """Answer of one activity on a task queue. Raises ActivityError."""
    answered: Answered = await workflow.execute_activity(
        activity,
        request,
        result_type=answer,
        task_queue=queue,
        start_to_close_timeout=ATTEMPT_TIMEOUT,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        schedule_to_close_timeout=TIMEOUT,
        retry_policy=RETRY,
        summary=summary,
    )
    return answered


def cause_of_call(error: ActivityError, worker_of: str) -> str:
    """Cause of a failed call; a timeout says nothing of it, so it names the worker that did not answer."""
    if isinstance(error.cause, ActivityTimeoutError):
        return f"no worker of {worker_of} answered in time"
    return cause_of(error)
