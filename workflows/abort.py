"""Undoing a release: what was done is taken back in the order of law 3, and what fails does not stop the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from tidegate.canary.conditions import Reason
    from tidegate.contract import Compensation, CompensationState, IstioRouting, TrafficState
    from workflows.activity_calls import ActivityCalls
    from workflows.compensations import abort_effects, restored_effect, scaled_effect
    from workflows.failures import cause_of
    from workflows.follow_ups import FollowUps
    from workflows.interruptions import race
    from workflows.plan import Plan
    from workflows.reconciler import Reconciler
    from workflows.release_status import ReleaseState


THE_WAY_BACK = "all traffic on stable"
THE_CLUSTER = "the cluster's worker, which tries until it succeeds"


class AbortHandler:
    """The compensations of one release."""

    def __init__(
        self, plan: Plan, calls: ActivityCalls, reconciler: Reconciler, state: ReleaseState, follow_ups: FollowUps
    ) -> None:
        self._plan = plan
        self._calls = calls
        self._reconciler = reconciler
        self._state = state
        self._follow_ups = follow_ups
        self._restoring: asyncio.Task[None] | None = None

    async def restore_traffic(self) -> None:
        """All weight on stable, read back. Waits for nothing but Kubernetes and is repeated until it succeeds.

        Where the cluster refuses it, people are not to wait for that: it returns then, and `follow_up` waits for the
        end before anything is scaled.
        A pass that is under way is not waited for, as its worker may be dead: the fence of this write turns away what
        it still writes to the routes and Services. The reconciler goes on once that pass, or its heartbeat, is over.
        A first revision has no stable to go back to: its traffic stays where it is. A stable that shrank while the
        canary grew has to grow first: there the reconciler goes back weight by weight.
        """
        plan, routing = self._plan, self._plan.routing
        if plan.is_first or plan.is_stable:
            await self._reconciler.stop()
            self._reconciler.start()  # which still has to tell how it ended
            return
        self._reconciler.move(aborted=True, full=False, index=None if self._reconciler.desired.index is None else 0)
        self._state.publication.rejected("")  # what stood against the way forward
        if routing is not None and not plan.manifest.canary.dynamic_stable_scale:
            self._reconciler.overtake()
            work = self._go_back(routing)
        else:
            await self._reconciler.stop()
            self._reconciler.start()
            work = self._carry_out(Compensation.TRAFFIC, self._walk_back())
        self._restoring = asyncio.create_task(work)
        with self._state.waits.on(THE_WAY_BACK, until=None, who=THE_CLUSTER):
            await workflow.wait_condition(lambda: self._is_back or self._state.publication.failing_since() is not None)

    async def recover(self) -> None:
        """Put back what a release that was stopped from outside left on its way: its own undo never ran (law 3).

        Where stable shrank meanwhile it has to grow first: there it goes from weight to weight. A version that
        Argo's controller was bringing out keeps its traffic: the release goes on with it.
        """
        plan, routing, found = self._plan, self._plan.routing, self._plan.seen.traffic
        if plan.left is not None or routing is None or plan.is_first or plan.manifest.canary.dynamic_stable_scale:
            return
        if found is None or found.canary == 0:
            return
        traffic = await self._put_back(routing)
        await self._reconciler.stop()  # which tells people while that is refused
        message = f"Traffic weight updated from {found.canary} to {traffic.canary}: no release stood behind it"
        self._state.event("TrafficWeightUpdated", message, warning=True)

    async def follow_up(self, cause: str, awaited: Callable[[], bool]) -> None:
        """Everything after the traffic: at their deadline the pods, and, if there is a new `cause`, people and Git.

        Once another release is `awaited` the pods are left to that one, which may need them. People's systems are
        waited for a while, so that the release can say what came of it; they hold nothing else up.
        """
        effects = abort_effects(self._plan, self._state.status(), cause, workflow.now()) if cause else ()
        if effects:
            self._follow_ups.begin("aborted", *effects)
        if not self._is_back:
            self._state.publication.show()
            with self._state.waits.on(THE_WAY_BACK, until=None, who=THE_CLUSTER):
                await workflow.wait_condition(lambda: self._is_back)
            if effects:
                self._follow_ups.begin("restored", restored_effect(self._plan, self._state.status()))
        if not (self._plan.is_first or self._plan.is_stable):
            await self._carry_out(Compensation.SCALE, race(self._scaled_down(), awaited))
            if effects:
                self._follow_ups.begin("scaled", scaled_effect(self._plan, self._state.status()))
        await self._follow_ups.leave(awaited)

    async def _walk_back(self) -> None:
        try:
            await self._reconciler.reached()
        except (ActivityError, ApplicationError):
            if not self._reconciler.is_deleted:
                raise
            if self._plan.routing is not None:  # no stable has to grow any more
                await self._put_back(self._plan.routing)

    async def _scaled_down(self) -> None:
        try:
            await self._reconciler.until_scaled_down()
        except (ActivityError, ApplicationError):
            if not self._reconciler.is_deleted:
                raise

    @property
    def _is_back(self) -> bool:
        """Whether the way back has come to its end, or was none to take."""
        return self._restoring is None or self._restoring.done()

    async def _go_back(self, routing: IstioRouting) -> None:
        stopping = asyncio.create_task(self._reconciler.stop())
        await self._carry_out(Compensation.TRAFFIC, self._put_back(routing, stopping))
        await stopping
        await self._reconciler.stop()  # where it only told
        self._reconciler.start()

    async def _put_back(self, routing: IstioRouting, stopping: asyncio.Task[None] | None = None) -> TrafficState:
        """All weight on stable. While that is refused the reconciler, once it has come to rest, tells people so."""
        known: tuple[str, ...] = ()
        while True:
            traffic = await self._calls.restore_stable(routing, self._plan.seen.stable_hash, known)
            if traffic.routes or not traffic.refused:
                self._state.routed(traffic, "as it was found" if traffic.refused else "back to stable")
            self._state.publication.rejected(traffic.refused, reason=Reason.NOT_ROUTED)
            if not traffic.refused:
                return traffic
            if not known:
                if stopping is not None:
                    await stopping
                self._reconciler.start(moves=False)
            known = (*known, traffic.refused)

    async def _carry_out(self, name: Compensation, work: Awaitable[object]) -> None:
        self._state.compensation(name, CompensationState.RUNNING)
        try:
            await work
        except FailureError as error:
            self._state.compensation(name, CompensationState.FAILED, cause_of(error))
            self._state.event("CompensationFailed", f"{name}: {cause_of(error)}", warning=True)
        else:
            self._state.compensation(name, CompensationState.DONE)
