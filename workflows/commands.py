"""How a release asks for activities: task queues, timeouts, retries, fences. One method for each command.

Forward writes are cancelled with WAIT_CANCELLATION_COMPLETED, so that none lands after the abort that cancelled it, and
they carry a fence for the case that the worker itself was cut off. What must not be left half done (an undo, and a
promotion past its point of no return) is `certain`: it is retried for as long as it takes.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import (
        FOLLOW_UP_QUEUE,
        Activity,
        AwaitReplicaSet,
        CreateReplicaSet,
        Document,
        Fence,
        IncidentRef,
        IncidentRequest,
        Istio,
        MarkStable,
        Observation,
        ObserveRequest,
        PointServices,
        PointSubsets,
        PublishStatus,
        ReplicaSetState,
        RestoreStable,
        RetireReplicaSets,
        RolloutObject,
        ScaleReplicaSet,
        ShiftTraffic,
        Target,
        TrafficState,
        cluster_queue,
    )

WRITE_TIMEOUT = timedelta(seconds=30)
LOOK_TIMEOUT = timedelta(seconds=60)
HEARTBEAT_TIMEOUT = timedelta(seconds=10)
FOLLOW_UP_TIMEOUT = timedelta(minutes=15)
FORWARD_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=300), maximum_interval=timedelta(seconds=15))
CERTAIN_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5))
PUBLISH_RETRY = RetryPolicy(maximum_attempts=3)


class Commands:
    """The activities of one release on one cluster."""

    def __init__(self, cluster: str, target: Target, patience: timedelta) -> None:
        """`patience` is how long a forward command may fail before the release gives up on it."""
        self._queue = cluster_queue(cluster)
        self._target = target
        self._patience = patience
        self._epoch = int(workflow.info().start_time.timestamp() * 1000)
        self._sequence = 0

    def _fence(self) -> Fence:
        self._sequence += 1
        return Fence(epoch=self._epoch, sequence=self._sequence)

    async def observe(self, rollout: Document) -> Observation:
        """Look at the cluster."""
        observation: Observation = await workflow.execute_activity(
            Activity.OBSERVE,
            ObserveRequest(target=self._target, rollout=rollout),
            result_type=Observation,
            task_queue=self._queue,
            start_to_close_timeout=LOOK_TIMEOUT,
            schedule_to_close_timeout=self._patience,
            retry_policy=FORWARD_RETRY,
            summary="observe",
        )
        return observation

    async def create(self, rollout: Document, hash_: str, revision: int, owner_uid: str) -> ReplicaSetState:
        """Create the ReplicaSet of a revision, with no pods."""
        request = CreateReplicaSet(
            target=self._target,
            rollout=rollout,
            hash=hash_,
            revision=revision,
            owner_uid=owner_uid,
            fence=self._fence(),
        )
        created: ReplicaSetState = await self._forward(
            Activity.CREATE_REPLICA_SET, request, ReplicaSetState, f"revision {revision}"
        )
        return created

    async def scale(self, replica_set: str, replicas: int) -> ReplicaSetState:
        """Ask for a number of pods."""
        request = ScaleReplicaSet(target=self._target, replica_set=replica_set, replicas=replicas, fence=self._fence())
        scaled: ReplicaSetState = await self._forward(
            Activity.SCALE_REPLICA_SET, request, ReplicaSetState, f"{replicas} pods"
        )
        return scaled

    async def available(self, replica_set: str, replicas: int, deadline: timedelta) -> ReplicaSetState:
        """Wait for pods; fails with `ProgressDeadlineExceeded`."""
        seen: ReplicaSetState = await workflow.execute_activity(
            Activity.AWAIT_REPLICA_SET,
            AwaitReplicaSet(
                target=self._target,
                replica_set=replica_set,
                available=replicas,
                deadline_seconds=int(deadline.total_seconds()),
            ),
            result_type=ReplicaSetState,
            task_queue=self._queue,
            start_to_close_timeout=timedelta(days=1),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=FORWARD_RETRY,
            cancellation_type=ActivityCancellationType.TRY_CANCEL,
            summary=f"{replicas} pods available",
        )
        return seen

    async def shift(
        self, istio: Istio, weight: int, replica_set: str, needed: int, *, certain: bool = False
    ) -> TrafficState:
        """Send a share of the traffic to the canary."""
        request = ShiftTraffic(
            target=self._target,
            istio=istio,
            weight=weight,
            replica_set=replica_set,
            needed=needed,
            fence=self._fence(),
        )
        write = self._certain if certain else self._forward
        traffic: TrafficState = await write(Activity.SHIFT_TRAFFIC, request, TrafficState, f"canary {weight} %")
        return traffic

    async def point_services(self, selectors: dict[str, str], *, certain: bool = False) -> None:
        """Make Services select the pods of a hash."""
        request = PointServices(target=self._target, selectors=selectors, fence=self._fence())
        write = self._certain if certain else self._forward
        await write(Activity.POINT_SERVICES, request, None, ", ".join(selectors))

    async def point_subsets(self, destination_rule: str, hashes: dict[str, str], *, certain: bool = False) -> None:
        """Label the subsets of the DestinationRule."""
        request = PointSubsets(
            target=self._target, destination_rule=destination_rule, hashes=hashes, fence=self._fence()
        )
        write = self._certain if certain else self._forward
        await write(Activity.POINT_SUBSETS, request, None, destination_rule)

    async def mark_stable(self, replica_set: str, hash_: str) -> None:
        """Record the promotion."""
        request = MarkStable(target=self._target, replica_set=replica_set, hash=hash_, fence=self._fence())
        await self._certain(Activity.MARK_STABLE, request, None, f"{hash_} is stable")

    async def retire(self, except_hashes: tuple[str, ...], keep: int) -> None:
        """Take superseded ReplicaSets down."""
        request = RetireReplicaSets(target=self._target, except_hashes=except_hashes, keep=keep, fence=self._fence())
        await self._certain(Activity.RETIRE_REPLICA_SETS, request, None, "superseded ReplicaSets")

    async def restore_stable(self, istio: Istio, stable_hash: str) -> TrafficState:
        """All traffic to stable, for as long as it takes (law 3)."""
        request = RestoreStable(target=self._target, istio=istio, stable_hash=stable_hash, fence=self._fence())
        traffic: TrafficState = await self._certain(Activity.RESTORE_STABLE, request, TrafficState, "canary 0 %")
        return traffic

    async def scale_down(self, replica_set: str, replicas: int, at: datetime | None = None) -> ReplicaSetState:
        """Take pods away that get no traffic, now or recorded for `at`."""
        request = ScaleReplicaSet(
            target=self._target, replica_set=replica_set, replicas=replicas, scale_down_at=at, fence=self._fence()
        )
        summary = f"0 pods at {at:%H:%M:%S}" if at else f"{replicas} pods"
        scaled: ReplicaSetState = await self._certain(Activity.SCALE_REPLICA_SET, request, ReplicaSetState, summary)
        return scaled

    async def publish(self, changes: Document, phase: str) -> RolloutObject | None:
        """Write fields of the Rollout's status; a few tries, as the next change writes them again."""
        stored: RolloutObject | None = await workflow.execute_activity(
            Activity.PUBLISH_STATUS,
            PublishStatus(target=self._target, status=changes),
            result_type=RolloutObject,
            task_queue=self._queue,
            start_to_close_timeout=WRITE_TIMEOUT,
            schedule_to_close_timeout=timedelta(minutes=1),
            retry_policy=PUBLISH_RETRY,
            summary=phase,
        )
        return stored

    async def open_incident(self, request: IncidentRequest) -> IncidentRef:
        """Open the incident of an abort, or find it; gives up after `FOLLOW_UP_TIMEOUT`."""
        incident: IncidentRef = await workflow.execute_activity(
            Activity.OPEN_INCIDENT,
            request,
            result_type=IncidentRef,
            task_queue=FOLLOW_UP_QUEUE,
            start_to_close_timeout=LOOK_TIMEOUT,
            schedule_to_close_timeout=FOLLOW_UP_TIMEOUT,
            retry_policy=FORWARD_RETRY,
            summary=request.correlation_id,
        )
        return incident

    async def _forward(self, name: Activity, request: Any, result_type: type[Any] | None, summary: str) -> Any:
        result = await workflow.execute_activity(
            name,
            request,
            result_type=result_type,
            task_queue=self._queue,
            start_to_close_timeout=WRITE_TIMEOUT,
            schedule_to_close_timeout=self._patience,
            retry_policy=FORWARD_RETRY,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=summary,
        )
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # The write was done before its cancellation came. The SDK gives its result then and forgets that the work
            # was cancelled, which would go on, the abort waiting for it (law 3).
            raise asyncio.CancelledError
        return result

    async def _certain(self, name: Activity, request: Any, result_type: type[Any] | None, summary: str) -> Any:
        return await workflow.execute_activity(
            name,
            request,
            result_type=result_type,
            task_queue=self._queue,
            start_to_close_timeout=WRITE_TIMEOUT,
            retry_policy=CERTAIN_RETRY,
            priority=Priority(priority_key=1),
            summary=summary,
        )
