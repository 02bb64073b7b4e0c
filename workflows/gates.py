"""Analysis runs of a release: child workflows whose verdicts decide whether it may go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from temporalio import workflow
from temporalio.exceptions import (
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import (
    ExternalWorkflowHandle,
)

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.compare.measurement import is_proven
    from tidegate.analysis.compare.models import Weight
    from tidegate.analysis.rules import has_comparison
    from tidegate.analysis.status import AnalysisStatus, Phase
    from tidegate.contract import (
        AnalysisKind,
        AnalysisRef,
        AnalysisRequest,
        ComparedVersions,
        Document,
        Signal,
        WeightsChanged,
        analysis_id,
    )
    from workflows.analysis_children import Run, send, send_in_background, started
    from workflows.interruptions import let_go, sent
    from workflows.metrics import count_verdict
    from workflows.plan import Plan
    from workflows.release_status import ReleaseState


_PREFIXES = {
    AnalysisKind.STEP: "Step-based",
    AnalysisKind.BAKE: "In the bake at 100 %:",
    AnalysisKind.PRE_PROMOTION: "Blue/green pre-promotion",
    AnalysisKind.POST_PROMOTION: "Blue/green post-promotion",
}


@dataclass(frozen=True)
class ComparedSides:
    """Versions that a run compares, the weights at which it does, and those that are to come."""

    versions: ComparedVersions
    weights: tuple[Weight, ...]
    planned: tuple[Weight, ...]


@dataclass(frozen=True)
class _Opening:
    """An analysis block, and what it is run for: the index of its step, and what it can compare."""

    analysis: Document
    kind: AnalysisKind
    step: int | None
    compared: ComparedSides | None


@dataclass
class GateFailed(Exception):  # noqa: N818  # a verdict, not an error of the program
    """A gate ended Failed or Error: the version was judged, the release has to be aborted."""

    analysis: AnalysisRef

    def __str__(self) -> str:
        """Argo's words for the cause of an abort."""
        status = self.analysis.status
        if self.analysis.kind is AnalysisKind.EXPERIMENT:
            return f"{self.analysis.name}: {status.message or status.phase}"
        kind = _PREFIXES.get(self.analysis.kind, self.analysis.kind.value)
        return f"{kind} analysis phase error/failed: {status.message or status.phase}"


def cancel_orphaned_analyses(plan: Plan) -> None:
    """Cancel the runs of an earlier release that was terminated or reset."""
    request = plan.request
    for name in plan.seen.analyses_left:
        workflow_id = analysis_id(request.cluster, request.namespace, name)
        send_in_background(name, workflow.get_external_workflow_handle(workflow_id).cancel())


class Gate:
    """One analysis run of a release, from its start to its verdict."""

    def __init__(
        self, handle: Run, reference: AnalysisRef, state: ReleaseState, weights: tuple[Weight, ...] | None = None
    ):
        """`weights` are those that the run was started with, None where it follows none of the release's."""
        self._handle = handle
        self._state = state
        self._weights = weights
        self.reference = reference

    @classmethod
    async def open(cls, plan: Plan, state: ReleaseState, analysis: Document, *, step: int | None) -> Gate:
        """Start the run of a step (`step` its index) or of the background (None)."""
        kind = AnalysisKind.BACKGROUND if step is None else AnalysisKind.STEP
        opening = _Opening(analysis, kind, step, _of_release(plan, state))
        return await cls._start(plan, state, opening, plan.analysis_names(step))

    @classmethod
    async def of_bake(cls, plan: Plan, state: ReleaseState, analysis: Document) -> Gate:
        """Start the run of the bake."""
        opening = _Opening(analysis, AnalysisKind.BAKE, None, _of_release(plan, state))
        return await cls._start(plan, state, opening, plan.analysis_names("bake"))

    @classmethod
    async def of_promotion(cls, plan: Plan, state: ReleaseState, analysis: Document, kind: AnalysisKind) -> Gate:
        """Start the run before or after a blue-green promotion."""
        opening = _Opening(analysis, kind, None, _of_release(plan, state))
        names = plan.analysis_names("pre" if kind is AnalysisKind.PRE_PROMOTION else "post")
        return await cls._start(plan, state, opening, names)

    @classmethod
    async def of_experiment(
        cls,
        plan: Plan,
        state: ReleaseState,
        analysis: Document,
        *,
        name: str,
        step: int,
        compared: ComparedSides | None,
    ) -> Gate:
        """Start a run of the experiment of a step; `name` is what the experiment calls the analysis."""
        opening = _Opening(analysis, AnalysisKind.EXPERIMENT, step, compared)
        return await cls._start(plan, state, opening, plan.analysis_names(f"{step}-{name}"))

    @classmethod
    async def _start(cls, plan: Plan, state: ReleaseState, opening: _Opening, names: Iterator[str]) -> Gate:
        """Start the run under the first free name: a name is one run, whatever else was measured under it.

        The cluster need not have the run of a name: its release may have had no object, or was terminated early.
        Temporal has it, for as long as its retention.
        """
        known = {each.name for each in state.status().analyses}
        for name in (each for each in names if each not in known):
            with suppress(WorkflowAlreadyStartedError):
                return await cls._start_as(name, plan, state, opening)
        raise RuntimeError("names of analysis runs have no end")

    @classmethod
    async def _start_as(cls, name: str, plan: Plan, state: ReleaseState, opening: _Opening) -> Gate:
        kind = opening.kind
        workflow_id = analysis_id(plan.request.cluster, plan.request.namespace, name)
        reference = AnalysisRef(
            workflow_id=workflow_id,
            name=name,
            kind=kind,
            step=opening.step,
            revision=plan.revision,
            status=AnalysisStatus(name=name, phase=Phase.RUNNING),
        )
        request = _request(name, plan, opening)
        state.analysis(reference)
        text = f"{kind} Analysis Run '{name}' Status New: 'Running' Previous: ''"
        state.event("AnalysisRunRunning", text, analysis=name)
        if plan.owner_uid:
            state.publication.pending.started(
                reference, request.spec, opening.analysis.get("analysisRunMetadata") or {}
            )
        starting: asyncio.Task[Run] = asyncio.create_task(
            started(request, workflow_id, f"{kind} analysis of {plan.request.name} revision {plan.revision}")
        )
        try:
            await workflow.wait([starting])
        except asyncio.CancelledError:
            starting.add_done_callback(partial(_end_as_soon_as_started, reference))
            _mark_without_verdict(reference, state)
            raise
        try:
            follows = request.versions is not None and kind is not AnalysisKind.EXPERIMENT
            return cls(starting.result(), reference, state, request.weights if follows else None)
        except WorkflowAlreadyStartedError:
            state.name_taken(reference)
            # It is an earlier run of this version that is not awaited: of a run before a reset, or not over yet.
            send_in_background(name, _by_id(reference).cancel())
            raise

    async def verdict(self) -> Phase:
        """Wait for the end. A run that could not be carried out is an Error, which is never a success (law 4).

        A cancellation here cancels the run as well. A run that was cancelled from outside is an Error.
        """
        feeding = asyncio.create_task(self._send_weights()) if self._weights is not None else None
        try:
            await workflow.wait([self._handle])
            status = self._handle.result().status
        except asyncio.CancelledError:
            _end(self.reference, self._handle)
            _mark_without_verdict(self.reference, self._state)
            raise
        except ChildWorkflowError as error:
            status = AnalysisStatus(
                name=self.reference.name, phase=Phase.ERROR, message=str(error.cause or error)[:500]
            )
        finally:
            if feeding is not None:
                let_go(feeding)
        self.reference = self.reference.model_copy(update={"status": status})
        self._state.analysis(self.reference)
        count_verdict(self.reference)
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

    async def _send_weights(self) -> None:
        """Tell the run each weight that takes effect: a comparison counts each bucket at its weight."""
        while True:
            await workflow.wait_condition(lambda: self._weights != self._state.weights.all)
            self._weights = self._state.weights.all
            changed = WeightsChanged(weights=self._weights)
            await send(self.reference.name, sent(_by_id(self.reference).signal(Signal.WEIGHTS, changed)))

    async def settle(self) -> None:
        """Request the run's verdict; metrics without a conclusive reading are measured once more before.

        Does nothing for a run that has ended: its verdict is on its way.
        """
        await send(self.reference.name, sent(_by_id(self.reference).signal(Signal.SETTLE)))


def _of_release(plan: Plan, state: ReleaseState) -> ComparedSides:
    """The versions of a release, at its own weights."""
    return ComparedSides(plan.versions, state.weights.all, plan.planned_weights)


def _request(name: str, plan: Plan, opening: _Opening) -> AnalysisRequest:
    """The request of a run; what is compared goes with it where one of its metrics does so."""
    analysis, kind, compared = opening.analysis, opening.kind, opening.compared
    specs = {AnalysisKind.BAKE: plan.bake_spec, AnalysisKind.POST_PROMOTION: plan.promoted_spec}
    request = AnalysisRequest(
        cluster=plan.request.cluster,
        namespace=plan.request.namespace,
        name=name,
        spec=specs.get(kind, plan.analysis_spec)(analysis),
        kind=kind,
        release_id=workflow.info().workflow_id,
        owner=plan.owner,
    )
    if compared is None or not has_comparison(request.spec):
        return request
    fields = {"versions": compared.versions, "weights": compared.weights, "planned_weights": compared.planned}
    return request.model_copy(update=fields)


def _by_id(reference: AnalysisRef) -> ExternalWorkflowHandle[object]:
    """A handle by id, as the child of a run before a reset is no child of the run after it.

    A release is alone under its id, and no other one requests a run of that name before it has ended.
    """
    return workflow.get_external_workflow_handle(reference.workflow_id)


def _end(reference: AnalysisRef, run: Run) -> None:
    """Request a run's cancellation without waiting."""
    run.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())
    send_in_background(reference.name, _by_id(reference).cancel())


def _end_as_soon_as_started(reference: AnalysisRef, starting: asyncio.Task[Run]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        _end(reference, starting.result())


def _mark_without_verdict(reference: AnalysisRef, state: ReleaseState) -> None:
    """Set the phase to Inconclusive: the release went on, or ended, without this run, which proves nothing (law 4)."""
    status = state.latest_status(reference)
    if not status.phase.completed:
        update = {"phase": Phase.INCONCLUSIVE, "message": "ended by the release, without a verdict"}
        state.analysis(reference.model_copy(update={"status": status.model_copy(update=update)}))


class Background:
    """The analysis beside the steps, for as long as the canary is live, and then that of the bake.

    `failed` and `inconclusive` (the name of an inconclusive run) are read by the release. The steps await nothing here.
    """

    def __init__(self, plan: Plan, state: ReleaseState) -> None:
        self._plan = plan
        self._state = state
        self._task: asyncio.Task[None] | None = None
        self._gate: Gate | None = None
        self.failed: GateFailed | None = None
        self.inconclusive = ""

    @property
    def is_proven(self) -> bool:
        """True when each comparison that counts is clear at the weight in force, and no metric of the run is bad."""
        gate, weights = self._gate, self._state.weights.all
        if gate is None or not weights or self._done():
            return False
        return is_proven(self._state.latest_status(gate.reference), weights[-1])

    def start(self) -> None:
        """Start, also after an end; without a background analysis nothing happens."""
        if self._plan.background is not None and (self._task is None or self._task.done()):
            analysis = self._plan.background
            self._start(lambda: Gate.open(self._plan, self._state, analysis, step=None))

    def start_bake(self, analysis: Document) -> None:
        """Start the analysis of a version that has all of the traffic; a run beside the steps has ended before."""
        self._start(lambda: Gate.of_bake(self._plan, self._state, analysis))

    def _start(self, opening: Callable[[], Awaitable[Gate]]) -> None:
        self.inconclusive, self._gate = "", None
        self._task = asyncio.create_task(self._guard(opening))

    async def settle(self) -> None:
        """End the run with a verdict from its measurements. Raises `GateFailed`."""
        if self._task is not None:
            if not self._task.done():
                await workflow.wait_condition(lambda: self._gate is not None or self._done())
                if self._gate is not None and not self._done():
                    await self._gate.settle()
            await asyncio.shield(self._task)
        if self.failed is not None:
            raise self.failed

    async def cancel(self) -> None:
        """End the run without a verdict."""
        self.inconclusive = ""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def discard(self) -> None:
        """End the run and drop its verdict: an operator promotes past it."""
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
