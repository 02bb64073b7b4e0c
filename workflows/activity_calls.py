"""Activity calls of a release: task queues, timeouts, retries, fences. One method for each command.

Every write carries a fence that the API server's own copy of the object judges, so an abort waits for no forward write
that is under way. A command that must not be left half done (an abort, and a promotion past its point of no return) is
`certain`: it is retried until it succeeds. A worker shows that it lives by heartbeats. A dead or frozen worker is
detected after `HEARTBEAT_TIMEOUT`, and another one takes its work.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityHandle

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import (
        ABORT_PRIORITY,
        BACKGROUND_PRIORITY,
        Activity,
        AwaitChange,
        DesiredState,
        Document,
        Fence,
        Meanwhile,
        Observation,
        ObserveRequest,
        PublishEvents,
        Reconcile,
        Reconciled,
        Rejection,
        RestartedPods,
        RestartPods,
        RestoreStable,
        RolloutObject,
        Routing,
        SelectedStable,
        SelectStable,
        StatusReport,
        Target,
        TrafficState,
        cluster_queue,
    )
    from tidegate.contract.payload import Payload
    from workflows.interruptions import let_go
    from workflows.plan import Plan

WRITE_TIMEOUT = timedelta(seconds=30)
READ_TIMEOUT = timedelta(seconds=60)
HEARTBEAT_TIMEOUT = timedelta(seconds=3)
# Each heartbeat of a wait is a call, and there are many waits. One that is lost with its worker is noticed so late,
# sooner where something is on its way. Messages of operators do not go this way.
AWAIT_TIMEOUT = timedelta(hours=1)
MOVING_HEARTBEAT_TIMEOUT = timedelta(seconds=15)
IDLE_HEARTBEAT_TIMEOUT = timedelta(seconds=60)
FORWARD_TIMEOUT = timedelta(minutes=10)
RESTORES = 3  # at most so many at a time
HEDGE_DELAY = timedelta(seconds=1)
REJECTION_TIMEOUT = timedelta(minutes=1)
FORWARD_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=300), maximum_interval=timedelta(seconds=15))
CERTAIN_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5))
POLL_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), backoff_coefficient=1.0)

Result = TypeVar("Result", bound=Payload)

PUT_BACK = "put all traffic on the stable version"


def pass_summary(plan: Plan, desired: DesiredState) -> str:
    """Words for a reconcile pass, with the number of its step as people see it elsewhere."""
    if desired.aborted:
        return "make the cluster as it was before the canary"
    texts = plan.step_texts
    if desired.index is None or not texts:
        return "make the cluster as the Rollout asks"
    if desired.index >= len(texts):
        return "make the cluster as it is after the last step"
    return f"make the cluster as step {desired.index + 1} asks: {texts[desired.index]}"


class ChangeWatch:
    """A wait for another cluster state than that of `state_digest`. It ends with the change, and is never cancelled."""

    def __init__(self, handle: ActivityHandle[None], state_digest: str) -> None:
        self._handle = handle
        self.state_digest = state_digest
        handle.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())  # read, if only once

    def done(self) -> bool:
        """True when the state changed or the watch failed; the next pass reports the cause of a failure."""
        return self._handle.done()


class ActivityCalls:
    """The activities of one release on one cluster."""

    def __init__(self, cluster: str, target: Target) -> None:
        self._queue = cluster_queue(cluster)
        self.target = target
        self.forward_timeout = FORWARD_TIMEOUT  # how long a forward command may fail before the release gives up on it
        self.failing_since: datetime | None = None
        self._epoch = int(workflow.info().start_time.timestamp() * 1000)
        self._sequence = 0
        self._since = 0  # number of the first write after a pass whose end is not known
        self._seen: dict[str, str] = {}  # by the pass before, where nothing was written since

    def _fence(self) -> Fence:
        self._sequence += 1
        return Fence(epoch=self._epoch, sequence=self._sequence)

    async def observe(
        self, rollout: Document, failing: tuple[str, ...], pending: PublishEvents | None, meanwhile: Meanwhile | None
    ) -> Observation:
        """Read the cluster. Returns a rejection instead when `failing` does not name it; publishes `pending` before."""
        self._seen = {}
        observation: Observation = await workflow.execute_activity(
            Activity.OBSERVE,
            ObserveRequest(target=self.target, rollout=rollout, failing=failing, publish=pending, meanwhile=meanwhile),
            result_type=Observation,
            task_queue=self._queue,
            start_to_close_timeout=READ_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            schedule_to_close_timeout=self._forward_time_left,
            retry_policy=FORWARD_RETRY,
            summary="read the cluster",
        )
        self._note(observation)
        return observation

    async def reconcile(
        self,
        plan: Plan,
        desired: DesiredState,
        traffic: TrafficState | None,
        report: StatusReport,
        *,
        moves: bool = True,
        awaited: bool = False,
    ) -> Reconciled:
        """One pass; `moves` and `awaited` are as in its request.

        A way back, or past the point of no return, is tried for as long as it takes.
        """
        request = Reconcile(
            target=self.target,
            rollout=plan.request.rollout,
            revision=plan.revision,
            desired=desired,
            at=workflow.now(),
            owner_uid=plan.owner_uid,
            traffic=traffic,
            report=report if plan.owner_uid else report.model_copy(update={"unpublished": None}),
            moves=moves,
            fence=self._fence(),
            since=self._since,
            seen=self._seen,
            awaited=awaited,
        )
        self._seen = {}
        write = self._retry_forever if desired.is_certain else self._with_deadline
        try:
            result: Reconciled = await write(Activity.RECONCILE, request, Reconciled, pass_summary(plan, desired))
        except BaseException:
            self._since = self._sequence + 1
            raise
        if request.fence.sequence == self._sequence:
            self._note(result)
        return result

    def _note(self, seen: Observation | Reconciled) -> None:
        """Keep the resource versions that the next pass has to see. Those of a run before a reset do not count."""
        self._seen = seen.seen if seen.run_id == workflow.info().run_id else {}

    def await_change(self, plan: Plan, state_digest: str, *, moving: bool) -> ChangeWatch:
        """Start to wait until the digest changes; `moving` when something is on its way."""
        handle = workflow.start_activity(
            Activity.AWAIT_CHANGE,
            AwaitChange(target=self.target, rollout=plan.request.rollout, state_digest=state_digest, seen=self._seen),
            task_queue=self._queue,
            start_to_close_timeout=AWAIT_TIMEOUT,
            heartbeat_timeout=MOVING_HEARTBEAT_TIMEOUT if moving else IDLE_HEARTBEAT_TIMEOUT,
            retry_policy=POLL_RETRY,
            cancellation_type=ActivityCancellationType.ABANDON,
            priority=BACKGROUND_PRIORITY,
            summary="wait until the cluster changes",
        )
        return ChangeWatch(handle, state_digest)

    async def refuse(self, rollout: RolloutObject, message: str) -> None:
        """Write to the object why its spec is not released. Nothing depends on it, so it is given up soon."""
        self._seen = {}
        await workflow.execute_activity(
            Activity.REFUSE,
            Rejection(target=self.target, uid=rollout.uid, generation=rollout.generation, message=message),
            result_type=RolloutObject,
            task_queue=self._queue,
            start_to_close_timeout=WRITE_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            schedule_to_close_timeout=REJECTION_TIMEOUT,
            retry_policy=FORWARD_RETRY,
            summary="write to the Rollout why it is refused",
        )

    async def restart_pods(self, plan: Plan, at: datetime, failing: tuple[str, ...]) -> RestartedPods:
        """Replace the pods created before `at`. Returns a rejection instead when `failing` does not name it."""
        restarted: RestartedPods = await workflow.execute_activity(
            Activity.RESTART_PODS,
            RestartPods(target=self.target, rollout=plan.request.rollout, at=at, failing=failing),
            result_type=RestartedPods,
            task_queue=self._queue,
            start_to_close_timeout=READ_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=POLL_RETRY,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary="replace pods older than spec.restartAt",
        )
        return restarted

    async def restore_stable(self, routing: Routing, stable_hash: str, failing: tuple[str, ...] = ()) -> TrafficState:
        """Put all traffic on stable, until it succeeds (law 3). Returns a rejection that `failing` does not name."""
        request = RestoreStable(
            target=self.target, routing=routing, stable_hash=stable_hash, fence=self._fence(), failing=failing
        )
        return await self._hedged(Activity.RESTORE_STABLE, request, TrafficState)

    async def select_stable(self, service: str, plan: Plan) -> SelectedStable:
        """Move the active Service to the stable version (law 3). Returns that it is not done where passes have to."""
        stable_hash = plan.seen.stable_hash
        names = (each.name for each in plan.seen.replica_sets if each.hash == stable_hash)
        request = SelectStable(
            target=self.target,
            service=service,
            stable_hash=stable_hash,
            replica_set=next(names, ""),
            fence=self._fence(),
        )
        return await self._hedged(Activity.SELECT_STABLE, request, SelectedStable)

    async def _hedged(self, name: Activity, request: Payload, result_type: type[Result]) -> Result:
        """Carry out the traffic part of an abort.

        A call without an answer may be with a worker that is dead or frozen. A second call starts beside it, long
        before the heartbeat timeout. All write the same with the same fence, and the first answer counts.
        """
        attempts: list[asyncio.Task[Result]] = []
        while len(attempts) < RESTORES:
            attempts.append(asyncio.create_task(self._retry_forever(name, request, result_type, PUT_BACK)))
            timeout = HEDGE_DELAY if len(attempts) < RESTORES else None
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: any(task.done() for task in attempts),
                    timeout=timeout,
                    timeout_summary="until another worker is asked as well",
                )
                break
        first = next(task for task in attempts if task.done())
        for task in attempts:
            let_go(task)
        return first.result()

    @property
    def _forward_time_left(self) -> timedelta:
        """Time that a forward command may still fail: earlier rejections count, whatever was rejected."""
        spent = workflow.now() - self.failing_since if self.failing_since is not None else timedelta()
        return max(self.forward_timeout - spent, timedelta(seconds=1))

    async def _with_deadline(self, name: Activity, request: Any, result_type: type[Any] | None, summary: str) -> Any:
        return await workflow.execute_activity(
            name,
            request,
            result_type=result_type,
            task_queue=self._queue,
            start_to_close_timeout=WRITE_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            schedule_to_close_timeout=self._forward_time_left,
            retry_policy=FORWARD_RETRY,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=summary,
        )

    async def _retry_forever(self, name: Activity, request: Any, result_type: type[Any] | None, summary: str) -> Any:
        return await workflow.execute_activity(
            name,
            request,
            result_type=result_type,
            task_queue=self._queue,
            start_to_close_timeout=WRITE_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=CERTAIN_RETRY,
            priority=ABORT_PRIORITY,
            summary=summary,
        )
