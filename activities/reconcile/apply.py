"""Carry out the actions of a pass, one object each, and note what was done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import REPLICA_SETS, Cluster
from activities.kubernetes.ephemeral_metadata import EphemeralMetadata
from activities.kubernetes.workloads import Workloads
from activities.reconcile.claims import Claims
from activities.reconcile.cluster_state import ClusterSnapshot
from activities.reconcile.experiments import Experiments, experiment_weights
from activities.reconcile.rollout_objects import Kubernetes
from activities.routers.istio.subsets import point_subset
from activities.routers.required_pods import RequiredPods
from activities.routers.router import ManagedStep
from activities.routers.traffic import RouteWrite, Traffic
from tidegate.canary import experiments
from tidegate.contract import ErrorType, Event, ExternalChange, Reconcile, RolloutObject, TrafficState
from tidegate.manifests.steps import CanaryStep, SetHeaderRoute
from tidegate.rollouts.actions import (
    SUBSET,
    Action,
    ClearSelector,
    CreateReplicaSet,
    DeleteReplicaSet,
    MarkPromoted,
    ScaleReplicaSet,
    ScaleWorkload,
    SetMetadata,
    SetScaleDownDeadline,
    SetSelector,
    SetWeight,
)
from tidegate.rollouts.conditions import Reason
from tidegate.rollouts.experiment_sets import ExperimentMove


class ReconcileResult:
    """Work of a pass, in the order in which it was done."""

    def __init__(self, request: Reconcile) -> None:
        self._at = request.at
        self.work = Reason.REFUSED  # the reason, if what is under way is refused
        self.traffic = request.traffic  # as this pass or the one before left it
        self.created = False  # whether the version's ReplicaSet was
        self.stored: RolloutObject | None = None  # the object after flags were taken away from it
        self.flags: tuple[str, ...] = ()  # that do not stand any more, or are a person's
        self.events: list[Event] = []
        self.external_changes: list[ExternalChange] = []

    def event(self, reason: str, message: str) -> None:
        """Something was done; `reason` in Argo's event words."""
        self.events.append(Event(at=self._at, reason=reason, message=message))


class ActionExecutor:
    """Executor of a pass's actions on the objects of one cluster."""

    def __init__(self, cluster: Cluster, kubernetes: Kubernetes, traffic: Traffic, experiments: Experiments) -> None:
        self._cluster = cluster
        self._kubernetes = kubernetes
        self._traffic = traffic
        self._experiments = experiments
        self._claims = Claims(cluster)
        self._metadata = EphemeralMetadata(cluster)
        self._workloads = Workloads(cluster)

    async def fence(self, request: Reconcile, snapshot: ClusterSnapshot) -> bool:
        """Fence what nothing was written to since a pass whose end is not known; returns whether there was any.

        A write of that pass may still be on its way, and nothing would put right what it does after the release's end.
        """
        epoch, since = request.fence.epoch, (request.fence.epoch, request.since)
        behind = [each.name for each in snapshot.sets if (epoch, 0) <= each.fence < since]
        for name in behind:
            await self._kubernetes.fence_replica_set(request.target, name, request.fence)
        return bool(behind)

    async def make(self, action: Action, request: Reconcile, snapshot: ClusterSnapshot, done: ReconcileResult) -> None:
        """Carry out one action and note what was done."""
        done.work = _work(action)
        match action:
            case CreateReplicaSet():
                await self._create(request, snapshot, done)
            case SetSelector():
                await self._select(action, request, snapshot, done)
            case SetWeight():
                await self._set_weight(action, request, snapshot, done)
            case ScaleReplicaSet() | SetScaleDownDeadline():
                await self._scale(action, request, snapshot, done)
            case _:
                await self._tidy(action, request, snapshot, done)

    async def _tidy(
        self,
        action: MarkPromoted | SetMetadata | ClearSelector | ScaleWorkload | DeleteReplicaSet,
        request: Reconcile,
        snapshot: ClusterSnapshot,
        done: ReconcileResult,
    ) -> None:
        """Carry out what changes neither traffic nor the number of a version's pods."""
        target, fence = request.target, request.fence
        match action:
            case MarkPromoted(name):
                known, has_object = snapshot.objects.get(name), snapshot.live is not None
                await self._kubernetes.mark_promoted(
                    target, name, request.desired.hash, fence, has_object=has_object, known=known
                )
            case SetMetadata(name, metadata):
                await self._metadata.put_on(target.namespace, name, metadata, fence)
            case ClearSelector(selector):
                await self._claims.leave(selector, target, fence)
                done.event(
                    "SwitchService", f"{_kind(selector).capitalize()} '{selector}' is named no more: it lost the hash"
                )
            case ScaleWorkload(name, replicas):
                await self._workloads.scale(target, name, replicas, fence)
                done.event("ScalingReplicaSet", f"Scaled Deployment {name} to {replicas}")
            case DeleteReplicaSet(name):
                await self._cluster.delete(REPLICA_SETS, target.namespace, name)

    async def _create(self, request: Reconcile, snapshot: ClusterSnapshot, done: ReconcileResult) -> None:
        hash_, revision = request.desired.hash, request.revision
        created = await self._kubernetes.create_replica_set(
            request.target,
            request.rollout,
            request.fence,
            hash_=hash_,
            revision=revision,
            owner_uid=request.owner_uid,
        )
        if snapshot.cluster_state.of(hash_) is None:
            done.created = True
            done.event("NewReplicaSetCreated", f"Created ReplicaSet {created.name} (revision {revision})")

    async def experiment(self, request: Reconcile, snapshot: ClusterSnapshot, done: ReconcileResult) -> bool:
        """The next move of an experiment, and whether there was one."""
        move = experiment_action(request, snapshot)
        if move is not None:
            done.event("Experiment", await self._experiments.make(move, request, snapshot.sets))
        return move is not None

    async def _scale(
        self,
        action: ScaleReplicaSet | SetScaleDownDeadline,
        request: Reconcile,
        snapshot: ClusterSnapshot,
        done: ReconcileResult,
    ) -> None:
        name, now = action.name, next(s for s in snapshot.sets if s.name == action.name)
        if isinstance(action, ScaleReplicaSet):
            keeps = bool(action.replicas) or action.keeps_deadline
            replicas, deadline = action.replicas, now.scale_down_at if keeps else None
        else:
            replicas, deadline = now.desired, action.at
        await self._kubernetes.scale_replica_set(
            request.target, name, replicas, request.fence, scale_down_at=deadline, known=snapshot.objects.get(name)
        )
        if replicas != now.desired:
            way = "up" if replicas > now.desired else "down"
            text = f"Scaled {way} ReplicaSet {name} (revision {now.revision}) from {now.desired} to {replicas}"
            done.event("ScalingReplicaSet", text)

    async def _select(
        self, action: SetSelector, request: Reconcile, snapshot: ClusterSnapshot, done: ReconcileResult
    ) -> None:
        name, rule, subset = action.selector, *action.selector.partition(SUBSET)[::2]
        if subset:
            await point_subset(self._cluster, request.target, rule, subset, action.hash, request.fence)
        else:
            await self._kubernetes.point_service(request.target, name, action.hash, request.fence)
        before = snapshot.cluster_state.selectors[name]
        text = f"Switched selector for {_kind(name)} '{name}' from '{before}' to '{action.hash}'"
        done.event("SwitchService", text)

    async def routes(
        self, wanted: Mapping[str, int] | None, request: Reconcile, snapshot: ClusterSnapshot, done: ReconcileResult
    ) -> bool:
        """Bring header and mirror routes in place, one at a time; whether one had to change.

        `wanted` names each route that is to stand, and the step that asks for it; None leaves them alone.
        """
        routing, by_hash = request.manifest.routing, {s.hash: s.name for s in snapshot.sets}
        if wanted is None or routing is None or snapshot.traffic is None or not routing.managed_routes:
            return False
        done.work = Reason.NOT_ROUTED
        steps, gone = request.manifest.steps, _left_over(snapshot.traffic, wanted)
        canary = RequiredPods(by_hash.get(request.desired.hash, ""), 1)
        for step in [SetHeaderRoute(name=gone)] if gone else _managed(steps[index] for index in wanted.values()):
            write = RouteWrite(request.target, routing, request.fence, done.traffic, request.owner_uid)
            traffic = await self._traffic.set_managed_route(write, step, canary)
            if traffic.updated:
                done.traffic = traffic
                done.external_changes += traffic.external_changes
                names = ", ".join(each.route for each in traffic.managed)
                done.event("ManagedRoutesUpdated", f"Managed routes: {names or 'none'}")
                return True
        return False

    async def _set_weight(
        self, action: SetWeight, request: Reconcile, snapshot: ClusterSnapshot, done: ReconcileResult
    ) -> None:
        routing, desired = request.manifest.routing, request.desired
        by_hash = {s.hash: s.name for s in snapshot.sets}
        if routing is None or snapshot.traffic is None:
            raise ApplicationError(
                "an object that the Rollout names for its traffic is missing, or cannot be understood",
                type=ErrorType.NOT_FOUND,
            )
        # A version that was given up before it had pods leaves the canary's share with the one that has it so far.
        selected_hash = snapshot.cluster_state.weights.canary_hash if snapshot.cluster_state.weights is not None else ""
        name = by_hash.get(desired.hash) or by_hash.get(selected_hash, "")
        stable_name = by_hash.get(desired.stable_hash)
        traffic = await self._traffic.set_weight(
            RouteWrite(request.target, routing, request.fence, done.traffic, request.owner_uid),
            action.weight,
            canary=RequiredPods(name, action.canary_pods),
            stable=RequiredPods(stable_name, action.stable_pods) if stable_name and action.stable_pods else None,
            experiments=experiment_weights(request, snapshot.experiment, snapshot.cluster_state.experiments),
        )
        done.traffic = traffic
        done.external_changes += traffic.external_changes
        for reason, text in traffic.events:
            done.event(reason, text)
        done.event("TrafficWeightUpdated", f"Traffic weight updated from {snapshot.traffic.canary} to {traffic.canary}")


def _work(action: Action) -> Reason:
    if isinstance(action, CreateReplicaSet):
        return Reason.NOT_CREATED
    is_routing = isinstance(action, SetWeight) or (isinstance(action, SetSelector) and SUBSET in action.selector)
    return Reason.NOT_ROUTED if is_routing else Reason.REFUSED


def _kind(selector: str) -> str:
    return "subset" if SUBSET in selector else "service"


def _left_over(traffic: TrafficState, wanted: Mapping[str, int]) -> str:
    return next((each.route for each in traffic.managed if each.route not in wanted), "")


def _managed(steps: Iterable[CanaryStep]) -> list[ManagedStep]:
    """The routes that steps set."""
    return [route for step in steps if (route := step.set_header_route or step.set_mirror_route) is not None]


def experiment_action(request: Reconcile, snapshot: ClusterSnapshot) -> ExperimentMove | None:
    """Next action that an experiment, or the rest of one, needs."""
    return experiments.next_step(
        request.wanted_sets, snapshot.experiment, snapshot.cluster_state.experiments, request.at
    )
