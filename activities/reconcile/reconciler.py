"""Passes over one Rollout's objects: read, do the next thing, read again, until the rules ask for nothing more.

What to do is decided by the rules of the Rollout's strategy; how an object is changed stands with the object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import Cluster
from activities.kubernetes.fresh import FreshReader
from activities.kubernetes.informers import Cache, Lister
from activities.kubernetes.rejections import again, is_rejection, message_of, to_report
from activities.kubernetes.seen import Seen, noting, run_of_activity
from activities.reconcile.apply import ActionExecutor, ReconcileResult, experiment_action
from activities.reconcile.cluster_state import ClusterSnapshot, Snapshots
from activities.reconcile.experiments import Experiments, states
from activities.reconcile.kubernetes_events import Publisher
from activities.reconcile.rollout_objects import Kubernetes
from activities.reconcile.rollout_status import StatusWriter
from activities.reconcile.strategies import pass_of
from activities.routers.traffic import Traffic
from tidegate.canary import experiments
from tidegate.contract import (
    FLAGS,
    Activity,
    ErrorType,
    Reconcile,
    Reconciled,
    Rejection,
    RolloutObject,
    is_known,
)
from tidegate.contract.instances import DEFAULT_INSTANCE, ControllerInstance
from tidegate.rollouts.conditions import Reason
from tidegate.rollouts.replica_sets import ReplicaSetState

log = structlog.get_logger(__name__)

MAX_ACTIONS = 40  # of one pass; what is left is done by the next one
LOOK_AGAIN_SECONDS = 0.25  # where no watch tells of changes
WAIT_FOR_PODS = timedelta(seconds=1)  # so late the status may be, and an abort without a router
LINGERING = 30  # passes of one worker at a time: each holds a slot
ForPods = Callable[[Lister, timedelta], Awaitable[bool]]


async def wait_for_pods(lister: Lister, elapsed: timedelta) -> bool:
    """Wait a little in a pass that has lasted so long, as pods that start fast need no other one; False: enough."""
    left = (WAIT_FOR_PODS - elapsed).total_seconds()
    if left <= 0:
        return False
    is_told = lister.synced
    await lister.changed(left if is_told else min(left, LOOK_AGAIN_SECONDS))
    return lister.has_changed or not is_told


class Passes:
    """Activities that bring one cluster's objects to where a release stands."""

    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        *,
        for_pods: ForPods = wait_for_pods,
        at_most: int = LINGERING,
        instance: ControllerInstance = DEFAULT_INSTANCE,
    ) -> None:
        """`for_pods` is called when a pass can do no more before pods come; it says whether to look again.

        `at_most` is for how many passes it may be called at a time; the others come again when something changed.
        Nothing is written for a Rollout object of another `instance`.
        """
        self._instance = instance
        self._at_most = at_most
        self._lingering = 0
        self._cluster = cluster
        self._cache = cache
        self._kubernetes = Kubernetes(cluster, cache)
        experiments = Experiments(cluster, self._kubernetes)
        self._moves = ActionExecutor(cluster, self._kubernetes, Traffic(cluster), experiments)
        self._statuses = StatusWriter(cluster)
        self._publisher = Publisher(cluster)
        self._for_pods = for_pods

    def activities(self) -> list[Callable[..., Any]]:
        """Activities that a worker registers."""
        return [self.reconcile, self.refuse]

    @activity.defn(name=Activity.RECONCILE)
    async def reconcile(self, request: Reconcile) -> Reconciled:
        """Take the actions that the desired state asks for, one after the other, each decided on what is there then.

        A pass that was cut off is repeated from what stands; each of its moves is one that changes nothing the second
        time. Raises what the moves raise: `NotReady` when pods went between the look and the write, `StaleWrite` after
        an abort; and `Deleted` when the object that the release belongs to is gone: nothing is made for it any more.
        What the cluster refuses is no reason not to tell, and the release hears of each cause once; after that the pass
        fails with it, to be tried again.

        What is decided on is read from the cache where that shows all that the release's passes have read and written.
        Of one that was begun before, the writes are not known: then the API server is asked first.
        """
        is_first = not activity.in_activity() or activity.info().attempt == 1
        seen = Seen(request.seen if is_first else None)
        with noting(seen), self._cache.lister() as lister:
            reader = FreshReader(self._cluster, lister, seen, waits=not request.desired.aborted)
            done = await self._reconcile(request, reader, may_leave=is_first)
        return done.model_copy(update={"seen": seen.versions(), "run_id": run_of_activity()})

    async def _reconcile(self, request: Reconcile, reader: FreshReader, *, may_leave: bool) -> Reconciled:
        """A pass that `may_leave` what there is to tell to the next one is one of which nothing was told before."""
        done = ReconcileResult(request)
        try:
            request = await self._take_flags_away(request, done)
            snapshot = await self._act(request, done, reader)
        except ApplicationError as error:
            if not is_rejection(error):
                raise
            return await self._refused(request, error, done)
        is_settled = _is_settled(request, snapshot)
        left = may_leave and request.awaited and is_settled
        published, events_published, stored = (False, False, done.stored)
        if not left:
            published, events_published, stored = await self._report(request, snapshot, done)
        outcome = await self._outcome(
            request, snapshot, done, published=published, events_published=events_published, object=stored
        )
        return outcome.model_copy(update={"converged": is_settled, "left": left})

    async def _take_flags_away(self, request: Reconcile, done: ReconcileResult) -> Reconcile:
        """Before anything goes forward; what is left to be written. A flag that stands from here on is a person's."""
        if request.desired.aborted or not request.moves:
            return request
        done.stored = await self._statuses.take_flags_away(request)
        own = request.report.status
        done.flags = tuple(flag for flag in FLAGS if own.get(flag, flag) is None)
        left = {name: value for name, value in own.items() if name not in done.flags}
        return request.model_copy(update={"report": request.report.model_copy(update={"status": left})})

    async def _act(self, request: Reconcile, done: ReconcileResult, reader: FreshReader) -> ClusterSnapshot:
        """Act until there is nothing more to do, or it is enough for one pass; returns the state after that."""
        started, views = asyncio.get_running_loop().time(), Snapshots(reader, request)
        among: frozenset[str] | None = None
        for _ in range(MAX_ACTIONS):
            left = request.moves and request.desired.hash == request.desired.stable_hash
            done.work = Reason.REFUSED
            reader.lister.begin()
            snapshot = await views.snapshot(among, left=left)
            among = snapshot.hashes | {request.desired.hash}
            self._check_instance(snapshot)
            if request.owner_uid and snapshot.owner != request.owner_uid:
                target = request.target
                raise ApplicationError(
                    f"Rollout {target.namespace}/{target.name} was deleted", type=ErrorType.DELETED, non_retryable=True
                )
            if not request.moves:
                break
            if await self._moves.fence(request, snapshot):
                continue
            strategy = pass_of(request, snapshot)
            if await self._moves.routes(strategy.wanted_routes(), request, snapshot, done):
                continue
            move = strategy.next_action()
            if move is not None:
                await self._moves.make(move, request, snapshot, done)
                continue
            moved = await self._moves.experiment(request, snapshot, done)
            # On the way back nothing waits (law 3), and a pause is shown at once.
            waits = not (moved or request.desired.aborted or request.desired.held or strategy.converged())
            if not moved and not (waits and await self._wait_for_pods(started, reader.lister)):
                break
        return snapshot

    def _check_instance(self, snapshot: ClusterSnapshot) -> None:
        """Raise a `Conflict`, which is tried again, for an object that was handed to another controller."""
        if snapshot.live is not None and (why := self._instance.rejection(snapshot.live)):
            raise ApplicationError(why, type=ErrorType.CONFLICT)

    async def _refused(self, request: Reconcile, error: ApplicationError, done: ReconcileResult) -> Reconciled:
        """Tell what there is to be told, all the same. Raises the refusal where the release would learn nothing new."""
        known = request.report.failing
        is_new = to_report(error, known)
        if not is_new and not is_known(message_of(error), known):
            raise again(error)  # it may be over in a moment
        try:
            snapshot = await Snapshots(self._cluster, request).snapshot()
        except ApplicationError:
            if is_new:
                return Reconciled(
                    at=datetime.now(UTC),
                    events=tuple(done.events),
                    flags_taken=done.flags,
                    failing=message_of(error),
                    refused=done.work,
                    published=False,
                    events_published=False,
                )
            raise again(error) from error
        published, events_published, stored = await self._report(request, snapshot, done)
        pending = request.report.unpublished
        acknowledged = (published and bool(request.report.status)) or (
            events_published and bool(pending and (pending.events or pending.runs))
        )
        if not is_new and not acknowledged and not done.events:
            raise again(error)
        outcome = await self._outcome(
            request, snapshot, done, published=published, events_published=events_published, object=stored
        )
        return outcome.model_copy(update={"failing": message_of(error), "refused": done.work})

    async def _outcome(
        self,
        request: Reconcile,
        snapshot: ClusterSnapshot,
        done: ReconcileResult,
        *,
        published: bool,
        events_published: bool,
        object: RolloutObject | None,  # noqa: A002  # as in Reconciled
    ) -> Reconciled:
        return Reconciled(
            at=datetime.now(UTC),
            replicas=snapshot.replicas,
            replica_sets=snapshot.sets,
            selectors=dict(snapshot.cluster_state.selectors),
            traffic=snapshot.traffic,
            experiment=states(snapshot.experiment, request.wanted_sets, snapshot.cluster_state.experiments),
            not_ready_reason=await self._missing(request, snapshot),
            requeue_at=min(
                filter(None, (pass_of(request, snapshot).requeue_at(), experiments.requeue_at(snapshot.experiment))),
                default=None,
            ),
            state_digest=snapshot.state_digest(),
            events=tuple(done.events),
            external_changes=tuple(done.external_changes),
            flags_taken=done.flags,
            published=published,
            events_published=events_published,
            object=object,
        )

    async def _wait_for_pods(self, started: float, lister: Lister) -> bool:
        """Wait for pods a short time; returns True when it waited."""
        if self._lingering >= self._at_most:
            return False
        self._lingering += 1
        try:
            return await self._for_pods(lister, timedelta(seconds=asyncio.get_running_loop().time() - started))
        finally:
            self._lingering -= 1

    @activity.defn(name=Activity.REFUSE)
    async def refuse(self, request: Rejection) -> RolloutObject | None:
        """Say in the Rollout's `.status` why its spec is not released. Raises what a retry may help."""
        return await self._statuses.refuse(request)

    async def _missing(self, request: Reconcile, snapshot: ClusterSnapshot) -> str:
        """Reason why a version is not complete: the new one's, or else stable's; empty when none is known."""
        desired = request.desired
        hashes = (desired.stable_hash,) if desired.aborted else (desired.hash, desired.stable_hash)
        for found in filter(None, map(snapshot.cluster_state.of, hashes)):
            if found.available < found.desired:
                why = await self._why_not_ready(request.target.namespace, found, snapshot)
                text = f"{found.available} of {found.desired} pods of {found.name} available"
                return "; ".join(filter(None, (text, why)))
        return ""

    async def _why_not_ready(self, namespace: str, found: ReplicaSetState, snapshot: ClusterSnapshot) -> str:
        """Return why a version's pods are not available; empty while its controller is still making them.

        The number of pods, and that none can be made, are in the state's digest: another look follows.
        """
        if not found.no_pods and not (found.counted and found.current >= found.desired):
            return ""
        return await self._kubernetes.why_not_ready(namespace, snapshot.objects[found.name])

    async def _report(
        self, request: Reconcile, snapshot: ClusterSnapshot, done: ReconcileResult
    ) -> tuple[bool, bool, RolloutObject | None]:
        """Write the status and the rest; returns True for each that was written, and the object after that.

        An analysis run ends before the step that it judges: no client is to see a status that is ahead of it.
        """
        shown = await self._publisher.show(request)
        published, stored = await self._publish(request, snapshot, done)
        return published, await self._publisher.publish(request, done.events) and shown, stored

    async def _publish(
        self, request: Reconcile, snapshot: ClusterSnapshot, done: ReconcileResult
    ) -> tuple[bool, RolloutObject | None]:
        """Write the status; returns True when it was written, and the object after that.

        A release does not end over its own reflection.
        """
        try:
            try:
                answer = await self._statuses.write(request, snapshot, pass_of(request, snapshot), created=done.created)
            except ApplicationError as error:
                if error.type != ErrorType.CONFLICT:
                    raise
                # Somebody wrote to it, which the cache may not show yet.
                snapshot = await Snapshots(self._cluster, request).snapshot()
                answer = await self._statuses.write(request, snapshot, pass_of(request, snapshot), created=done.created)
        except ApplicationError as error:
            log.warning("status_not_written", rollout=request.target.name, error=str(error))
            return False, None
        return True, answer or done.stored


def _is_settled(request: Reconcile, snapshot: ClusterSnapshot) -> bool:
    return pass_of(request, snapshot).converged() and experiment_action(request, snapshot) is None
