"""Promotion, the end of a successful release: its version becomes stable, and the old pods are scaled down.

It is the counterpart of the abort: from here on only another release goes back.
"""

from __future__ import annotations

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import ReleaseRequest, StepState
    from tidegate.rollouts.phase import OLD_PODS, STILL_COMING, RolloutPhase
    from workflows.active_release import ActiveRelease
    from workflows.change_records import ChangeRecords
    from workflows.follow_ups import FollowUps
    from workflows.handlers import Inbox
    from workflows.interruptions import race, shielded
    from workflows.metrics import count_end
    from workflows.release_status import ReleaseState


class Promotion:
    """The promotion of one version, which has all of the traffic."""

    def __init__(
        self,
        active: ActiveRelease,
        inbox: Inbox,
        state: ReleaseState,
        follow_ups: FollowUps,
        records: ChangeRecords,
    ) -> None:
        self._plan = active.plan
        self._inbox = inbox
        self._state = state
        self._reconciler = active.reconciler
        self._restarts = active.restarts
        self._follow_ups = follow_ups
        self._records = records

    async def carry_out(self) -> ReleaseRequest | None:
        """Promote. Returns the newer version, if one came; raises a cancellation when no pod needs it any more."""
        self._inbox.closing = "this version is fully promoted; to go back: tidegate undo"
        try:
            await shielded(self._become_stable())
            return await self._finish()
        except asyncio.CancelledError:
            await shielded(self._let_old_pods_go())
            raise

    async def _become_stable(self) -> None:
        plan = self._plan
        status = self._state.status()
        skipped = any(step.state is StepState.SKIPPED for step in status.steps)
        why = plan.promotion_reason(in_full=status.promoted_full, skipped=skipped)
        self._state.promoted(plan.hash, why)
        self._state.event("RolloutCompleted", f"Rollout completed update to revision {plan.revision}: {why}")
        self._reconciler.move(stable_hash=plan.hash)
        await self._reconciler.reached()

    async def _finish(self) -> ReleaseRequest | None:
        """Wait for all pods, and with a router for the scale-down delay of the old ones. A newer version ends that."""
        if not self._reconciler.is_complete:
            missing = OLD_PODS if self._reconciler.has_all_pods else STILL_COMING
            self._state.phase(RolloutPhase.PROGRESSING, missing)
            await race(self._reconciler.complete(), lambda: self._inbox.newer is not None)
        if self._reconciler.is_complete:
            self._state.phase(RolloutPhase.HEALTHY, "", finished=True)
            self._records.healthy(self._plan)
            count_end(RolloutPhase.HEALTHY)
            self._state.publication.show()
        await race(self._scaled_down(), lambda: self._inbox.newer is not None)
        await self._follow_ups.detach(lambda: self._inbox.newer is not None)
        await self._restarts.stop()
        await self._reconciler.published()
        await self._reconciler.stop()
        newer, self._inbox.newer, self._inbox.closing = self._inbox.newer, None, ""
        return newer

    async def _let_old_pods_go(self) -> None:
        """Wait for the scale-down of the old pods after a cancellation, unless another release takes them over."""
        self._inbox.ended = True
        if self._reconciler.is_there:
            await race(self._scaled_down(), lambda: self._inbox.awaited)
        await self._restarts.stop()
        await self._reconciler.stop()

    async def _scaled_down(self) -> None:
        await self._reconciler.until_scaled_down()
        await self._restarts.finished()
