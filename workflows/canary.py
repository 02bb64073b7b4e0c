"""The way of a canary: one step after the other, each a weight, a wait or a gate."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.status import Phase
    from tidegate.contract import PauseReason
    from tidegate.manifests.steps import ExperimentStep
    from workflows.active_release import ActiveRelease
    from workflows.experiment import StepExperiment
    from workflows.gates import Gate
    from workflows.handlers import Inbox
    from workflows.interruptions import race
    from workflows.metrics import timed_step
    from workflows.release_status import ReleaseState
    from workflows.waits import AN_OPERATOR


class CanarySteps:
    """The steps of one version."""

    def __init__(self, active: ActiveRelease, inbox: Inbox, state: ReleaseState) -> None:
        self._active = active
        self._plan = active.plan
        self._inbox = inbox
        self._state = state

    def hold(self, *, waits_for_change: bool) -> None:
        """Bring nothing of the version out; `waits_for_change` is said of its reason."""
        self._active.reconciler.move(aborted=True)

    def skip_to_the_end(self) -> None:
        """Ask for all of the traffic, past the steps that are left."""
        plan = self._plan
        self._active.reconciler.move(index=plan.last_step, full=True, aborted=False)
        self._state.set_desired_weight(plan.weight_at(len(plan.steps)))

    async def carry_out(self) -> None:
        """Run the steps. Raises `GateFailed`, and the failure of the reconciler."""
        plan, active = self._plan, self._active
        active.reconciler.move(aborted=False)
        last = await self._take_steps()
        await active.holds.over()
        has_everything = plan.gives_everything and last == len(plan.steps) - 1 and active.reconciler.is_there
        await self._move_to(len(plan.steps), last)
        if not has_everything:
            await active.reconciler.reached()

    async def _take_steps(self) -> int:
        """Take the steps in order, and return the index of the last one that was taken: an operator may skip the rest.

        A background analysis that would have begun in a skipped step begins then: it is a gate and no step (law 4).
        """
        plan, background = self._plan, self._active.background
        for index in range(plan.first_step, len(plan.steps)):
            if self._inbox.skips:
                if index <= plan.background_from < len(plan.steps):
                    background.start()
                self._state.steps.skip(in_full=False)
                return index - 1
            if index == plan.background_from:
                background.start()
            await self._move_to(index, index - 1)
            with self._state.steps.step(index), timed_step(next(iter(plan.steps[index].kinds()), "")):
                promotes = self._inbox.promotes
                await race(self._run_step(index), lambda: self._inbox.promotes > promotes)  # noqa: B023
                await self._active.holds.over()
        return len(plan.steps) - 1

    async def _move_to(self, index: int, before: int) -> None:
        """Move from one step to another. Nothing gets 100 % before the background analysis gave its verdict (law 4)."""
        plan = self._plan
        await self._active.holds.over()
        exposes = plan.exposes_fully(index, before)
        if exposes:
            with self._state.waits.on("the background analysis", until=None, who="its verdict; " + AN_OPERATOR):
                await self._active.background.settle()
            await self._active.holds.over()
        self._active.reconciler.move(index=index if plan.manifest.steps else None)
        self._state.set_desired_weight(plan.weight_at(index), last=plan.is_last_weight(index))
        if exposes and index < len(plan.steps) - 1:
            self._active.background.start()

    async def _run_step(self, index: int) -> None:
        """Run one step. A step that only changes the desired state is done when the reconciler has reached it."""
        plan, step = self._plan, self._plan.steps[index]
        if step.pause is not None:
            await self._pause_step(plan.pause_remaining(index, workflow.now()))
        elif step.analysis is not None:
            await self._analyse(index)
        elif step.experiment is not None:
            await self._experiment(index, step.experiment)
        else:
            await self._active.reconciler.reached()

    async def _pause_step(self, seconds: int | None) -> None:
        """Wait for the duration of the step, or for an operator."""
        holds = self._active.holds
        if seconds is not None:
            until = workflow.now() + timedelta(seconds=seconds)
            with (
                self._state.waits.paused(PauseReason.STEP),
                self._state.waits.on("the pause", until=until, who="its time; " + AN_OPERATOR, outlasted=True),
            ):
                self._state.publication.show()
                await self._pause_for(seconds)
                await holds.resumed()
            return
        promotes = self._inbox.promotes
        with self._state.waits.paused(PauseReason.STEP):
            await holds.for_an_operator("a pause without duration", lambda: self._inbox.promotes > promotes)
            await holds.resumed()

    async def _pause_for(self, seconds: int) -> None:
        """Wait for the duration of a pause. A comparison may end it earlier, where the Rollout says so."""
        if not self._plan.advances_when_proven:
            await workflow.sleep(seconds, summary=f"pause of {seconds} s")
            return
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._active.background.is_proven, timeout=seconds, timeout_summary=f"pause of {seconds} s"
            )
            self._state.event("RolloutResumed", "the pause ends early: the comparison has proven enough at this weight")

    async def _analyse(self, index: int) -> None:
        plan = self._plan
        analysis = plan.step_document(index)["analysis"]
        gate = await Gate.open(plan, self._state, analysis, step=index)
        with self._state.waits.on(f"analysis {gate.reference.name}", until=None, who="its verdict; " + AN_OPERATOR):
            self._state.publication.show()
            phase = await gate.verdict()
        if phase is Phase.INCONCLUSIVE:
            await self._active.holds.undecided(PauseReason.ANALYSIS, gate.reference.name)

    async def _experiment(self, index: int, step: ExperimentStep) -> None:
        """Run an experiment. Both versions must have their ReplicaSets before its own are created from them."""
        await self._active.reconciler.reached()
        undecided = await StepExperiment(self._plan, self._active.reconciler, self._state, index, step).carry_out()
        if undecided:
            await self._active.holds.undecided(PauseReason.EXPERIMENT, undecided)
