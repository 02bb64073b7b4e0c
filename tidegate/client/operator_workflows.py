"""Workflows that an operator starts and waits for. They read, and change nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError, TimeoutError  # noqa: A004  Temporal's

from tidegate.client.errors import NoWorkerError, RefusedError
from tidegate.client.translation import translated
from tidegate.contract import BACKGROUND_PRIORITY, RELEASES_QUEUE, ErrorType, Payload, fair

Result = TypeVar("Result", bound=Payload)


async def answer_of(
    temporal: Client,
    workflow: str,
    request: Payload,
    result_type: type[Result],
    *,
    workflow_id: str,
    namespace: str,
    timeout: timedelta,
    summary: str,
) -> Result:
    """Start a workflow for a Kubernetes namespace, after what releases need, and wait for its answer.

    Raises `NoWorkerError` when none answers within `timeout`, and `RefusedError` for what it refuses.
    """
    try:
        with translated(workflow_id):
            handle = await temporal.start_workflow(
                workflow,
                request,
                id=workflow_id,
                task_queue=RELEASES_QUEUE,
                result_type=result_type,
                execution_timeout=timeout,
                priority=fair(BACKGROUND_PRIORITY, namespace),
                static_summary=summary,
            )
            found: Result = await handle.result()
    except WorkflowFailureError as error:
        raise _unanswered(workflow_id, error) from error
    return found


def _unanswered(workflow_id: str, error: WorkflowFailureError) -> NoWorkerError | RefusedError:
    cause = error.cause
    if isinstance(cause, TimeoutError):
        remedy = "start `tidegate-worker` with the role `workflows` or `all`; nothing was requested"
        return NoWorkerError(f"{workflow_id}: no worker answered in time", remedy)
    message = str(getattr(cause, "message", "") or cause)
    kind = (cause.type or "") if isinstance(cause, ApplicationError) else ""
    if kind == ErrorType.UNAVAILABLE:
        return NoWorkerError(message, "start `tidegate-worker` with the role `cluster` or `all`; nothing was requested")
    remedy = "a release would be refused as well: change the manifests" if kind == ErrorType.INVALID_SPEC else ""
    return RefusedError(message, remedy, kind)
