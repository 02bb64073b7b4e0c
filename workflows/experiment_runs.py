"""The analysis runs of an Experiment object: child workflows, their rows in its status, their AnalysisRun objects."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.status import AnalysisStatus, Phase
    from tidegate.contract import (
        AnalysisKind,
        AnalysisRef,
        AnalysisRequest,
        AnalysisRunUpdate,
        Document,
        ExperimentRequest,
        Owner,
        Signal,
        analysis_id,
    )
    from tidegate.experiments.status import RunStatus
    from tidegate.manifests.kinds import ARGO_VERSION
    from workflows.analysis_children import Run, send, started
    from workflows.failures import cause_of
    from workflows.interruptions import sent


class ExperimentRuns:
    """The runs by the names of their analyses; `version` grows with each change of one."""

    def __init__(self, request: ExperimentRequest) -> None:
        self._request = request
        self._rows: dict[str, RunStatus] = {}
        self._handles: dict[str, Run] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._objects: dict[str, AnalysisRunUpdate] = {}
        self._unpublished: dict[str, AnalysisRunUpdate] = {}
        self._requested: set[tuple[str, Signal]] = set()
        self.version = 0

    @property
    def rows(self) -> tuple[RunStatus, ...]:
        """Their rows in the status."""
        return tuple(self._rows.values())

    @property
    def unpublished(self) -> tuple[AnalysisRunUpdate, ...]:
        """Their objects that say something else by now."""
        return tuple(self._unpublished.values())

    def published(self, updates: Iterable[AnalysisRunUpdate]) -> None:
        """Drop what a pass has written."""
        for update in updates:
            if self._unpublished.get(update.run.name) == update:
                del self._unpublished[update.run.name]

    def adopt(self, rows: Iterable[RunStatus]) -> None:
        """Take over the rows of runs that had ended before."""
        self._rows |= {each.name: each for each in rows}

    def forget(self) -> None:
        """Begin anew, as all of them have ended."""
        self._rows.clear()
        self._requested.clear()

    def has(self, analysis: str) -> bool:
        """True when an analysis has its row."""
        return analysis in self._rows

    def error(self, analysis: str, message: str) -> None:
        """Note that the run of an analysis cannot be made."""
        self._put(RunStatus(name=analysis, phase=Phase.ERROR, message=message))

    async def start(self, analysis: str, spec: Document, metadata: Document) -> None:
        """Start the run of an analysis under its first free name; `metadata` is what its object is to have."""
        for name in self._names(analysis):
            reference = AnalysisRef(
                workflow_id=analysis_id(self._request.cluster, self._request.namespace, name),
                name=name,
                kind=AnalysisKind.EXPERIMENT,
                revision=0,
                status=AnalysisStatus(name=name, phase=Phase.RUNNING),
            )
            with suppress(WorkflowAlreadyStartedError):
                summary = f"analysis {analysis} of experiment {self._request.name}"
                handle = await started(self._run_request(name, spec), reference.workflow_id, summary)
                self._handles[analysis] = handle
                self._objects[name] = AnalysisRunUpdate(
                    run=reference,
                    spec=spec,
                    labels=metadata.get("labels") or {},
                    annotations=metadata.get("annotations") or {},
                )
                self._update(name, reference.status)
                self._put(RunStatus(name=analysis, analysis_run=name, phase=Phase.RUNNING))
                self._tasks.append(asyncio.create_task(self._verdict(analysis, name, handle)))
                return

    def measured(self, status: AnalysisStatus) -> None:
        """Take what a run has sent of its measurements."""
        row = next((each for each in self._rows.values() if each.analysis_run == status.name), None)
        if row is not None and row.is_open:
            self._update(status.name, status)
            self.version += 1

    async def request(self, signal: Signal) -> None:
        """Request the verdicts of those that are open, once each."""
        for row in self.rows:
            if row.is_open and (row.name, signal) not in self._requested:
                self._requested.add((row.name, signal))
                await send(row.analysis_run, sent(self._handles[row.name].signal(signal)))

    def _names(self, analysis: str) -> Iterator[str]:
        """Argo's names, in order: `<experiment>-<analysis>[.<attempt>]`."""
        first = f"{self._request.name}-{analysis}"
        return (f"{first}.{number}" if number else first for number in count())

    def _run_request(self, name: str, spec: Document) -> AnalysisRequest:
        request = self._request
        return AnalysisRequest(
            cluster=request.cluster,
            namespace=request.namespace,
            name=name,
            spec=spec,
            kind=AnalysisKind.EXPERIMENT,
            release_id=workflow.info().workflow_id,
            owner=Owner(api_version=ARGO_VERSION, kind="Experiment", name=request.name, uid=request.uid),
        )

    async def _verdict(self, analysis: str, name: str, handle: Run) -> None:
        """Wait for the end. A run that could not be carried out is an Error, which is never a success (law 4)."""
        try:
            status = (await handle).status
        except ChildWorkflowError as error:
            status = AnalysisStatus(name=name, phase=Phase.ERROR, message=cause_of(error)[:500])
        self._update(name, status)
        self._put(RunStatus(name=analysis, analysis_run=name, phase=status.phase, message=status.message))

    def _update(self, name: str, status: AnalysisStatus) -> None:
        known = self._objects[name]
        update = known.model_copy(update={"run": known.run.model_copy(update={"status": status})})
        self._objects[name] = self._unpublished[name] = update

    def _put(self, row: RunStatus) -> None:
        self._rows[row.name] = row
        self.version += 1
