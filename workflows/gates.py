"""The analysis runs of a release: child workflows whose outcome decides whether it may go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ChildWorkflowError,
    FailureError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.workflow import (
    ChildWorkflowCancellationType,
    ChildWorkflowHandle,
    ExternalWorkflowHandle,
    ParentClosePolicy,
)

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.status import AnalysisStatus, Phase
    from tidegate.contract import (
        ANALYSIS_WORKFLOW,
        BACKGROUND_PRIORITY,
        AnalysisKind,
        AnalysisRef,
        AnalysisRequest,
        AnalysisResult,
        Document,
        Signal,
        analysis_id,
    )
    from workflows.interruptions import sent
    from workflows.plan import Plan
    from workflows.release_status import ReleaseState

Run = ChildWorkflowHandle[object, AnalysisResult]
_WORDS = {AnalysisKind.STEP: "Step-based", AnalysisKind.BAKE: "In the bake at 100 %:"}


@dataclass
class GateFailed(Exception):  # noqa: N818  # a verdict, not an error of the program
    """A gate ended Failed or Error: the version was judged, the release has to be undone."""

    analysis: AnalysisRef

    def __str__(self) -> str:
        """Argo's words for the cause of an abort."""
        status = self.analysis.status
        if self.analysis.kind is AnalysisKind.EXPERIMENT:
            return f"{self.analysis.name}: {status.message or status.phase}"
        kind = _WORDS.get(self.analysis.kind, self.analysis.kind.value)
        return f"{kind} analysis phase error/failed: {status.message or status.phase}"


def end_analyses_left(plan: Plan) -> None:
    """Cancel the runs of an earlier release that nobody waits for any more, as after a termination or a reset."""
    request = plan.request
    for name in plan.seen.analyses_left:
        workflow_id = analysis_id(request.cluster, request.namespace, name)
        _begin_asking(name, workflow.get_external_workflow_handle(workflow_id).cancel())


class Gate:
    """One analysis run of a release, from its start to its verdict."""

    def __init__(self, handle: Run, reference: AnalysisRef, state: ReleaseState):
        self._handle = handle
        self._state = state
        self.reference = reference

    @classmethod
    async def open(cls, plan: Plan, state: ReleaseState, analysis: Document, *, step: int | None) -> Gate:
        """Start the run of a step (`step` its index) or of the background (None)."""
        kind = AnalysisKind.BACKGROUND if step is None else AnalysisKind.STEP
        return await cls._start(plan, state, analysis, plan.analysis_names(step), kind, step)

    @classmethod
    async def of_bake(cls, plan: Plan, state: ReleaseState, analysis: Document) -> Gate:
        """Start the run of the bake."""
        return await cls._start(plan, state, analysis, plan.analysis_names("bake"), AnalysisKind.BAKE, None)

    @classmethod
    async def of_experiment(cls, plan: Plan, state: ReleaseState, analysis: Document, *, name: str, step: int) -> Gate:
        """Start a run of the experiment of a step; `name` is what the experiment calls the analysis."""
        names = plan.analysis_names(f"{step}-{name}")
        return await cls._start(plan, state, analysis, names, AnalysisKind.EXPERIMENT, step)

    @classmethod
    async def _start(
        cls,
        plan: Plan,
        state: ReleaseState,
        analysis: Document,
        names: Iterator[str],
        kind: AnalysisKind,
        step: int | None,
    ) -> Gate:
        """Start it under the first name that is free: a name is one run, whatever else was measured under it.

        The cluster need not know of a run: that of a release without an object, or of one that was terminated before it
        told of it. Temporal does, for as long as it keeps it.
        """
        known = {each.name for each in state.status().analyses}
        for name in (each for each in names if each not in known):
            with suppress(WorkflowAlreadyStartedError):
                return await cls._start_as(name, plan, state, analysis, kind, step)
        raise RuntimeError("names of analysis runs have no end")

    @classmethod
    async def _start_as(
        cls, name: str, plan: Plan, state: ReleaseState, analysis: Document, kind: AnalysisKind, step: int | None
    ) -> Gate:
        workflow_id = analysis_id(plan.request.cluster, plan.request.namespace, name)
        reference = AnalysisRef(
            workflow_id=workflow_id,
            name=name,
            kind=kind,
            step=step,
            revision=plan.revision,
            status=AnalysisStatus(name=name, phase=Phase.RUNNING),
        )
        request = AnalysisRequest(
            cluster=plan.request.cluster,
            namespace=plan.request.namespace,
            name=name,
            spec=plan.bake_spec(analysis) if kind is AnalysisKind.BAKE else plan.analysis_spec(analysis),
            kind=kind,
            release_id=workflow.info().workflow_id,
            owner=plan.owner,
        )
        state.analysis(reference)
        text = f"{kind} Analysis Run '{name}' Status New: 'Running' Previous: ''"
        state.event("AnalysisRunRunning", text, analysis=name)
        if plan.owner_uid:
            state.publication.pending.begun(reference, request.spec, analysis.get("analysisRunMetadata") or {})
        starting: asyncio.Task[Run] = asyncio.create_task(
            _started(request, workflow_id, f"{kind} analysis of {plan.request.name} revision {plan.revision}")
        )
        try:
            await workflow.wait([starting])
        except asyncio.CancelledError:
            starting.add_done_callback(partial(_end_as_soon_as_started, reference))
            _left_without_verdict(reference, state)
            raise
        try:
            return cls(starting.result(), reference, state)
        except WorkflowAlreadyStartedError:
            state.not_begun(reference)
            # It is an earlier one of this version, and nobody waits for it: of the run before a reset, or not over yet.
            _begin_asking(name, _by_id(reference).cancel())
            raise

    async def verdict(self) -> Phase:
        """Wait for the end. A run that could not be carried out is an Error, which is never a success (law 4).

        Whoever is cancelled here asks the run to end; one that somebody else cancelled is an Error, too.
        """
        try:
            await workflow.wait([self._handle])
            status = self._handle.result().status
        except asyncio.CancelledError:
            _end(self.reference, self._handle)
            _left_without_verdict(self.reference, self._state)
            raise
        except ChildWorkflowError as error:
            status = AnalysisStatus(
                name=self.reference.name, phase=Phase.ERROR, message=str(error.cause or error)[:500]
            )
        self.reference = self.reference.model_copy(update={"status": status})
        self._state.analysis(self.reference)
        self._state.event(
            f"AnalysisRun{status.phase}",
            f"{self.reference.kind} Analysis Run '{self.reference.name}' Status New: '{status.phase}' "
            "Previous: 'Running'",
            warning=status.phase in (Phase.FAILED, Phase.ERROR),
            analysis=self.reference.name,
        )
        if status.phase in (Phase.FAILED, Phase.ERROR):
            raise GateFailed(self.reference)
        return status.phase

    async def settle(self) -> None:
        """Ask the run for its verdict; what has no reading that counts is read once more before.

        Of one that has ended already the verdict is on its way.
        """
        await _asked(self.reference.name, sent(_by_id(self.reference).signal(Signal.SETTLE)))


def _by_id(reference: AnalysisRef) -> ExternalWorkflowHandle[object]:
    """For Temporal the child of a release that was reset is no child of the run after that, which cannot reach it so.

    A release is alone under its id, and no other one asks for a run of that name before it has ended.
    """
    return workflow.get_external_workflow_handle(reference.workflow_id)


async def _asked(name: str, asking: Coroutine[Any, Any, None]) -> None:
    try:
        await asking
    except FailureError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.info("%s was not asked to end, it has ended: %s", name, error)


def _begin_asking(name: str, asking: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(_asked(name, asking))
    task.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())  # read, if only once


def _end(reference: AnalysisRef, run: Run) -> None:
    """Request a run's cancellation, and wait for nothing."""
    run.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())
    _begin_asking(reference.name, _by_id(reference).cancel())


async def _started(request: AnalysisRequest, workflow_id: str, summary: str) -> Run:
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


def _end_as_soon_as_started(reference: AnalysisRef, starting: asyncio.Task[Run]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        _end(reference, starting.result())


def _left_without_verdict(reference: AnalysisRef, state: ReleaseState) -> None:
    """The release went on, or ended, without this run: it proves nothing (law 4)."""
    said = state.attributed_to(reference)
    if not said.phase.completed:
        update = {"phase": Phase.INCONCLUSIVE, "message": "ended by the release, without a verdict"}
        state.analysis(reference.model_copy(update={"status": said.model_copy(update=update)}))


class Background:
    """The analysis beside the steps, for as long as the canary is live, and then that of the bake.

    `failed` and `inconclusive`, the name of a run that could not tell, are what the release watches; nothing is
    awaited here by the steps.
    """

    def __init__(self, plan: Plan, state: ReleaseState) -> None:
        self._plan = plan
        self._state = state
        self._task: asyncio.Task[None] | None = None
        self._gate: Gate | None = None
        self.failed: GateFailed | None = None
        self.inconclusive = ""

    def start(self) -> None:
        """Begin, or begin again after an end; without a background analysis nothing happens."""
        if self._plan.background is not None and (self._task is None or self._task.done()):
            analysis = self._plan.background
            self._begin(lambda: Gate.open(self._plan, self._state, analysis, step=None))

    def start_bake(self, analysis: Document) -> None:
        """Begin to watch a version that has all of the traffic; a run beside the steps has ended before."""
        self._begin(lambda: Gate.of_bake(self._plan, self._state, analysis))

    def _begin(self, opening: Callable[[], Awaitable[Gate]]) -> None:
        self.inconclusive, self._gate = "", None
        self._task = asyncio.create_task(self._guard(opening))

    async def settle(self) -> None:
        """End the run and take its verdict from what it could measure; raises `GateFailed`."""
        if self._task is not None:
            if not self._task.done():
                await workflow.wait_condition(lambda: self._gate is not None or self._done())
                if self._gate is not None and not self._done():
                    await self._gate.settle()
            await asyncio.shield(self._task)
        if self.failed is not None:
            raise self.failed

    async def cancel(self) -> None:
        """End the run without a verdict; nobody asks for one any more."""
        self.inconclusive = ""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def leave(self) -> None:
        """End the run, whatever it has said: an operator promotes past it."""
        await self.cancel()
        self.failed = None

    def _done(self) -> bool:
        return self._task is None or self._task.done()

    async def _guard(self, opening: Callable[[], Awaitable[Gate]]) -> None:
        try:
            self._gate = await opening()
            if await self._gate.verdict() is Phase.INCONCLUSIVE:
                self.inconclusive = self._gate.reference.name
        except GateFailed as failed:
            self.failed = failed
