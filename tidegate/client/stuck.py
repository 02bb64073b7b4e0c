"""Releases whose workflow tasks fail again and again, so that they take no message, not even an abort.

The cause is a mistake in the workers' code, or a history that does not replay on it. Temporal retries without end. The
writes of the release stay meanwhile, such as a weight of the canary.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import Client

from tidegate.client.errors import NotFoundError, RefusedError
from tidegate.client.queries import Queries
from tidegate.client.refs import AnalysisRunRef, RolloutRef
from tidegate.client.runs import PAGE_SIZE, RECORDS_TIMEOUT, checked, is_running, newest_run, pages
from tidegate.client.translation import translated
from tidegate.contract import ANALYSIS_WORKFLOW, ROLLOUT_WORKFLOW, ReleaseStatus
from tidegate.rollouts.phase import RolloutPhase

# A worker that dies, or is too slow once, makes a second try.
TRIES_IN_VAIN: Final = 3
MAX_CONCURRENT: Final = 8
LONGEST_REASON: Final = 300
_FAILED: Final = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
_TIMED_OUT: Final = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT


@dataclass(frozen=True)
class StuckRun:
    """A release, or an analysis run of one, whose workflow task fails."""

    rollout: RolloutRef
    workflow_id: str
    run_id: str
    tries: int  # attempts at the task
    since: datetime  # the first failure since it last made progress
    why: str  # of that failure


class StuckRuns(Queries):
    """Methods of a client for the watcher."""

    async def stuck(self, cluster: str) -> tuple[StuckRun, ...]:
        """The releases of a cluster, and their analysis runs, that cannot go on."""
        slots = asyncio.Semaphore(MAX_CONCURRENT)

        async def checked_run(run: WorkflowExecutionInfo) -> StuckRun | None:
            async with slots:
                return await _stuck(self._temporal, run)

        found = [asyncio.create_task(checked_run(run)) async for run in _running(self._temporal, cluster)]
        try:
            return tuple(each for each in await asyncio.gather(*found) if each is not None)
        finally:
            for task in found:
                task.cancel()

    async def give_up(self, run: StuckRun, reason: str) -> None:
        """Terminate a run that cannot go on; the release that follows restores its traffic.

        A run that has ended meanwhile is left alone.
        """
        await self._terminate(run.workflow_id, run.run_id, reason)

    async def hand_over(self, rollout: RolloutRef, reason: str) -> bool:
        """Terminate the release of a Rollout that another controller acts on now; False when none is under way.

        What it made stays as it is, for the other controller to go on with.
        """
        run = await newest_run(self._temporal, rollout.workflow_id)
        if run is None or not is_running(run):
            return False
        await self._terminate(rollout.workflow_id, run.execution.run_id, reason)
        return True

    async def _terminate(self, workflow_id: str, run_id: str, reason: str) -> None:
        handle = self._temporal.get_workflow_handle(workflow_id, run_id=run_id)
        with suppress(NotFoundError, RefusedError), translated(workflow_id):
            await handle.terminate(reason=reason, rpc_timeout=RECORDS_TIMEOUT)


def silent(run: WorkflowExecutionInfo) -> ReleaseStatus:
    """Status of a release that was stopped and answers no query."""
    rollout = RolloutRef.parse(run.execution.workflow_id)
    return ReleaseStatus(
        workflow_id=run.execution.workflow_id,
        run_id=run.execution.run_id,
        cluster=rollout.cluster if rollout else "",
        namespace=rollout.namespace if rollout else "",
        name=rollout.name if rollout else "",
        phase=RolloutPhase.DEGRADED,
        message="stopped from outside; it does not answer",
        started_at=run.start_time.ToDatetime(UTC),
    )


async def _running(temporal: Client, cluster: str) -> AsyncIterator[WorkflowExecutionInfo]:
    name = checked(cluster)
    query = (
        f'WorkflowType IN ("{ROLLOUT_WORKFLOW}", "{ANALYSIS_WORKFLOW}") AND ExecutionStatus = "Running" '
        f'AND (WorkflowId STARTS_WITH "rollout/{name}/" OR WorkflowId STARTS_WITH "analysis/{name}/")'
    )
    async for page in pages(temporal, query):
        for run in page:
            yield run


async def _stuck(temporal: Client, run: WorkflowExecutionInfo) -> StuckRun | None:
    rollout = _rollout(run)
    if rollout is None:
        return None
    execution = WorkflowExecution(workflow_id=run.execution.workflow_id, run_id=run.execution.run_id)
    try:
        with translated(execution.workflow_id):
            found = await temporal.workflow_service.describe_workflow_execution(
                DescribeWorkflowExecutionRequest(namespace=temporal.namespace, execution=execution),
                retry=True,
                timeout=RECORDS_TIMEOUT,
            )
            tries = found.pending_workflow_task.attempt
            if tries < TRIES_IN_VAIN:
                return None
            page = await temporal.workflow_service.get_workflow_execution_history_reverse(
                GetWorkflowExecutionHistoryReverseRequest(
                    namespace=temporal.namespace, execution=execution, maximum_page_size=PAGE_SIZE
                ),
                retry=True,
                timeout=RECORDS_TIMEOUT,
            )
    except NotFoundError:  # it has just ended and gone
        return None
    first = _first_failure(page.history.events)
    if first is None:  # only slow, or the failure is so far back that it was reported long ago
        return None
    since = first.event_time.ToDatetime(UTC)
    return StuckRun(rollout, execution.workflow_id, execution.run_id, tries, since, _why(first))


def _rollout(run: WorkflowExecutionInfo) -> RolloutRef | None:
    """The Rollout of a release or of its analysis run; None for an analysis that was started alone."""
    if AnalysisRunRef.parse(run.execution.workflow_id) is not None:
        return RolloutRef.parse(run.parent_execution.workflow_id)
    return RolloutRef.parse(run.execution.workflow_id)


def _first_failure(newest_first: Iterable[HistoryEvent]) -> HistoryEvent | None:
    first = None
    for event in newest_first:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            break
        if event.event_type in (_FAILED, _TIMED_OUT):
            first = event
    return first


def _why(failure: HistoryEvent) -> str:
    if failure.event_type == _TIMED_OUT:
        return "no worker completed it in time"
    attributes = failure.workflow_task_failed_event_attributes
    cause = WorkflowTaskFailedCause.Name(attributes.cause).removeprefix("WORKFLOW_TASK_FAILED_CAUSE_")
    text = cause.replace("_", " ").capitalize()
    return f"{text}: {attributes.failure.message}"[:LONGEST_REASON] if attributes.failure.message else text
