"""Traffic: the weights of the VirtualServices and the subsets of the DestinationRule, each write read back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import istio_routes, replica_sets
from activities.cluster import (
    DESTINATION_RULES,
    REPLICA_SETS,
    SERVICES,
    VIRTUAL_SERVICES,
    Cluster,
    Object,
    Operation,
    escape,
    put,
)
from activities.kubernetes import select_hash
from activities.replica_sets import HASH_LABEL
from tidegate.contract import (
    Activity,
    ErrorType,
    Fence,
    Istio,
    PointSubsets,
    RestoreStable,
    RouteState,
    ShiftTraffic,
    Target,
    TrafficState,
)


class IstioTraffic:
    """Activities on the mesh configuration of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def activities(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [self.shift_traffic, self.restore_stable, self.point_subsets]

    @activity.defn(name=Activity.SHIFT_TRAFFIC)
    async def shift_traffic(self, request: ShiftTraffic) -> TrafficState:
        """Send a share of traffic to the canary, whose pods are counted in the same breath (law 1)."""
        if request.weight > 0:
            await self._require_available(request)
        return await self._write(request.target, request.istio, request.weight, request.fence)

    @activity.defn(name=Activity.RESTORE_STABLE)
    async def restore_stable(self, request: RestoreStable) -> TrafficState:
        """All weight to stable, read back, then the canary Service to the stable pods.

        Asks nothing outside Kubernetes (law 3). The selector comes last: while it still selects the canary's pods,
        weights that a proxy has not yet seen do no harm that they did not do before.
        """
        traffic = await self._write(request.target, request.istio, 0, request.fence)
        if request.istio.canary_service and request.stable_hash:
            await self._cluster.change(
                SERVICES,
                request.target.namespace,
                request.istio.canary_service,
                request.fence,
                select_hash(request.target.name, request.stable_hash),
            )
        return traffic

    @activity.defn(name=Activity.POINT_SUBSETS)
    async def point_subsets(self, request: PointSubsets) -> None:
        """Label the DestinationRule's subsets with the hashes of the stable and the canary pods."""

        def edit(found: Object) -> list[Operation]:
            operations: list[Operation] = []
            for index, subset in enumerate(found["spec"].get("subsets") or []):
                hash_ = request.hashes.get(subset.get("name", ""))
                if hash_ is None or (subset.get("labels") or {}).get(HASH_LABEL) == hash_:
                    continue
                path = f"/spec/subsets/{index}/labels"
                if subset.get("labels") is None:
                    operations.append(put(path, {}))
                operations.append(put(f"{path}/{escape(HASH_LABEL)}", hash_))
            return operations

        await self._cluster.change(
            DESTINATION_RULES, request.target.namespace, request.destination_rule, request.fence, edit
        )

    async def _require_available(self, request: ShiftTraffic) -> None:
        found = replica_sets.state(await self._cluster.get(REPLICA_SETS, request.target.namespace, request.replica_set))
        if found.available < request.needed:
            raise ApplicationError(
                f"weight {request.weight} refused: ReplicaSet {found.name} has {found.available} available pods, "
                f"{request.needed} are needed",
                type=ErrorType.NOT_READY,
            )

    async def _write(self, target: Target, istio: Istio, weight: int, fence: Fence) -> TrafficState:
        rows: list[RouteState] = []
        for reference in istio.virtual_services:
            name, namespace = istio_routes.located(reference, target.namespace)
            edit = partial(istio_routes.weight_operations, reference=reference, istio=istio, weight=weight)
            await self._cluster.change(VIRTUAL_SERVICES, namespace, name, fence, edit)
            stands = await self._cluster.get(VIRTUAL_SERVICES, namespace, name)
            rows.extend(istio_routes.read_routes(stands, reference, istio))
        wrong = [row for row in rows if row.canary != weight or row.stable != 100 - weight]
        if wrong:
            row = wrong[0]
            raise ApplicationError(
                f"VirtualService {row.virtual_service}, route {row.route}: {row.stable}/{row.canary} was read back "
                f"instead of {100 - weight}/{weight}",
                type=ErrorType.CONFLICT,
            )
        return TrafficState(canary=weight, routes=tuple(rows))
