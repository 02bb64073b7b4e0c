"""The records of a release in ServiceNow beside its incident: its change, and the end of earlier incidents."""

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
    """Of one run. Only the opening of a change, for which a Rollout asks, is ever waited for."""

    def __init__(self, state: ReleaseState, follow_ups: FollowUps) -> None:
        self._state = state
        self._follow_ups = follow_ups
        self._opened = 0

    async def open_change(self, plan: Plan) -> None:
        """Before the first step. Without its change a release aborts; while ServiceNow is away it has done nothing."""
        effect = change_opened(plan, self._state.status())
        if effect is None:
            return
        self._opened += 1
        with self._state.waits.on("the change in ServiceNow", until=None, who="ServiceNow; tidegate abort"):
            self._state.publication.show()
            ended = await self._follow_ups.ask(f"change-{self._opened}", effect)
        if ended.state is not EffectState.DONE:
            raise Aborted(f"its change was not opened: {ended.message}")

    def healthy(self, plan: Plan) -> None:
        """The version has all traffic and all pods."""
        if effects := healthy_effects(plan, self._state.status(), workflow.now()):
            self._follow_ups.begin("healthy", *effects)

    def note_superseded(self, before: Plan, plan: Plan) -> None:
        """A newer version took over; steps that were edited are no newer version."""
        outcome = f"superseded by revision {plan.revision}"
        effects = change_closed(before, self._state.status(), workflow.now(), outcome, good=False)
        if effects and before.revision != plan.revision:
            self._follow_ups.begin(f"superseded-{before.revision}", *effects)
