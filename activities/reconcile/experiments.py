"""The ReplicaSets and Services of an experiment step: what stands of them, and one write for each move of the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import REPLICA_SETS, SERVICES, Cluster, Object, Reader
from activities.kubernetes.json_patch import annotate
from activities.kubernetes.ownership import PART_OF_EXPERIMENT, is_of
from activities.kubernetes.replica_sets import HASH_LABEL, SCALE_DOWN_DEADLINE
from activities.reconcile import experiment_objects
from activities.reconcile.rollout_objects import Kubernetes
from activities.routers.required_pods import RequiredPods
from activities.routers.router import ExperimentWeight
from tidegate.canary.experiments import UNEVEN, is_complete, shares_to_route
from tidegate.contract import (
    ErrorType,
    ExperimentSetState,
    Reconcile,
    Target,
    TrafficState,
)
from tidegate.rollouts.experiment_sets import (
    ExperimentMove,
    ExperimentSet,
    Expose,
    KeepUntil,
    Raise,
    Remove,
    Resize,
    WantedSet,
)
from tidegate.rollouts.replica_sets import ReplicaSetState

STABLE = "stable"  # the `specRef` of a template that runs the stable version


class Experiments:
    """The experiments of one cluster's Rollouts. Each write is idempotent and fenced, or finds what it would create."""

    def __init__(self, cluster: Cluster, kubernetes: Kubernetes) -> None:
        self._cluster = cluster
        self._kubernetes = kubernetes

    async def make(self, move: ExperimentMove, request: Reconcile, sets: Sequence[ReplicaSetState]) -> str:
        """Carry a move out; returns what was done, in a sentence. `sets` are the ReplicaSets of the versions.

        Raises `InvalidSpec` where an object of that name has another owner, `StaleWrite` after an abort.
        """
        namespace = request.target.namespace
        if isinstance(move, Raise):
            return await self._raise(move.wanted, request, sets)
        if isinstance(move, Expose):
            return await self._expose(move.wanted, request)
        if isinstance(move, Resize):
            await self._kubernetes.scale_replica_set(request.target, move.name, move.replicas, request.fence)
            return f"Scaled up ReplicaSet {move.name} to {move.replicas}"
        if isinstance(move, KeepUntil):
            deadline = move.at.strftime("%Y-%m-%dT%H:%M:%SZ") if move.at else None
            await self._cluster.change(
                REPLICA_SETS,
                namespace,
                move.name,
                request.fence,
                lambda now: annotate(now, {SCALE_DOWN_DEADLINE: deadline}),
            )
            return f"ReplicaSet {move.name} goes at {deadline}" if deadline else f"ReplicaSet {move.name} stays"
        if isinstance(move, Remove):
            await self._cluster.delete(REPLICA_SETS, namespace, move.name)
            return f"Deleted ReplicaSet {move.name}"
        await self._cluster.delete(SERVICES, namespace, move.name)
        return f"Deleted Service {move.name}"

    async def _raise(self, wanted: WantedSet, request: Reconcile, sets: Sequence[ReplicaSetState]) -> str:
        desired, namespace = request.desired, request.target.namespace
        hash_ = desired.stable_hash if wanted.spec_ref == STABLE else desired.hash
        name = next((each.name for each in sets if each.hash == hash_), "")
        if not name:
            raise ApplicationError(
                f"experiment template {wanted.template}: there is no ReplicaSet of the {wanted.spec_ref} version",
                type=ErrorType.NOT_READY,
            )
        base = await self._cluster.get(REPLICA_SETS, namespace, name)
        template = next(each for each in request.experiment.templates if each.name == wanted.template)
        body = experiment_objects.build_set(wanted, template, base, request)
        _require(await self._cluster.create(REPLICA_SETS, namespace, body), REPLICA_SETS.kind, request)
        return f"Created ReplicaSet {wanted.name}"

    async def _expose(self, wanted: WantedSet, request: Reconcile) -> str:
        namespace = request.target.namespace
        stable = request.manifest.model.canary.stable_service
        found = await self._cluster.get(REPLICA_SETS, namespace, wanted.name)
        pattern = await self._cluster.find(SERVICES, namespace, stable) if stable else None
        body = experiment_objects.build_service(wanted, found, pattern, request)
        _require(await self._cluster.create(SERVICES, namespace, body), SERVICES.kind, request)
        return f"Created Service {wanted.service}"


async def standing(reader: Reader, target: Target, uid: str) -> tuple[ExperimentSet, ...]:
    """ReplicaSets of a Rollout's experiments, whichever release made it; `uid` is empty where it has no object.

    Their names begin with that of a version, `<rollout>-<hash>-`: nothing is read where none is called so.
    """
    names = await reader.names(REPLICA_SETS, target.namespace, HASH_LABEL, rollout=target.name)
    if not any("-" in name.removeprefix(f"{target.name}-") for name in names if name.startswith(f"{target.name}-")):
        return ()
    labels = {PART_OF_EXPERIMENT: "true"}
    found = await reader.select(REPLICA_SETS, target.namespace, labels, rollout=target.name)
    marked = [each for each in found if experiment_objects.belongs(each, target.name)]
    mine = [each for each in marked if is_of(each, target.name, uid, unowned=True)]
    sets = [experiment_objects.standing(each, exposed=await _is_exposed(reader, each, target)) for each in mine]
    return tuple(sorted(sets, key=lambda each: each.name))


async def _is_exposed(reader: Reader, found: Object, target: Target) -> bool:
    name = experiment_objects.service_of(found)
    service = await reader.find(SERVICES, target.namespace, name) if name else None
    return service is not None and experiment_objects.belongs(service, target.name)


def shares_of(traffic: TrafficState | None, sets: Sequence[ExperimentSet]) -> dict[str, int]:
    """Shares of the experiment's Services by the routes: percent, 0 for none, `UNEVEN` where they differ."""
    rows = traffic.routes if traffic is not None else ()
    services = [each.service for each in sets if each.service]
    by_host = [{host.partition(".")[0]: weight for host, weight in row.others.items()} for row in rows]
    found = {service: {row.get(service, 0) for row in by_host} for service in services}
    return {service: next(iter(values), 0) if len(values) < 2 else UNEVEN for service, values in found.items()}


def experiment_weights(
    request: Reconcile, sets: Sequence[ExperimentSet], shares: Mapping[str, int]
) -> tuple[ExperimentWeight, ...]:
    """The shares that the experiment's Services are to get with the next write, and the pods that must be there."""
    given = shares_to_route(request.wanted_sets, sets, shares)
    return tuple(
        ExperimentWeight(
            service=each.service,
            weight=given[each.service],
            pods=RequiredPods(each.name, 1 if shares.get(each.service) else max(1, each.replicas)),
        )
        for each in request.wanted_sets
        if each.service in given
    )


def states(
    sets: Sequence[ExperimentSet], wanted: Sequence[WantedSet], shares: Mapping[str, int]
) -> tuple[ExperimentSetState, ...]:
    """States of the templates that are wanted and exist, for the release."""
    by_name = {each.name: each for each in wanted}
    return tuple(
        ExperimentSetState(
            template=each.template,
            replica_set=each.name,
            hash=each.hash,
            current=each.current,
            available=each.available,
            complete=is_complete(by_name[each.name], each, shares),
        )
        for each in sets
        if each.name in by_name
    )


def _require(found: Object, kind: str, request: Reconcile) -> None:
    """The object that was created, or that stood there already, has to be part of an experiment of this Rollout."""
    if not experiment_objects.belongs(found, request.target.name):
        metadata = found["metadata"]
        raise ApplicationError(
            f"{kind} {metadata.get('namespace')}/{metadata['name']} exists and does not belong to an experiment of "
            f"Rollout {request.target.name}: delete or rename it",
            type=ErrorType.INVALID_SPEC,
            non_retryable=True,
        )
