"""Records of a release in ServiceNow beside its incident: its change, and the resolution of earlier incidents."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import EffectState
    from workflows.compensations import change_closed, change_opened, healthy_effects
    from workflows.follow_ups import FollowUps
    from workflows.interruptions import Aborted
    from workflows.plan import Plan
    from workflows.release_status import ReleaseState


class ChangeRecords:
    """The records of one run. Only the opening of a change is ever awaited, and only where a Rollout wants one."""

    def __init__(self, state: ReleaseState, follow_ups: FollowUps) -> None:
        self._state = state
        self._follow_ups = follow_ups
        self._opened = 0

    async def open_change(self, plan: Plan) -> None:
        """Open the change before the first step, and wait for it. Raises `Aborted` when it was not opened."""
        effect = change_opened(plan, self._state.status())
        if effect is None:
            return
        self._opened += 1
        with self._state.waits.on("the change in ServiceNow", until=None, who="ServiceNow; tidegate abort"):
            self._state.publication.show()
            ended = await self._follow_ups.run_effect(f"change-{self._opened}", effect)
        if ended.state is not EffectState.DONE:
            raise Aborted(f"its change was not opened: {ended.message}")

    def healthy(self, plan: Plan) -> None:
        """Start the effects of a version that has all traffic and all pods."""
        if effects := healthy_effects(plan, self._state.status(), workflow.now()):
            self._follow_ups.start("healthy", *effects)

    def note_superseded(self, before: Plan, plan: Plan) -> None:
        """Close the change of a superseded version; edited steps alone make no newer version."""
        outcome = f"superseded by revision {plan.revision}"
        effects = change_closed(before, self._state.status(), workflow.now(), outcome, good=False)
        if effects and before.revision != plan.revision:
            self._follow_ups.start(f"superseded-{before.revision}", *effects)
