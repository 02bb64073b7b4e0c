"""Undoing a release: what was done is taken back in the order of law 3, and what fails does not stop the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import Compensation, TrafficState
    from workflows.aftermath import abort_effects, restored_effect, scaled_effect
    from workflows.commands import Commands
    from workflows.failures import cause_of
    from workflows.follow_ups import FollowUps
    from workflows.interruptions import race
    from workflows.journal import Journal
    from workflows.keeper import Keeper
    from workflows.plan import Plan


THE_WAY_BACK = "all traffic on stable"
THE_CLUSTER = "the cluster's worker, which tries until it succeeds"


class Undo:
    """The compensations of one release."""

    def __init__(self, plan: Plan, commands: Commands, keeper: Keeper, journal: Journal, follow_ups: FollowUps) -> None:
        self._plan = plan
        self._commands = commands
        self._keeper = keeper
        self._journal = journal
        self._follow_ups = follow_ups
        self._restoring: asyncio.Task[None] | None = None

    async def restore_traffic(self) -> None:
        """All weight on stable, read back. Waits for nothing but Kubernetes and is repeated until it succeeds.

        Where the cluster refuses it, people are not to wait for that: it returns then, and `follow_up` waits for the
        end before anything is scaled.
        A pass that is under way is not waited for, as its worker may be dead: the fence of this write turns away what
        it still writes to the routes and Services. The keeper goes on once that pass has ended, or its heartbeats have.
        A first revision has no stable to go back to: its traffic stays where it is. A stable that shrank while the
        canary grew has to grow first: there the keeper goes back weight by weight.
        """
        plan = self._plan
        if plan.is_first or plan.is_stable:
            await self._keeper.stop()
            self._keeper.start()  # which still has to tell how it ended
            return
        self._keeper.move(aborted=True, full=False, index=None if self._keeper.place.index is None else 0)
        self._journal.refused("")  # what stood against the way forward
        if plan.istio is not None and not plan.manifest.canary.dynamic_stable_scale:
            self._keeper.overtake()
            work = self._go_back()
        else:
            await self._keeper.stop()
            self._keeper.start()
            work = self._carry_out(Compensation.TRAFFIC, self._walk_back())
        self._restoring = asyncio.create_task(work)
        with self._journal.waiting(THE_WAY_BACK, until=None, who=THE_CLUSTER):
            await workflow.wait_condition(lambda: self._is_back or self._journal.failing_since() is not None)

    async def take_over(self) -> None:
        """Put back what a release that was stopped from outside left on its way: its own undo never ran (law 3).

        Where stable shrank meanwhile it has to grow first: the keeper goes from weight to weight there.
        """
        plan, found = self._plan, self._plan.seen.traffic
        if plan.istio is None or plan.is_first or plan.manifest.canary.dynamic_stable_scale:
            return
        if found is None or found.canary == 0:
            return
        traffic = await self._put_back()
        await self._keeper.stop()  # which tells people while that is refused
        message = f"Traffic weight updated from {found.canary} to {traffic.canary}: no release stood behind it"
        self._journal.event("TrafficWeightUpdated", message, warning=True)

    async def follow_up(self, cause: str, awaited: Callable[[], bool]) -> None:
        """Everything after the traffic: at their deadline the pods, and, if there is a new `cause`, people and Git.

        Once another release is `awaited` the pods are left to that one, which may need them. People's systems are
        waited for a while, so that the release can say what came of it; they hold nothing else up.
        """
        effects = abort_effects(self._plan, self._journal.status(), cause, workflow.now()) if cause else ()
        if effects:
            self._follow_ups.begin("aborted", *effects)
        if not self._is_back:
            self._journal.show()
            with self._journal.waiting(THE_WAY_BACK, until=None, who=THE_CLUSTER):
                await workflow.wait_condition(lambda: self._is_back)
            if effects:
                self._follow_ups.begin("restored", restored_effect(self._plan, self._journal.status()))
        if not (self._plan.is_first or self._plan.is_stable):
            await self._carry_out(Compensation.SCALE, race(self._quiet(), awaited))
            if effects:
                self._follow_ups.begin("scaled", scaled_effect(self._plan, self._journal.status()))
        await self._follow_ups.leave(awaited)

    async def _walk_back(self) -> None:
        try:
            await self._keeper.reached()
        except (ActivityError, ApplicationError):
            if not self._keeper.is_deleted:
                raise
            if self._plan.istio is not None:  # no stable has to grow any more
                await self._put_back()

    async def _quiet(self) -> None:
        try:
            await self._keeper.until_quiet()
        except (ActivityError, ApplicationError):
            if not self._keeper.is_deleted:
                raise

    @property
    def _is_back(self) -> bool:
        """Whether the way back has come to its end, or was none to take."""
        return self._restoring is None or self._restoring.done()

    async def _go_back(self) -> None:
        stopping = asyncio.create_task(self._keeper.stop())
        await self._carry_out(Compensation.TRAFFIC, self._put_back(stopping))
        await stopping
        await self._keeper.stop()  # where it only told
        self._keeper.start()

    async def _put_back(self, stopping: asyncio.Task[None] | None = None) -> TrafficState:
        """All weight on stable. While that is refused the keeper, once it has come to rest, tells people so."""
        known: tuple[str, ...] = ()
        while True:
            traffic = await self._commands.restore_stable(self._plan.routing, self._plan.seen.stable_hash, known)
            if traffic.routes or not traffic.refused:
                self._journal.routed(traffic, "as it was found" if traffic.refused else "back to stable")
            self._journal.refused(traffic.refused)
            if not traffic.refused:
                return traffic
            if not known:
                if stopping is not None:
                    await stopping
                self._keeper.start(moves=False)
            known = (*known, traffic.refused)

    async def _carry_out(self, name: Compensation, work: Awaitable[object]) -> None:
        self._journal.compensation(name, "running")
        try:
            await work
        except FailureError as error:
            self._journal.compensation(name, "failed", cause_of(error))
            self._journal.event("CompensationFailed", f"{name}: {cause_of(error)}", warning=True)
        else:
            self._journal.compensation(name, "done")
