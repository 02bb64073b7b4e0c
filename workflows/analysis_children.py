"""Analysis runs as child workflows: how they are started, and how something is sent to them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import FailureError, is_cancelled_exception
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import ANALYSIS_WORKFLOW, BACKGROUND_PRIORITY, AnalysisRequest, AnalysisResult

Run = ChildWorkflowHandle[object, AnalysisResult]


async def send(name: str, request: Coroutine[Any, Any, None]) -> None:
    """Send something to the run of that name; one that has ended needs it no more."""
    try:
        await request
    except FailureError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.info("%s was not asked to end, it has ended: %s", name, error)


def send_in_background(name: str, request: Coroutine[Any, Any, None]) -> None:
    """Do the same without waiting."""
    task = asyncio.create_task(send(name, request))
    task.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())  # read, if only once


async def started(request: AnalysisRequest, workflow_id: str, summary: str) -> Run:
    """Start the child workflow. Raises WorkflowAlreadyStartedError for an id that was used before."""
    return await workflow.start_child_workflow(
        ANALYSIS_WORKFLOW,
        request,
        id=workflow_id,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        result_type=AnalysisResult,
        cancellation_type=ChildWorkflowCancellationType.TRY_CANCEL,
        parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
        priority=BACKGROUND_PRIORITY,
        static_summary=summary,
    )
