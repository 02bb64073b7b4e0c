"""Undoing a release: what was done is taken back in the order of law 3, and what fails does not stop the rest."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import Compensation
    from workflows.commands import Commands
    from workflows.evidence import incident_request
    from workflows.failures import cause_of
    from workflows.journal import Journal
    from workflows.plan import Plan


class Undo:
    """The compensations of one release."""

    def __init__(self, plan: Plan, commands: Commands, journal: Journal) -> None:
        self._plan = plan
        self._commands = commands
        self._journal = journal
        self._failed: list[str] = []

    async def restore_traffic(self) -> None:
        """All weight on stable, read back. Waits for nothing but Kubernetes and is repeated until it succeeds.

        A first revision has no stable to go back to: its traffic stays where it is.
        """
        plan = self._plan
        if plan.istio is None or plan.is_first:
            return
        await self._carry_out(Compensation.TRAFFIC, self._restore())

    async def take_over(self) -> None:
        """Put back what a release that was stopped from outside left on its way: its own undo never ran (law 3)."""
        plan, found = self._plan, self._plan.seen.traffic
        if plan.istio is None or plan.is_first or found is None or found.canary == 0:
            return
        traffic = await self._commands.restore_stable(plan.routing, plan.seen.stable_hash)
        message = f"Traffic weight updated from {found.canary} to {traffic.canary}: no release stood behind it"
        self._journal.event("TrafficWeightUpdated", message, warning=True)

    async def follow_up(self, cause: str) -> None:
        """Everything after the traffic: the pods' deadline, the people, and at the deadline the pods."""
        plan = self._plan
        if plan.is_first or plan.is_stable:
            await self._carry_out(Compensation.INCIDENT, self._open_incident(cause))
            return
        delay = plan.manifest.canary.abort_scale_down_delay() if plan.istio else timedelta(0)
        at = workflow.now() + delay
        standing = any(s.hash == plan.hash for s in self._journal.status().replica_sets)
        if standing and delay:
            size = next(s.desired for s in self._journal.status().replica_sets if s.hash == plan.hash)
            await self._carry_out(Compensation.SCALE, self._scale_down(size, at), done=False)
        await self._carry_out(Compensation.INCIDENT, self._open_incident(cause))
        if standing:
            if workflow.now() < at:
                with self._journal.waiting("the canary pods' scale-down delay", until=at, who="nobody has to"):
                    await workflow.sleep(at - workflow.now(), summary=f"scale-down delay of {delay} after the abort")
            await self._carry_out(Compensation.SCALE, self._scale_down(0))

    def complaint(self) -> str:
        """`; compensation failed: <which>` when a person is needed, otherwise nothing."""
        return f"; compensation failed: {', '.join(self._failed)}" if self._failed else ""

    async def _restore(self) -> None:
        self._journal.target_weight(0)
        traffic = await self._commands.restore_stable(self._plan.routing, self._plan.seen.stable_hash)
        self._journal.weight(traffic.canary, "back to stable")

    async def _scale_down(self, replicas: int, at: datetime | None = None) -> None:
        scaled = await self._commands.scale_down(self._plan.replica_set, replicas, at)
        gone = {"current": 0} if replicas == 0 else {}  # they are on their way out and get no traffic
        self._journal.replica_set(scaled.model_copy(update=gone))

    async def _open_incident(self, cause: str) -> None:
        self._journal.incident(
            await self._commands.open_incident(incident_request(self._plan, self._journal.status(), cause))
        )

    async def _carry_out(self, name: Compensation, work: Awaitable[None], *, done: bool = True) -> None:
        self._journal.compensation(name, "running")
        try:
            await work
        except (ActivityError, ApplicationError) as error:
            self._failed.append(name)
            self._journal.compensation(name, "failed", cause_of(error))
            self._journal.event("CompensationFailed", f"{name}: {cause_of(error)}", warning=True)
        else:
            self._journal.compensation(name, "done" if done else "running")
