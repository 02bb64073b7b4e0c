"""An experiment step: versions side by side for a while, with analyses of them.

The reconciler raises and removes what it needs; here is how long it lasts and what comes of it. Source of the rules:
argo-rollouts, experiments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.experiments import Subject, outcome
    from tidegate.analysis.status import Phase
    from tidegate.contract import Document, ErrorType, ExperimentSetState
    from tidegate.manifests.durations import parse_duration
    from tidegate.manifests.steps import ExperimentStep
    from workflows.gates import Gate, GateFailed
    from workflows.interruptions import Aborted
    from workflows.plan import Plan
    from workflows.reconciler import Reconciler
    from workflows.release_status import AN_OPERATOR, ReleaseState


class Experiment:
    """One experiment, from its first ReplicaSet to its end; nothing of it is wanted any more when that is reached."""

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
        """Take the step; returns the name of the analysis run that could not tell, empty when all is well.

        Raises GateFailed for a bad verdict, and `ProgressDeadlineExceeded` when the pods of a template do not come.
        """
        self._reconciler.move(experiment=True)
        self._state.event("ExperimentCreated", f"Created Experiment '{self._name}'")
        try:
            await self._until_complete()
            undecided = await self._run()
        except (Exception, asyncio.CancelledError):  # where a worker drops the release instead, nothing can be awaited
            await self._leave()
            raise
        await self._leave()
        return undecided

    async def _leave(self) -> None:
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
        """Let it stand until its verdicts or its time are in."""
        duration = parse_duration(self._step.duration) if self._step.duration else None
        ends = workflow.now() + duration if duration is not None else None
        limit = self._limit()
        subjects = {each.template: Subject(each.replica_set, each.hash) for each in self._reconciler.experiment}
        for name, analysis in self._plan.experiment_analyses(self._index, subjects).items():
            self._runs[name] = asyncio.create_task(self._verdict(name, analysis))
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
        """The end of one that has had its time: what its runs have measured until then is their verdict (law 4)."""
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
        """When an experiment that only a person can end has waited for one as long as the Rollout allows (law 5)."""
        ends_by_itself = self._step.duration or any(each.required_for_completion for each in self._step.analyses)
        return None if ends_by_itself or self._plan.hold_limit is None else workflow.now() + self._plan.hold_limit

    def _concluded(self, phase: Phase) -> str:
        """The end as the release is to take it. Raises the GateFailed of a run that ended so."""
        for run in self._runs.values():
            error = run.exception() if run.done() else None
            if isinstance(error, GateFailed) and error.analysis.status.phase is phase:
                raise error
        text = f"Experiment '{self._name}' Status New: '{phase}' Previous: 'Running'"
        self._state.event(f"Experiment{phase}", text)
        return self._undecided if phase is Phase.INCONCLUSIVE else ""

    async def _verdict(self, name: str, analysis: Document) -> Phase:
        gate = await Gate.of_experiment(self._plan, self._state, analysis, name=name, step=self._index)
        self._gates[name] = gate
        phase = await gate.verdict()
        if phase is Phase.INCONCLUSIVE:
            self._undecided = gate.reference.name
        return phase

    def _verdicts(self) -> Mapping[str, Phase]:
        """What the runs that have ended say. Raises `RolloutAborted` for one that somebody ended without a verdict."""
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
        """Wait until a pod, a verdict or the time says something new."""
        before, decided = self._reconciler.experiment, len(self._verdicts())
        moments = [moment for moment in (*self._deadlines(), ends) if moment is not None and moment > workflow.now()]
        timeout = min(moments) - workflow.now() if moments else None
        try:
            await workflow.wait_condition(
                lambda: self._reconciler.experiment != before or len(self._verdicts()) != decided,
                timeout=timeout,
                timeout_summary=f"experiment {self._name}",
            )
        except TimeoutError:
            return

    # ------------------------------------------------------------------------------------------------------- deadlines

    def _missing(self) -> list[str]:
        """Templates that do not stand as they should. Raises when one has made no progress for too long.

        Progress is any change in what stands of a template (argo-rollouts, progressDeadlineSeconds).
        """
        stands = {each.template: each for each in self._reconciler.experiment}
        missing = []
        for template in self._step.templates:
            one, now = stands.get(template.name), workflow.now()
            if template.name not in self._progress or self._progress[template.name][0] != one:
                self._progress[template.name] = (one, now)
            if one is None or not one.complete:
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
        """When each of `templates` has had its time; those that do not stand, where they are not given."""
        limit = self._plan.manifest.spec.progress_deadline()
        if templates is None:
            templates = [name for name, (one, _) in self._progress.items() if one is None or not one.complete]
        return [self._progress[name][1] + limit for name in templates]
