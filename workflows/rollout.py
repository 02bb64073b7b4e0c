"""The life of a release, from the request to its end, in order.

Observe, check; carry out the steps of a canary or the stages of blue-green; bake; promote; finish. `_attempt` is the
one place where an interruption counts. An abort puts everything back: traffic first, and nothing stops it half way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import (
        ROLLOUT_WORKFLOW,
        Accepted,
        ErrorType,
        Message,
        ObjectField,
        ReleaseRequest,
        ReleaseResult,
        RolloutObject,
        Target,
    )
    from tidegate.manifests.rollout import BlueGreen
    from workflows.abort import AbortHandler
    from workflows.active_release import ActiveRelease
    from workflows.activity_calls import ActivityCalls
    from workflows.admission import check, check_rollout, describe, parse_request, read_manifest
    from workflows.bake import Bake
    from workflows.blue_green import BlueGreenStages
    from workflows.canary import CanarySteps
    from workflows.change_records import ChangeRecords
    from workflows.failures import cause_of
    from workflows.follow_ups import FollowUps
    from workflows.gates import GateFailed, cancel_orphaned_analyses
    from workflows.handlers import MessageHandlers, attribution
    from workflows.interruptions import (
        Aborted,
        FullyPromoted,
        Interrupted,
        Superseded,
        cancellation,
        race,
        raise_if_cancelled,
        shielded,
    )
    from workflows.metrics import count_end, count_start
    from workflows.notifier import Notifier
    from workflows.observation import observe_cluster
    from workflows.plan import Plan
    from workflows.promotion import Promotion


@workflow.defn(name=ROLLOUT_WORKFLOW)
class Rollout(MessageHandlers):
    """One release of a Rollout; the message handlers are inherited."""

    @workflow.init
    def __init__(self, request: Any = None, *more: Any) -> None:
        super().__init__()
        self._follow_ups = FollowUps(self.state)
        self._notifier = Notifier(self.state, self._follow_ups)
        self._records = ChangeRecords(self.state, self._follow_ups)

    @workflow.run
    async def run(self, request: Any = None, *more: Any) -> ReleaseResult:
        """Bring one version out, or put everything back and fail with the cause."""
        active: ActiveRelease | None = None
        try:
            active = await self._admit(request)
            cancel_orphaned_analyses(active.plan)
            await shielded(self._abort_handler(active).recover())
            if active.plan.request.aborted:
                await self._keep_aborted(active)
            while newer := await self._run_version(active):
                before, active = active, await self._admit(newer, before=active)
                self._records.note_superseded(before.plan, active.plan)
        except (FailureError, asyncio.CancelledError) as error:
            # Not a mistake in this code: that has to fail its task at once, where people see it, until it is mended.
            try:
                await self._abort_unfinished(active, error)
            except (FailureError, asyncio.CancelledError):
                await self._close()
                raise
            await self._close()
            raise
        await self._close()
        return describe(active.plan, self.state.status())

    async def _abort_unfinished(self, active: ActiveRelease | None, error: BaseException) -> None:
        """Abort a version after an unexpected failure: no release ends with traffic on its canary (law 3)."""
        over = self.state.status().finished_at is not None
        if active is None or over or active.is_stable:
            return
        cancelled = isinstance(error, asyncio.CancelledError)
        cause = cancellation() if cancelled else Aborted(f"{type(error).__name__}: {cause_of(error)}")
        await shielded(self._abort_release(active, cause))
        if not cancelled:
            raise self._failure(active.plan, cause) from error

    async def _close(self) -> None:
        """Answer all messages before the end; follow-ups go on without the release."""
        self.inbox.ended = True
        self.state.publication.show_end()
        await self._follow_ups.started()
        await workflow.wait_condition(workflow.all_handlers_finished)

    # ----------------------------------------------------------------------------------------------------- before it

    async def _admit(self, request: Any, before: ActiveRelease | None = None) -> ActiveRelease:
        """Read, observe and check; nothing is written before this has succeeded."""
        rollout, calls = RolloutObject(), before.calls if before is not None else None
        try:
            release = parse_request(request)
            check_rollout(release, workflow.info().workflow_id)
            rollout = self.state.note_request(release)
            self.inbox.gives_way = False
            if calls is None:
                calls = ActivityCalls(release.cluster, Target(namespace=release.namespace, name=release.name))
            manifest = read_manifest(release)
            calls.forward_timeout = manifest.spec.progress_deadline()
            seen = await observe_cluster(calls, self.state, release, rollout)
            plan, warnings = check(release, manifest, seen)
            warnings += self._notifier.subscribe(plan.manifest.annotations)
        except (ApplicationError, ActivityError) as error:
            raise_if_cancelled()  # the look ends so, too, and then nothing speaks against the version
            await shielded(self._refuse(rollout, before, calls, cause_of(error)))
            raise ApplicationError(self.inbox.refused, type=ErrorType.INVALID_SPEC, non_retryable=True) from error
        active = ActiveRelease.of(plan, calls, self.inbox, self.state)
        self.state.start_version(plan.request, plan.desired, plan.step_texts, warnings, seen)
        self.state.revision(plan.revision, seen.stable_hash)
        self.state.replica_sets(seen.replica_sets, plan.replicas)
        self.state.event("RolloutUpdated", f"Rollout updated to revision {plan.revision}")
        if plan.handover is not None:
            self.state.steps.handed_over(plan.handover.step)
        self.inbox.admitted = Accepted(
            message=f"revision {plan.revision} ({plan.hash}) is under way", run_id=workflow.info().run_id
        )
        if manifest.spec.paused and not (plan.is_first or plan.is_stable):
            self._pause(Message(by=release.by, reason=ObjectField.PAUSED, field=ObjectField.PAUSED))
        self._promote_if_requested(release)
        self.state.publication.show()
        count_start()
        return active

    async def _refuse(
        self, rollout: RolloutObject, before: ActiveRelease | None, calls: ActivityCalls | None, why: str
    ) -> None:
        """Reject a version in its object and in the inbox, and abort the version before it if that is not stable."""
        if before is not None and not before.is_stable:
            newer_refused = Aborted(f"the newer version was refused: {why}", ErrorType.INVALID_SPEC)
            await self._abort_release(before, newer_refused)
        self.inbox.refused = why
        self.state.refuse(why)
        if rollout.uid and calls is not None:
            with suppress(ActivityError):
                await calls.refuse(rollout, why)

    # ------------------------------------------------------------------------------------------------- the one place

    async def _run_version(self, active: ActiveRelease) -> ReleaseRequest | None:
        """Run the steps until they are done or interrupted. Returns the newer version, if one came."""
        plan = active.plan
        waits_for_change = plan.wants_change and not (plan.is_first or plan.is_stable)
        held = self.inbox.paused is not None or waits_for_change
        if held and plan.handover is None:
            self._strategy(active).hold(waits_for_change=waits_for_change)
        active.reconciler.start()
        active.restarts.start()
        try:
            await self._run_steps(active)
        except Superseded as superseded:
            return await self._supersede(active, superseded.newer)
        except Aborted as aborted:
            await shielded(self._abort_release(active, aborted))
            raise self._failure(plan, aborted) from None
        except asyncio.CancelledError:
            await shielded(self._abort_release(active, cancellation()))
            raise
        return await self._promotion(active).carry_out()

    async def _run_steps(self, active: ActiveRelease) -> None:
        """Run the steps, or skip them for a full promotion; either may be interrupted."""
        try:
            await self._attempt(active, self._forward(active))
        except FullyPromoted:
            await self._skip_to_the_end(active)

    async def _attempt(self, active: ActiveRelease, work: Coroutine[Any, Any, None]) -> None:
        """Race work against everything that may interrupt it.

        The work has come to rest before the interruption is acted on, so no forward write can follow.
        """
        try:
            await race(work, lambda: self._interruption(active) is not None)
        except GateFailed as failed:
            raise Aborted(str(failed), analysis=failed.analysis.name) from failed
        except FailureError as error:
            raise Aborted(cause_of(error)) from error
        if interruption := self._interruption(active):
            raise interruption

    def _interruption(self, active: ActiveRelease) -> Interrupted | None:
        if self.inbox.abort is not None:
            return Aborted(f"aborted{attribution(self.inbox.abort)}")
        if active.reconciler.failed is not None:
            return Aborted(cause_of(active.reconciler.failed))
        if (failed := active.background.failed) is not None:
            return Aborted(str(failed), analysis=failed.analysis.name)
        if self.inbox.newer is not None:
            return Superseded(self.inbox.newer)
        if self.inbox.full is not None:
            return FullyPromoted()
        return None

    # --------------------------------------------------------------------------------------------------------- forward

    async def _forward(self, active: ActiveRelease) -> None:
        """Run a release that nothing interrupts."""
        plan = active.plan
        await active.holds.over()
        await self._records.open_change(plan)
        await self._strategy(active).carry_out()
        if (bake := plan.bake) is not None:
            await Bake(self.inbox, self.state, active.reconciler, active.background, active.holds).carry_out(bake)

    def _strategy(self, active: ActiveRelease) -> CanarySteps | BlueGreenStages:
        """The way on which the version gets its traffic; all else is the same for every strategy."""
        strategy = active.plan.manifest.strategy
        if isinstance(strategy, BlueGreen):
            return BlueGreenStages(active, strategy, self.inbox, self.state)
        return CanarySteps(active, self.inbox, self.state)

    # ----------------------------------------------------------------------------------------------------- other turns

    async def _skip_to_the_end(self, active: ActiveRelease) -> None:
        """Promote fully: no step and no gate, only the pods are awaited (law 1)."""
        await active.background.discard()
        self.inbox.full = None
        self.state.steps.skip(in_full=True)
        self._strategy(active).skip_to_the_end()
        try:
            await self._attempt(active, active.reconciler.reached())
        except FullyPromoted:
            await self._skip_to_the_end(active)

    async def _supersede(self, active: ActiveRelease, newer: ReleaseRequest) -> ReleaseRequest:
        """Stop this version. The newer one takes over its state, starting with a weight of 0."""
        self.inbox.newer, self.inbox.full, self.inbox.skips = None, None, False
        await active.background.cancel()
        await active.restarts.stop()
        await active.reconciler.stop()
        return newer

    # ------------------------------------------------------------------------------------------------------- given up

    async def _abort_release(self, active: ActiveRelease, cause: Aborted) -> None:
        """Abort a version and notify."""
        self.state.event("RolloutAborted", self.state.abort_text(str(cause)), warning=True, analysis=cause.analysis)
        await self._abort_version(active, cause, notify=True)

    async def _abort_version(self, active: ActiveRelease, cause: Aborted, *, notify: bool) -> None:
        """Abort: traffic, then scale, then notifications (law 3)."""
        self.inbox.closing = "this release is being aborted"
        self.inbox.ended = True
        self.state.abort(cause.type, str(cause))
        handler = self._abort_handler(active)
        await handler.restore_traffic()
        self.state.publication.show()
        await active.background.cancel()
        await handler.follow_up(str(cause) if notify else "", lambda: self.inbox.awaited)
        await active.restarts.stop()
        self.state.aborted()
        self.state.publication.show()
        await active.reconciler.published()
        await active.reconciler.stop()

    def _promotion(self, active: ActiveRelease) -> Promotion:
        return Promotion(active, self.inbox, self.state, self._follow_ups, self._records)

    def _abort_handler(self, active: ActiveRelease) -> AbortHandler:
        return AbortHandler(active.plan, active.calls, active.reconciler, self.state, self._follow_ups)

    async def _keep_aborted(self, active: ActiveRelease) -> None:
        """Keep a version aborted that was aborted before; the rest of its spec is carried out."""
        await workflow.wait_condition(workflow.all_handlers_finished)  # so that its request is answered
        cause = Aborted(active.plan.request.reason)
        active.reconciler.move(aborted=True)
        await shielded(self._abort_version(active, cause, notify=False))
        raise self._failure(active.plan, cause)

    def _failure(self, plan: Plan, cause: Aborted) -> ApplicationError:
        status = self.state.status()
        result = describe(plan, status, outcome=cause.type)
        count_end(cause.type)
        return ApplicationError(status.message, result, type=cause.type, non_retryable=True)
