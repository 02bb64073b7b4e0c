"""Analysis runs, with or without a release: start, read, wait, terminate, list."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio.client import WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import CancelledError, TerminatedError, WorkflowAlreadyStartedError

from tidegate.analysis.status import AnalysisStatus, Phase
from tidegate.client.errors import NoWorkerError, RefusedError, StillRunningError
from tidegate.client.queries import Queries
from tidegate.client.refs import AnalysisRunRef, AnalysisSummary
from tidegate.client.runs import first_request, is_running, newest_analyses, newest_run
from tidegate.client.translation import translated
from tidegate.contract import (
    ANALYSIS_WORKFLOW,
    BACKGROUND_PRIORITY,
    RELEASES_QUEUE,
    AnalysisRequest,
    AnalysisResult,
    ErrorType,
    Signal,
    fair,
)
from tidegate.contract.release import LIMITS_REMEDY
from tidegate.manifests.plain_text import harmless

CALL_TIMEOUT = timedelta(seconds=20)
_LONGEST_CAUSE = 500


class AnalysisRuns(Queries):
    """The analysis runs of one Temporal namespace."""

    async def run_analysis(self, request: AnalysisRequest) -> AnalysisRunRef:
        """Start an analysis run without a release; `analysis_request` makes the request of templates.

        A run of the same name and content that is under way is taken for this one, so a call whose answer was lost can
        be repeated. After its end the same request is a new run. Raises `RefusedError` when a run of that name but
        other content is under way. No worker need be up: Temporal keeps the request.
        """
        run = AnalysisRunRef.of(request)
        if excess := request.excess():
            raise RefusedError(f"{run.workflow_id}: {harmless(excess)}", LIMITS_REMEDY, ErrorType.INVALID_SPEC)
        try:
            with translated(run.workflow_id):
                await self._temporal.start_workflow(
                    ANALYSIS_WORKFLOW,
                    request,
                    id=run.workflow_id,
                    task_queue=RELEASES_QUEUE,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    priority=fair(BACKGROUND_PRIORITY, request.namespace),
                    static_summary=f"{request.namespace}/{request.name}: analysis without a release",
                    rpc_timeout=CALL_TIMEOUT,
                )
        except WorkflowAlreadyStartedError as error:
            if await first_request(self._temporal, run.workflow_id, AnalysisRequest) != request:
                raise RefusedError(
                    f"{run.workflow_id}: a run of that name, with other templates or arguments, is under way",
                    f"give another --name, or end it with `tidegate analysis terminate {run.name}`",
                    ErrorType.REJECTED,
                ) from error
        return run

    async def terminate_analysis(self, run: AnalysisRunRef) -> None:
        """Ask a run to end now; what it has measured decides. Raises `RefusedError` when it has ended."""
        handle = self._temporal.get_workflow_handle(run.workflow_id)
        with translated(run.workflow_id):
            await handle.signal(Signal.TERMINATE, rpc_timeout=CALL_TIMEOUT)

    async def analysis_status(self, run: AnalysisRunRef) -> AnalysisStatus:
        """Status of an analysis run; after its end also with no worker up.

        A run that failed, or was stopped on the server, has the phase that `wait_for_analysis` gives.
        """
        status, unanswered = AnalysisStatus(name=run.name, phase=Phase.PENDING), None
        try:
            status = await self._query(run.workflow_id, None, AnalysisStatus)
        except NoWorkerError as error:
            unanswered = error
        if status.phase.completed:
            return status
        found = await newest_run(self._temporal, run.workflow_id)
        if found is not None and not is_running(found):
            return await self._ended(run, status)
        if unanswered is not None:
            raise unanswered
        return status

    async def wait_for_analysis(self, run: AnalysisRunRef, *, timeout: timedelta | None = None) -> AnalysisStatus:
        """Wait for the end of a run, over restarts of workers and of Temporal, and return its verdict.

        A run that was cancelled or terminated on the server is Inconclusive, one that could not be carried out an
        Error. Raises `StillRunningError` after `timeout`.
        """
        try:
            async with asyncio.timeout(timeout.total_seconds() if timeout is not None else None):
                return await self._ended(run, AnalysisStatus(name=run.name, phase=Phase.PENDING))
        except TimeoutError as error:
            raise StillRunningError(
                f"{run.workflow_id}: still running after {timeout}",
                f"the run goes on by itself: look with `tidegate get analysisrun {run.name}`, or wait longer",
            ) from error

    async def _ended(self, run: AnalysisRunRef, known: AnalysisStatus) -> AnalysisStatus:
        """Status of a run at its end; `known` with the verdict of a release on it where it has none to give."""
        try:
            return (await self._result(run.workflow_id, None, AnalysisResult)).status
        except WorkflowFailureError as error:
            stopped = isinstance(error.cause, CancelledError | TerminatedError)
            cause = f"ended from outside, without a verdict: {error.cause}" if stopped else str(error.cause)
            phase = Phase.INCONCLUSIVE if stopped else Phase.ERROR
            return known.model_copy(update={"name": run.name, "phase": phase, "message": cause[:_LONGEST_CAUSE]})

    async def list_analyses(
        self, namespace: str | None = None, *, cluster: str | None = None, limit: int = 1000
    ) -> list[AnalysisSummary]:
        """The analysis runs started last (of one Kubernetes namespace, of one cluster), the newest at the end."""
        return await newest_analyses(self._temporal, namespace, limit, cluster=cluster)
