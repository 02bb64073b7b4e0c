"""The last gate: a version that has all of the traffic is measured for a while before it becomes the stable one.

Until then the pods of the version before stay as a step at 100 % leaves them. Whatever ends a release at a step ends it
here, with the same abort.
"""

from __future__ import annotations

from contextlib import suppress

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import PauseReason
    from tidegate.manifests.durations import format_duration
    from tidegate.rollouts.phase import RolloutPhase
    from workflows.gates import Background
    from workflows.handlers import Inbox
    from workflows.holds import Holds
    from workflows.interruptions import race
    from workflows.plan import BakePlan
    from workflows.reconciler import Reconciler
    from workflows.release_status import ReleaseState
    from workflows.waits import AN_OPERATOR


class Bake:
    """The bake of one version. A promote ends it early."""

    def __init__(
        self, inbox: Inbox, state: ReleaseState, reconciler: Reconciler, background: Background, holds: Holds
    ) -> None:
        self._inbox = inbox
        self._state = state
        self._reconciler = reconciler
        self._background = background
        self._holds = holds

    async def carry_out(self, bake: BakePlan) -> None:
        """Measure until the end. Raises `GateFailed`, and the failure of the reconciler."""
        await self._reconciler.reached()
        await self._background.settle()  # one that went on beside steps at 100 %
        await self._holds.over()
        await self._background.cancel()
        promotes = self._inbox.promotes
        try:
            await race(self._watch(bake), lambda: self._inbox.promotes > promotes)
        finally:
            self._state.phase(RolloutPhase.PROGRESSING, "")
        skipped = self._inbox.promotes > promotes
        self._state.event(
            "BakeCompleted", "Rollout bake was ended by an operator" if skipped else "Rollout bake is over"
        )
        await self._background.cancel()
        await self._holds.released()

    async def _watch(self, bake: BakePlan) -> None:
        until, lasts = workflow.now() + bake.duration, format_duration(bake.duration)
        self._background.start_bake(bake.analysis)
        self._state.phase(RolloutPhase.PROGRESSING, f"baking at 100 % until {until:%Y-%m-%d %H:%M:%S} UTC")
        self._state.event("BakeStarted", f"Rollout bakes at 100 % for {lasts}")
        with self._state.waits.on(f"the bake at 100 % ({lasts})", until=until, who="its analysis; " + AN_OPERATOR):
            self._state.publication.show()
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: bool(self._background.inconclusive),
                    timeout=bake.duration,
                    timeout_summary=f"bake of {lasts}",
                )
        await self._holds.released()  # it is watched for as long as it is paused
        with self._state.waits.on("the verdict of the bake", until=None, who="its analysis; " + AN_OPERATOR):
            await self._background.settle()
        if self._background.inconclusive:
            await self._holds.undecided(PauseReason.ANALYSIS, self._background.inconclusive)
