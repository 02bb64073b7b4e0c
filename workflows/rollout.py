"""The life of a release, from the request to its end: read it from top to bottom.

Observe, check; for each step set the weight, pause, analyse; bake; promote; finish. What may interrupt that is one
place, `_attempt`. An abort undoes it: traffic first, and nothing stops it half way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from tidegate.analysis.status import Phase
    from tidegate.contract import (
        PAUSED_BY_SPEC,
        ROLLOUT_WORKFLOW,
        Accepted,
        ErrorType,
        Message,
        Observation,
        ReleaseRequest,
        ReleaseResult,
        RolloutObject,
        Target,
    )
    from tidegate.manifests.steps import ExperimentStep
    from workflows.admission import check, check_rollout, describe, parse_request, read_manifest
    from workflows.bake import Bake
    from workflows.commands import Commands
    from workflows.experiment import Experiment
    from workflows.failures import cause_of
    from workflows.follow_ups import FollowUps
    from workflows.gates import Background, Gate, GateFailed
    from workflows.holds import Holds
    from workflows.interruptions import (
        Aborted,
        FullyPromoted,
        Interrupted,
        Superseded,
        leave_if_cancelled,
        race,
        shielded,
    )
    from workflows.journal import A_PERSON
    from workflows.keeper import Keeper
    from workflows.messages import Doors, said
    from workflows.metrics import count_end
    from workflows.notifier import Notifier
    from workflows.plan import Plan
    from workflows.records import Records
    from workflows.refusals import LOOKS
    from workflows.restarts import Restarts
    from workflows.undo import Undo


@workflow.defn(name=ROLLOUT_WORKFLOW)
class Rollout(Doors):
    """One release of a Rollout; the doors by which it is spoken to are inherited."""

    @workflow.init
    def __init__(self, request: Any = None, *more: Any) -> None:
        super().__init__()
        self._commands: Commands
        self._keeper: Keeper
        self._restarts: Restarts
        self._background: Background
        self._follow_ups = FollowUps(self.journal)
        self._notifier = Notifier(self.journal, self._follow_ups)
        self._records = Records(self.journal, self._follow_ups)
        self._holds: Holds

    @workflow.run
    async def run(self, request: Any = None, *more: Any) -> ReleaseResult:
        """Bring one version out, or put everything back and fail with the reason."""
        plan: Plan | None = None
        try:
            plan = await self._admit(request)
            await shielded(self._undo(plan).take_over())
            if plan.request.aborted:
                await self._stay_aborted(plan)
            while newer := await self._bring_out(plan):
                before, plan = plan, await self._admit(newer, before=plan)
                self._records.made_way(before, plan)
        except (FailureError, asyncio.CancelledError) as error:
            # Not a mistake in this code: that has to fail its task at once, where people see it, until it is mended.
            try:
                await self._leave_nothing(plan, error)
            finally:
                await self._close()
            raise
        await self._close()
        return describe(plan, self.journal.status())

    async def _leave_nothing(self, plan: Plan | None, error: BaseException) -> None:
        """Undo a version that nobody gave up on its way to here: no release ends with traffic on its canary (law 3)."""
        over = self.journal.status().finished_at is not None
        if plan is None or over or plan.hash == self._keeper.place.stable_hash:
            return
        cancelled = isinstance(error, asyncio.CancelledError)
        cause = self._cancelled() if cancelled else Aborted(f"{type(error).__name__}: {cause_of(error)}")
        await shielded(self._abort_release(plan, cause))
        if not cancelled:
            raise self._failure(plan, cause) from error

    @staticmethod
    def _cancelled() -> Aborted:
        return Aborted(f"cancelled: {workflow.cancellation_reason() or 'no reason given'}")

    async def _close(self) -> None:
        """Whoever spoke to the release gets an answer, and what follows it goes on without it."""
        self.inbox.ended = True
        await self._follow_ups.begun()
        await workflow.wait_condition(workflow.all_handlers_finished)

    # ----------------------------------------------------------------------------------------------------- before it

    async def _admit(self, request: Any, before: Plan | None = None) -> Plan:
        """Read, observe and check; nothing is touched before this has succeeded."""
        asked = RolloutObject()
        try:
            wanted = parse_request(request)
            check_rollout(wanted, workflow.info().workflow_id)
            asked = self.journal.asked_by(wanted)
            if before is None:
                self._commands = Commands(wanted.cluster, Target(namespace=wanted.namespace, name=wanted.name))
            manifest = read_manifest(wanted)
            self._commands.patience = manifest.spec.progress_deadline()
            with self.journal.waiting("the cluster's objects", until=None, who="the cluster's worker"):
                seen = await self._observe(wanted, asked)
            plan, warnings = check(wanted, manifest, seen)
            warnings += self._notifier.subscribe(plan.annotations)
        except (ApplicationError, ActivityError) as error:
            leave_if_cancelled()  # the look ends so, too, and then nothing speaks against the version
            await shielded(self._refuse(asked, before, cause_of(error)))
            raise ApplicationError(self.inbox.refused, type=ErrorType.INVALID_SPEC, non_retryable=True) from error
        self._background = Background(plan, self.journal)
        self._holds = Holds(self.inbox, self.journal, self._background, plan.hold_limit)
        self.journal.begin(plan.request, plan.place, plan.step_texts, warnings, seen.rollout)
        self.journal.revision(plan.revision, seen.stable_hash)
        self.journal.replica_sets(seen.replica_sets, plan.replicas)
        self._keeper = Keeper(plan, self._commands, self.journal)
        self._restarts = Restarts(plan, self._commands, self.journal)
        self.journal.event("RolloutUpdated", f"Rollout updated to revision {plan.revision}")
        self.inbox.admitted = Accepted(
            message=f"revision {plan.revision} ({plan.hash}) is under way", run_id=workflow.info().run_id
        )
        if manifest.spec.paused and not (plan.is_first or plan.is_stable):
            self._pause(Message(by=wanted.by, reason=PAUSED_BY_SPEC))
        self._promote_if_asked(wanted)
        self.journal.show()
        return plan

    async def _observe(self, wanted: ReleaseRequest, asked: RolloutObject) -> Observation:
        """Look at the cluster; what it refuses to show is told while it does."""
        self._commands.failing_since = None
        try:
            while True:
                known, tell = self.journal.refusals(LOOKS), self.journal.news.events(self._commands.target, asked.uid)
                seen = await self._commands.observe(wanted.rollout, known, tell)
                if not seen.failing:
                    return seen
                self.journal.refused(seen.failing, LOOKS)
                self._commands.failing_since = self.journal.failing_since(LOOKS)
                self.journal.show()
        finally:
            self._commands.failing_since = None
            self.journal.refused("", LOOKS)

    async def _refuse(self, asked: RolloutObject, before: Plan | None, why: str) -> None:
        """Say it where it was asked. The version before, if it is on its way, goes back: nobody wants it any more."""
        if before is not None and before.hash != self._keeper.place.stable_hash:
            newer_refused = Aborted(f"the newer version was refused: {why}", ErrorType.INVALID_SPEC)
            await self._abort_release(before, newer_refused)
        self.inbox.refused = why
        self.journal.phase("Degraded", f"{ErrorType.INVALID_SPEC}: {why}", finished=True)
        if asked.uid:
            with suppress(ActivityError):
                await self._commands.refuse(asked, why)

    # ------------------------------------------------------------------------------------------------- the one place

    async def _bring_out(self, plan: Plan) -> ReleaseRequest | None:
        """Take the steps until they are done or something interrupts them; returns the newer version, if one came."""
        waits_for_change = plan.wants_change and not (plan.is_first or plan.is_stable)
        if self.inbox.paused is not None or waits_for_change:  # until then nothing of it is brought out
            self._keeper.move(aborted=True)
        self._keeper.start()
        self._restarts.start()
        try:
            await self._all_the_way(plan)
        except Superseded as superseded:
            return await self._make_way(superseded.newer)
        except Aborted as aborted:
            await shielded(self._abort_release(plan, aborted))
            raise self._failure(plan, aborted) from None
        except asyncio.CancelledError:
            await shielded(self._abort_release(plan, self._cancelled()))
            raise
        self.inbox.closing = "this version is fully promoted; to go back: tidegate undo"
        await shielded(self._become_stable(plan))
        return await self._finish(plan)

    async def _all_the_way(self, plan: Plan) -> None:
        """By its steps, or past them; either may be interrupted."""
        try:
            await self._attempt(self._forward(plan))
        except FullyPromoted:
            await self._skip_to_the_end(plan)

    async def _attempt(self, work: Coroutine[Any, Any, None]) -> None:
        """Race work against everything that may interrupt it.

        The work has come to rest before the interruption is acted on, so no forward write can follow.
        """
        try:
            await race(work, lambda: self._interruption() is not None)
        except GateFailed as failed:
            raise Aborted(str(failed), analysis=failed.analysis.name) from failed
        except FailureError as error:
            raise Aborted(cause_of(error)) from error
        if interruption := self._interruption():
            raise interruption

    def _interruption(self) -> Interrupted | None:
        if self.inbox.abort is not None:
            return Aborted(f"aborted{said(self.inbox.abort)}")
        if self._keeper.failed is not None:
            return Aborted(cause_of(self._keeper.failed))
        if (failed := self._background.failed) is not None:
            return Aborted(str(failed), analysis=failed.analysis.name)
        if self.inbox.newer is not None:
            return Superseded(self.inbox.newer)
        if self.inbox.full is not None:
            return FullyPromoted()
        return None

    # --------------------------------------------------------------------------------------------------------- forward

    async def _forward(self, plan: Plan) -> None:
        """The story of a release that nothing interrupts."""
        await self._holds.over()
        await self._records.open_change(plan)
        self._keeper.move(aborted=False)
        for index in range(plan.first_step, len(plan.steps)):
            if index == plan.background_from:
                self._background.start()
            await self._move_to(plan, index)
            with self.journal.step(index):
                promotes = self.inbox.promotes
                await race(self._take(plan, index), lambda: self.inbox.promotes > promotes)  # noqa: B023
                await self._holds.over()
        await self._holds.over()
        has_everything = plan.gives_everything and self._keeper.is_there
        await self._move_to(plan, len(plan.steps))
        if not has_everything:
            await self._keeper.reached()
        if (bake := plan.bake) is not None:
            await Bake(self.inbox, self.journal, self._keeper, self._background, self._holds).carry_out(bake)

    async def _move_to(self, plan: Plan, index: int) -> None:
        """Stand at a step from here on. Nothing gets 100 % before the background analysis gave its verdict (law 4)."""
        await self._holds.over()
        if plan.exposes_fully(index):
            with self.journal.waiting("the background analysis", until=None, who="its verdict; " + A_PERSON):
                await self._background.settle()
            await self._holds.over()
        self._keeper.move(index=index if plan.manifest.canary.steps else None)
        self.journal.asks_for(plan.weight_at(index))
        if plan.exposes_fully(index) and index < len(plan.steps) - 1:
            self._background.start()

    async def _take(self, plan: Plan, index: int) -> None:
        """One step. Those that only change the shape of the cluster are done when the keeper has reached it."""
        step = plan.steps[index]
        if step.pause is not None:
            await self._pause_step(step.pause.seconds())
        elif step.analysis is not None:
            await self._analyse(plan, index)
        elif step.experiment is not None:
            await self._experiment(plan, index, step.experiment)
        else:
            await self._keeper.reached()

    async def _pause_step(self, seconds: int | None) -> None:
        """Wait for the time of the step, or for a person."""
        if seconds is not None:
            until = workflow.now() + timedelta(seconds=seconds)
            with self.journal.paused("CanaryPauseStep"), self.journal.waiting("the pause", until=until, who=A_PERSON):
                self.journal.show()
                await workflow.sleep(seconds, summary=f"pause of {seconds} s")
                await self._holds.resumed()
            return
        promotes = self.inbox.promotes
        with self.journal.paused("CanaryPauseStep"):
            await self._holds.for_a_person("a pause without duration", lambda: self.inbox.promotes > promotes)
            await self._holds.resumed()

    async def _analyse(self, plan: Plan, index: int) -> None:
        analysis = plan.step_document(index)["analysis"]
        gate = await Gate.open(plan, self.journal, analysis, step=index)
        with self.journal.waiting(f"analysis {gate.reference.name}", until=None, who="its verdict; " + A_PERSON):
            self.journal.show()
            phase = await gate.verdict()
        if phase is Phase.INCONCLUSIVE:
            await self._holds.undecided("InconclusiveAnalysisRun", gate.reference.name)

    async def _experiment(self, plan: Plan, index: int, step: ExperimentStep) -> None:
        """Versions side by side. Both must have their ReplicaSets before any is made from them."""
        await self._keeper.reached()
        undecided = await Experiment(plan, self._keeper, self.journal, index, step).carry_out()
        if undecided:
            await self._holds.undecided("InconclusiveExperiment", undecided)

    # ----------------------------------------------------------------------------------------------------- other turns

    async def _skip_to_the_end(self, plan: Plan) -> None:
        """A person promotes fully: no step, no gate; only the pods are waited for (law 1)."""
        await self._background.cancel()
        self._background = Background(plan, self.journal)
        self.inbox.full = None
        self.journal.skip_steps()
        self._keeper.move(index=plan.last_step, full=True, aborted=False)
        self.journal.asks_for(plan.weight_at(len(plan.steps)))
        try:
            await self._attempt(self._keeper.reached())
        except FullyPromoted:
            await self._skip_to_the_end(plan)

    async def _make_way(self, newer: ReleaseRequest) -> ReleaseRequest:
        """A newer version came: it takes over where this one stands, beginning with its weight, which is 0."""
        self.inbox.newer = self.inbox.full = None
        await self._background.cancel()
        await self._restarts.stop()
        await self._keeper.stop()
        return newer

    # ------------------------------------------------------------------------------------------------------------- end

    async def _become_stable(self, plan: Plan) -> None:
        """The version is the stable one from here on; there is no way back but another release."""
        self.journal.stable(plan.hash)
        why = "Initial deploy" if plan.is_first else f"Completed all {len(plan.steps)} canary steps"
        self.journal.event("RolloutCompleted", f"Rollout completed update to revision {plan.revision}: {why}")
        self._keeper.move(stable_hash=plan.hash)
        await self._keeper.reached()

    async def _finish(self, plan: Plan) -> ReleaseRequest | None:
        """Healthy, with all pods. The old ones stay for the scale-down delay. A newer version waits for neither."""
        if not self._keeper.is_complete:
            self.journal.phase("Progressing", "updated replicas are still becoming available")
            await race(self._keeper.complete(), lambda: self.inbox.newer is not None)
        if self._keeper.is_complete:
            self.journal.phase("Healthy", "", finished=True)
            self._records.healthy(plan)
            count_end("Healthy")
            self.journal.show()
        await race(self._quiet(), lambda: self.inbox.newer is not None)
        await self._follow_ups.leave(lambda: self.inbox.newer is not None)
        await self._restarts.stop()
        await self._keeper.told()
        await self._keeper.stop()
        newer, self.inbox.newer, self.inbox.closing = self.inbox.newer, None, ""
        return newer

    async def _quiet(self) -> None:
        await self._keeper.until_quiet()
        await self._restarts.finished()

    async def _abort_release(self, plan: Plan, cause: Aborted) -> None:
        """Give a version up, and tell people."""
        message = f"Rollout aborted update to revision {plan.revision}: {cause}"
        self.journal.event("RolloutAborted", message, warning=True, analysis=cause.analysis)
        await self._give_up(plan, cause, tell=True)

    async def _give_up(self, plan: Plan, cause: Aborted, *, tell: bool) -> None:
        """Undo: traffic, then scale, then people (law 3)."""
        self.inbox.closing = "this release is being aborted"
        self.inbox.ended = True
        message = f"Rollout aborted update to revision {plan.revision}: {cause}"
        self.journal.abort_cause = str(cause)
        self.journal.asks_for(0)
        self.journal.phase("Degraded", f"{cause.type}: {message}")
        undo = self._undo(plan)
        await undo.restore_traffic()
        self.journal.show()
        await self._background.cancel()
        await undo.follow_up(str(cause) if tell else "", lambda: self.inbox.awaited)
        await self._restarts.stop()
        self.journal.phase("Degraded", f"{cause.type}: {message}{self.journal.complaint()}", finished=True)
        self.journal.show()
        await self._keeper.told()
        await self._keeper.stop()

    def _undo(self, plan: Plan) -> Undo:
        return Undo(plan, self._commands, self._keeper, self.journal, self._follow_ups)

    async def _stay_aborted(self, plan: Plan) -> None:
        """The version was given up before, and people were told; what else the spec says now is carried out."""
        await workflow.wait_condition(workflow.all_handlers_finished)  # whoever asked for it hears of it
        cause = Aborted(plan.request.reason)
        self._keeper.move(aborted=True)
        await shielded(self._give_up(plan, cause, tell=False))
        raise self._failure(plan, cause)

    def _failure(self, plan: Plan, cause: Aborted) -> ApplicationError:
        status = self.journal.status()
        result = describe(plan, status, outcome=cause.type)
        count_end(cause.type)
        return ApplicationError(status.message, result, type=cause.type, non_retryable=True)
