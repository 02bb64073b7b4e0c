"""An experiment step: versions side by side for a while, with analyses of them.

The reconciler creates and removes the ReplicaSets. This module decides on duration and outcome. Source of the rules:
argo-rollouts, experiments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.compare.models import Weight
    from tidegate.analysis.experiments import Subject, outcome
    from tidegate.analysis.status import Phase
    from tidegate.contract import Document, ErrorType, ExperimentSetState
    from tidegate.manifests.durations import parse_duration
    from tidegate.manifests.steps import ExperimentStep
    from workflows.gates import ComparedSides, Gate, GateFailed
    from workflows.interruptions import Aborted
    from workflows.plan import Plan
    from workflows.reconciler import Reconciler
    from workflows.release_status import ReleaseState
    from workflows.waits import AN_OPERATOR


class StepExperiment:
    """One experiment, from its first ReplicaSet to its end."""

    def __init__(
        self, plan: Plan, reconciler: Reconciler, state: ReleaseState, index: int, step: ExperimentStep
    ) -> None:
        self._plan = plan
        self._reconciler = reconciler
        self._state = state
        self._index = index
        self._step = step
        self._name = next(plan.analysis_names(index))
        self._runs: dict[str, asyncio.Task[Phase]] = {}
        self._gates: dict[str, Gate] = {}
        self._undecided = ""
        self._progress: dict[str, tuple[ExperimentSetState | None, datetime]] = {}

    async def carry_out(self) -> str:
        """Run the step. Returns the name of the inconclusive analysis run; empty when there is none.

        Raises GateFailed for a bad verdict, and `ProgressDeadlineExceeded` when the pods of a template do not come.
        """
        self._reconciler.move(experiment=True)
        self._state.event("ExperimentCreated", f"Created Experiment '{self._name}'")
        try:
            await self._until_complete()
            undecided = await self._run()
        except (Exception, asyncio.CancelledError):  # where a worker drops the release instead, nothing can be awaited
            await self._remove()
            raise
        await self._remove()
        return undecided

    async def _remove(self) -> None:
        self._reconciler.move(experiment=False)
        for run in self._runs.values():
            run.cancel()
        await asyncio.gather(*self._runs.values(), return_exceptions=True)

    async def _until_complete(self) -> None:
        """Wait for the pods of all templates, and for their Services and shares of the traffic."""
        until = workflow.now() + self._plan.manifest.spec.progress_deadline()
        with self._state.waits.on(f"the pods of experiment {self._name}", until=until, who="its pods; tidegate abort"):
            self._state.publication.show()
            while self._missing():
                await self._until_changed(None)

    async def _run(self) -> str:
        """Run the analyses until the verdicts are in or the duration is over."""
        duration = parse_duration(self._step.duration) if self._step.duration else None
        ends = workflow.now() + duration if duration is not None else None
        limit = self._limit()
        subjects = {each.template: Subject(each.replica_set, each.hash) for each in self._reconciler.experiment}
        compared = self._compared()
        for name, analysis in self._plan.experiment_analyses(self._index, subjects).items():
            self._runs[name] = asyncio.create_task(self._verdict(name, analysis, compared))
        with self._state.waits.on(f"experiment {self._name}", until=ends or limit, who="its analyses; " + AN_OPERATOR):
            self._state.publication.show()
            while True:
                missing = self._missing()
                lasted = ends is not None and workflow.now() >= ends and not missing
                phase = outcome(self._step, self._verdicts(), lasted=lasted)
                if phase.completed:
                    break
                if limit is not None and workflow.now() >= limit:
                    what = f"experiment {self._name} ends by nothing else"
                    raise Aborted(
                        f"nobody answered within {self._plan.hold_limit}: {what}", ErrorType.ROLLOUT_INCONCLUSIVE
                    )
                await self._until_changed(ends or limit)
        if lasted and phase is Phase.SUCCESSFUL:
            phase = await self._settled()
        return self._concluded(phase)

    async def _settled(self) -> Phase:
        """Outcome after the duration: each run gives its verdict from the measurements so far (law 4)."""
        with self._state.waits.on(
            f"the verdicts of experiment {self._name}", until=None, who="its analyses; " + AN_OPERATOR
        ):
            await workflow.wait_condition(
                lambda: all(run.done() or name in self._gates for name, run in self._runs.items())
            )
            for name, run in self._runs.items():
                if not run.done():
                    await self._gates[name].settle()
            await workflow.wait_condition(lambda: all(run.done() for run in self._runs.values()))
        return outcome(self._step, self._verdicts(), lasted=True)

    def _limit(self) -> datetime | None:
        """Time at which an experiment without an end of its own aborts, by the hold limit of the Rollout (law 5)."""
        ends_by_itself = self._step.duration or any(each.required_for_completion for each in self._step.analyses)
        return None if ends_by_itself or self._plan.hold_limit is None else workflow.now() + self._plan.hold_limit

    def _concluded(self, phase: Phase) -> str:
        """The name of an inconclusive run, or empty. Raises the GateFailed of a run with that phase."""
        for run in self._runs.values():
            error = run.exception() if run.done() else None
            if isinstance(error, GateFailed) and error.analysis.status.phase is phase:
                raise error
        text = f"Experiment '{self._name}' Status New: '{phase}' Previous: 'Running'"
        self._state.event(f"Experiment{phase}", text)
        return self._undecided if phase is Phase.INCONCLUSIVE else ""

    def _compared(self) -> ComparedSides | None:
        """The templates that are compared, from now on: their pods and their shares of the traffic are all there."""
        versions = self._plan.experiment_versions(self._index, self._reconciler.experiment)
        if versions is None:
            return None
        pods = {each.replica_set: each.available for each in self._reconciler.experiment}
        canary, stable = (pods.get(f"{versions.rollout}-{each}", 0) for each in (versions.canary, versions.stable))
        share = Weight(since=workflow.now().timestamp(), share=0.5, canary_pods=canary, stable_pods=stable, last=True)
        return ComparedSides(versions, (share,), (share,))

    async def _verdict(self, name: str, analysis: Document, compared: ComparedSides | None) -> Phase:
        gate = await Gate.of_experiment(
            self._plan, self._state, analysis, name=name, step=self._index, compared=compared
        )
        self._gates[name] = gate
        phase = await gate.verdict()
        if phase is Phase.INCONCLUSIVE:
            self._undecided = gate.reference.name
        return phase

    def _verdicts(self) -> Mapping[str, Phase]:
        """Phases of the runs that have ended. Raises `RolloutAborted` for a run that ended without a verdict."""
        found: dict[str, Phase] = {}
        for name, run in self._runs.items():
            if not run.done():
                continue
            error = run.exception()
            if error is None:
                found[name] = run.result()
            elif isinstance(error, GateFailed):
                found[name] = error.analysis.status.phase
            else:
                raise ApplicationError(
                    f"{self._name}-{name} ended without a verdict: {error}",
                    type=ErrorType.ROLLOUT_ABORTED,
                    non_retryable=True,
                ) from error
        return found

    async def _until_changed(self, ends: datetime | None) -> None:
        """Wait until a pod, a verdict or a deadline changes something."""
        before, decided = self._reconciler.experiment, len(self._verdicts())
        deadlines = [each for each in (*self._deadlines(), ends) if each is not None and each > workflow.now()]
        timeout = min(deadlines) - workflow.now() if deadlines else None
        try:
            await workflow.wait_condition(
                lambda: self._reconciler.experiment != before or len(self._verdicts()) != decided,
                timeout=timeout,
                timeout_summary=f"next deadline of experiment {self._name}",
            )
        except TimeoutError:
            return

    # ------------------------------------------------------------------------------------------------------- deadlines

    def _missing(self) -> list[str]:
        """Templates that are not complete. Raises `ProgressDeadlineExceeded` when one made no progress for too long.

        Progress is any change of a template's state (argo-rollouts, progressDeadlineSeconds).
        """
        states = {each.template: each for each in self._reconciler.experiment}
        missing = []
        for template in self._step.templates:
            state, now = states.get(template.name), workflow.now()
            if template.name not in self._progress or self._progress[template.name][0] != state:
                self._progress[template.name] = (state, now)
            if state is None or not state.complete:
                missing.append(template.name)
        for name, deadline in zip(missing, self._deadlines(missing), strict=True):
            if workflow.now() >= deadline:
                seconds = round(self._plan.manifest.spec.progress_deadline().total_seconds())
                raise ApplicationError(
                    f"Template '{name}' exceeded its progressDeadlineSeconds ({seconds})",
                    type=ErrorType.PROGRESS_DEADLINE_EXCEEDED,
                    non_retryable=True,
                )
        return missing

    def _deadlines(self, templates: list[str] | None = None) -> list[datetime]:
        """Progress deadlines of `templates`; by default of those that are not complete."""
        limit = self._plan.manifest.spec.progress_deadline()
        if templates is None:
            templates = [name for name, (state, _) in self._progress.items() if state is None or not state.complete]
        return [self._progress[name][1] + limit for name in templates]
