"""Carrying out the moves of a pass, one object each, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.exceptions import ApplicationError

from activities.cluster import REPLICA_SETS, SERVICES, Cluster
from activities.ephemeral_metadata import EphemeralMetadata
from activities.experiments import Experiments, experiment_weights, wanted_of
from activities.istio import IstioTraffic
from activities.kubernetes import Kubernetes
from activities.ownership import leave
from activities.views import SUBSET, View
from activities.workloads import Workloads
from tidegate.canary import experiments
from tidegate.canary.experiments import ExperimentMove
from tidegate.canary.passes import (
    Create,
    Delete,
    Leave,
    Mark,
    Move,
    Scale,
    ScaleWorkload,
    Schedule,
    Select,
    SetMetadata,
    Shift,
)
from tidegate.contract import (
    CreateReplicaSet,
    Document,
    ErrorType,
    Event,
    ForeignEdit,
    Istio,
    MarkStable,
    PointServices,
    PointSubsets,
    Reconcile,
    RolloutObject,
    ScaleReplicaSet,
    SetManagedRoute,
    ShiftTraffic,
    TrafficState,
)


class Done:
    """What a pass did, in the order in which it did it."""

    def __init__(self, request: Reconcile) -> None:
        self._at = request.at
        self.traffic = request.traffic  # as this pass or the one before left it
        self.created = False  # whether the version's ReplicaSet was
        self.stored: RolloutObject | None = None  # the object after flags were taken away from it
        self.flags: tuple[str, ...] = ()  # that do not stand any more, or are a person's
        self.events: list[Event] = []
        self.foreign: list[ForeignEdit] = []

    def event(self, reason: str, message: str) -> None:
        """Something was done; `reason` in Argo's event words."""
        self.events.append(Event(at=self._at, reason=reason, message=message))


class Moves:
    """What a pass does to the objects of one cluster."""

    def __init__(
        self, cluster: Cluster, kubernetes: Kubernetes, traffic: IstioTraffic, experiments: Experiments
    ) -> None:
        self._cluster = cluster
        self._kubernetes = kubernetes
        self._traffic = traffic
        self._experiments = experiments
        self._metadata = EphemeralMetadata(cluster)
        self._workloads = Workloads(cluster)

    async def make(self, move: Move, request: Reconcile, view: View, done: Done) -> None:
        """Carry out one move and note what was done."""
        target, fence = request.target, request.fence
        if isinstance(move, Create):
            created = await self._kubernetes.create_replica_set(
                CreateReplicaSet(
                    target=target,
                    rollout=request.rollout,
                    hash=request.place.hash,
                    revision=request.revision,
                    owner_uid=request.owner_uid,
                    fence=fence,
                )
            )
            if view.scene.of(request.place.hash) is None:
                done.created = True
                done.event("NewReplicaSetCreated", f"Created ReplicaSet {created.name} (revision {request.revision})")
        elif isinstance(move, Select):
            await self._select(move, request, view, done)
        elif isinstance(move, Shift):
            await self._shift(move, request, view, done)
        elif isinstance(move, Mark):
            await self._kubernetes.mark_stable(
                MarkStable(target=target, replica_set=move.name, hash=request.place.hash, fence=fence)
            )
        elif isinstance(move, SetMetadata):
            await self._metadata.put_on(target.namespace, move.name, move.metadata, fence)
        elif isinstance(move, Leave):
            await self._cluster.change(
                SERVICES, target.namespace, move.service, fence, lambda found: leave(found, target.name)
            )
            done.event("SwitchService", f"Service '{move.service}' is named no more: its selector lost the hash")
        elif isinstance(move, ScaleWorkload):
            await self._workloads.scale(target, move.name, move.replicas, fence)
            done.event("ScalingReplicaSet", f"Scaled Deployment {move.name} to {move.replicas}")
        elif isinstance(move, Delete):
            await self._cluster.delete(REPLICA_SETS, target.namespace, move.name)
        else:
            await self._scale(move, request, view, done)

    async def experiment(self, request: Reconcile, view: View, done: Done) -> bool:
        """The next move of an experiment, and whether there was one."""
        move = experiment_move(request, view)
        if move is not None:
            done.event("Experiment", await self._experiments.make(move, request, view.sets))
        return move is not None

    async def _scale(self, move: Scale | Schedule, request: Reconcile, view: View, done: Done) -> None:
        now = next(s for s in view.sets if s.name == move.name)
        replicas = move.replicas if isinstance(move, Scale) else now.desired
        await self._kubernetes.scale_replica_set(
            ScaleReplicaSet(
                target=request.target,
                replica_set=move.name,
                replicas=replicas,
                fence=request.fence,
                scale_down_at=move.at if isinstance(move, Schedule) else now.scale_down_at if replicas else None,
            )
        )
        if replicas != now.desired:
            way = "up" if replicas > now.desired else "down"
            text = f"Scaled {way} ReplicaSet {move.name} (revision {now.revision}) from {now.desired} to {replicas}"
            done.event("ScalingReplicaSet", text)

    async def _select(self, move: Select, request: Reconcile, view: View, done: Done) -> None:
        rule, _, subset = move.selector.partition(SUBSET)
        if subset:
            await self._traffic.point_subsets(
                PointSubsets(
                    target=request.target, destination_rule=rule, hashes={subset: move.hash}, fence=request.fence
                )
            )
        else:
            await self._kubernetes.point_services(
                PointServices(target=request.target, selectors={move.selector: move.hash}, fence=request.fence)
            )
        before = view.scene.selectors[move.selector]
        kind = "subset" if subset else "service"
        done.event("SwitchService", f"Switched selector for {kind} '{move.selector}' from '{before}' to '{move.hash}'")

    async def routes(self, wanted: Mapping[str, int] | None, request: Reconcile, view: View, done: Done) -> bool:
        """Bring header and mirror routes in place, one at a time; whether one had to change.

        `wanted` names each route that is to stand, and the step that asks for it; None leaves them alone.
        """
        istio, by_hash = Istio.of(request.rollout), {s.hash: s.name for s in view.sets}
        if wanted is None or istio is None or view.traffic is None or not istio.managed_routes:
            return False
        steps = request.rollout["spec"]["strategy"]["canary"].get("steps") or []
        gone = {"header": {"name": name}} if (name := _left_over(view.traffic, wanted)) else None
        for route in [gone] if gone else [_managed(steps[index]) for index in wanted.values()]:
            traffic = await self._traffic.set_managed_route(
                SetManagedRoute(
                    target=request.target,
                    istio=istio,
                    replica_set=by_hash.get(request.place.hash, ""),
                    fence=request.fence,
                    last=done.traffic,
                    **route,
                )
            )
            if traffic.updated:
                done.traffic = traffic
                done.foreign += traffic.foreign
                names = ", ".join(route.name for route in traffic.managed)
                done.event("ManagedRoutesUpdated", f"Managed routes: {names or 'none'}")
                return True
        return False

    async def _shift(self, move: Shift, request: Reconcile, view: View, done: Done) -> None:
        istio = Istio.of(request.rollout)
        by_hash = {s.hash: s.name for s in view.sets}
        if istio is None or view.traffic is None:
            raise ApplicationError("a VirtualService that the Rollout names is missing", type=ErrorType.NOT_FOUND)
        traffic = await self._traffic.shift_traffic(
            ShiftTraffic(
                target=request.target,
                istio=istio,
                weight=move.weight,
                replica_set=by_hash[request.place.hash],
                needed=move.canary_pods,
                stable_replica_set=by_hash.get(request.place.stable_hash, "") if move.stable_pods else "",
                stable_needed=move.stable_pods,
                fence=request.fence,
                experiments=experiment_weights(request, view.experiment, view.scene.experiments),
                last=done.traffic,
            )
        )
        done.traffic = traffic
        done.foreign += traffic.foreign
        done.event("TrafficWeightUpdated", f"Traffic weight updated from {view.traffic.canary} to {traffic.canary}")


def _left_over(traffic: TrafficState, wanted: Mapping[str, int]) -> str:
    return next((route.name for route in traffic.managed if route.name not in wanted), "")


def _managed(document: Document) -> dict[str, Document | None]:
    """The step's route as a request has it."""
    return {"header": document.get("setHeaderRoute"), "mirror": document.get("setMirrorRoute")}


def experiment_move(request: Reconcile, view: View) -> ExperimentMove | None:
    """What an experiment, or what is left of one, needs next."""
    return experiments.next_step(wanted_of(request), view.experiment, view.scene.experiments, request.at)
