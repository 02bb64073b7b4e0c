"""Abort of a release: the compensations run in the order of law 3, and a failure of one does not stop the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import Compensation, CompensationState, Routing, TrafficState
    from tidegate.rollouts.conditions import Reason
    from workflows.activity_calls import ActivityCalls
    from workflows.compensations import abort_effects, restored_effect, scaled_effect
    from workflows.failures import cause_of
    from workflows.follow_ups import FollowUps
    from workflows.interruptions import race
    from workflows.metrics import observe_way_back
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
        """Put all weight on stable and read it back. Waits for nothing but Kubernetes and repeats until it succeeds.

        Returns early while the cluster rejects the write, so that notifications do not wait. `follow_up` then waits for
        the end before anything is scaled.

        A pass that is under way is not awaited, as its worker may be dead. The fence of this write rejects later writes
        of that pass to routes and Services. The reconciler goes on when that pass, or its heartbeat, is over.

        A first revision has no stable: its traffic stays as it is. A stable that shrank while the canary grew has to
        grow first: there the reconciler goes back weight by weight. For a canary without a router, too, it is the
        reconciler that points the Services back.
        """
        plan, routing = self._plan, self._plan.routing
        if plan.is_first or plan.is_stable:
            await self._reconciler.stop()
            self._reconciler.start()  # which still has to tell how it ended
            return
        index = None if self._reconciler.desired.index is None else 0
        self._reconciler.move(aborted=True, full=False, promoting=False, held=False, index=index)
        self._state.publication.rejected("")  # what stood against the way forward
        if plan.active_service:
            self._reconciler.overtake()
            work = self._go_back(self._select_stable)
        elif routing is not None and not plan.manifest.grows_stable_first:
            self._reconciler.overtake()
            work = self._go_back(partial(self._put_back, routing))
        else:
            await self._reconciler.stop()
            self._reconciler.start()
            work = self._carry_out(Compensation.TRAFFIC, self._walk_back())
        self._restoring = asyncio.create_task(work)
        with self._state.waits.on(THE_WAY_BACK, until=None, who=THE_CLUSTER):
            await workflow.wait_condition(lambda: self._is_back or self._state.publication.failing_since() is not None)

    async def recover(self) -> None:
        """Restore the traffic that a terminated release left on its canary: its own abort never ran (law 3).

        A stable that shrank meanwhile has to grow first: there the reconciler goes from weight to weight. A version
        that Argo's controller was bringing out keeps its traffic: the release goes on with it.
        """
        plan, routing, found = self._plan, self._plan.routing, self._plan.seen.traffic
        if plan.handover is not None or routing is None or plan.is_first or plan.manifest.grows_stable_first:
            return
        if found is None or found.canary == 0:
            return
        traffic = await self._put_back(routing)
        await self._reconciler.stop()  # which tells people while that is refused
        message = f"Traffic weight updated from {found.canary} to {traffic.canary}: no release stood behind it"
        self._state.event("TrafficWeightUpdated", message, warning=True)

    async def follow_up(self, cause: str, awaited: Callable[[], bool]) -> None:
        """Run the rest of the abort: pods at their deadline and, for a new `cause`, incident, revert and notifications.

        Once another release is `awaited` it gets the pods, as it may need them. Outside systems are awaited for a
        limited time, so that the status can show the results. They delay nothing else.
        """
        effects = abort_effects(self._plan, self._state.status(), cause, workflow.now()) if cause else ()
        if effects:
            self._follow_ups.start("aborted", *effects)
        if not self._is_back:
            self._state.publication.show()
            with self._state.waits.on(THE_WAY_BACK, until=None, who=THE_CLUSTER):
                await workflow.wait_condition(lambda: self._is_back)
            if effects:
                self._follow_ups.start("restored", restored_effect(self._plan, self._state.status()))
        if not (self._plan.is_first or self._plan.is_stable):
            await self._carry_out(Compensation.SCALE, race(self._scaled_down(), awaited))
            if effects:
                self._follow_ups.start("scaled", scaled_effect(self._plan, self._state.status()))
        await self._follow_ups.detach(awaited)

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
        """True when the traffic is restored, or never had to be."""
        return self._restoring is None or self._restoring.done()

    async def _go_back(self, put_back: Callable[[asyncio.Task[None]], Awaitable[object]]) -> None:
        """Put the traffic back by a call of its own, beside the end of the pass that is under way."""
        stopping = asyncio.create_task(self._reconciler.stop())
        await self._carry_out(Compensation.TRAFFIC, put_back(stopping))
        await stopping
        await self._reconciler.stop()  # where it had to do it, or only published
        self._reconciler.start()

    async def _select_stable(self, stopping: asyncio.Task[None]) -> None:
        """Point `activeService` at the stable version. Where that cannot be done now, the passes do it once it can."""
        selected = await self._calls.select_stable(self._plan.active_service, self._plan)
        if selected.done:
            self._state.selected_stable(selected.before, self._plan.seen.stable_hash)
            return
        await stopping
        self._reconciler.start()
        await self._walk_back()

    async def _put_back(self, routing: Routing, stopping: asyncio.Task[None] | None = None) -> TrafficState:
        """Put all weight on stable. While that is rejected, the reconciler publishes the reason once it is stopped."""
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
            if name is Compensation.TRAFFIC:
                observe_way_back(self._state.status())
