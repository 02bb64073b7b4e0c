"""A cluster in memory: answers the cluster activities by their names, keeps what was written, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from tidegate.contract import (
    Activity,
    AwaitReplicaSet,
    CreateReplicaSet,
    Document,
    ErrorType,
    IncidentRef,
    IncidentRequest,
    Istio,
    MarkStable,
    Observation,
    ObserveRequest,
    PointServices,
    PublishStatus,
    ReplicaSetState,
    RestoreStable,
    RetireReplicaSets,
    RouteState,
    ScaleReplicaSet,
    ShiftTraffic,
    TrafficState,
)


class ClusterDouble:
    """Pods come at once, unless `never_ready` holds their ReplicaSet's hash."""

    def __init__(self, *manifests: Document) -> None:
        self.manifests = {(m["kind"], m["metadata"]["name"]): m for m in manifests}
        self.sets: dict[str, ReplicaSetState] = {}
        self.stable_hash = ""
        self.selectors: dict[str, str] = {}
        self.weight = 0
        self.writes: list[tuple[str, Any]] = []
        self.statuses: list[Document] = []
        self.incidents: list[IncidentRequest] = []
        self.never_ready: set[str] = set()
        self.shift_gate: asyncio.Event | None = None  # a shift waits for it, as a slow API server would make it wait
        self.shifting = asyncio.Event()  # a shift has begun
        self.create_gate: asyncio.Event | None = None  # as for a shift
        self.creating = asyncio.Event()
        self.restore_failures = 0

    def activities(self) -> list[Callable[..., Any]]:
        return [
            *(self.observe, self.create, self.scale, self.available, self.retire, self.services),
            *(self.stable, self.publish, self.shift, self.restore),
        ]

    def weights(self) -> list[int]:
        """The canary's weights in the order in which they were written."""
        return [value for what, value in self.writes if what == "weight"]

    def _document(self, kind: str, name: str) -> Document | None:
        found = self.manifests.get((kind, name))
        return found and {**found, "metadata": {"namespace": "payments", **found["metadata"]}}

    @activity.defn(name=Activity.OBSERVE)
    async def observe(self, request: ObserveRequest) -> Observation:
        istio = Istio.of(request.rollout)
        assert istio is not None
        canary = request.rollout["spec"]["strategy"]["canary"]
        return Observation(
            at=datetime.now(UTC),
            stable_hash=self.stable_hash,
            replica_sets=tuple(sorted(self.sets.values(), key=lambda s: -s.revision)),
            services={
                canary[role]: self._document("Service", canary[role]) for role in ("stableService", "canaryService")
            },
            virtual_services={
                f"{v['name']}.payments": self._document("VirtualService", v["name"]) for v in istio.virtual_services
            },
            templates=tuple(m for (kind, _), m in self.manifests.items() if kind == "AnalysisTemplate"),
            traffic=TrafficState(canary=self.weight),
        )

    @activity.defn(name=Activity.CREATE_REPLICA_SET)
    async def create(self, request: CreateReplicaSet) -> ReplicaSetState:
        self.creating.set()
        if self.create_gate is not None:
            await self.create_gate.wait()
        name = f"{request.target.name}-{request.hash}"
        containers = request.rollout["spec"]["template"]["spec"]["containers"]
        made = self.sets.get(name) or ReplicaSetState(
            name=name, hash=request.hash, revision=0, desired=0, images={c["name"]: c["image"] for c in containers}
        )
        self.sets[name] = made.model_copy(update={"revision": request.revision, "scale_down_at": None})
        self.writes.append(("create", name))
        return self.sets[name]

    @activity.defn(name=Activity.SCALE_REPLICA_SET)
    async def scale(self, request: ScaleReplicaSet) -> ReplicaSetState:
        found = self.sets[request.replica_set]
        pods = 0 if found.hash in self.never_ready else request.replicas
        self.sets[found.name] = found.model_copy(
            update={
                "desired": request.replicas,
                "current": request.replicas,
                "ready": pods,
                "available": pods,
                "scale_down_at": request.scale_down_at,
            }
        )
        if request.replicas != found.desired:
            self.writes.append(("scale", (found.hash, request.replicas)))
        return self.sets[found.name]

    @activity.defn(name=Activity.AWAIT_REPLICA_SET)
    async def available(self, request: AwaitReplicaSet) -> ReplicaSetState:
        found = self.sets[request.replica_set]
        if found.available < request.available:
            raise ApplicationError("no progress", type=ErrorType.PROGRESS_DEADLINE_EXCEEDED, non_retryable=True)
        return found

    @activity.defn(name=Activity.RETIRE_REPLICA_SETS)
    async def retire(self, request: RetireReplicaSets) -> list[str]:
        old = [s for s in self.sets.values() if s.hash not in request.except_hashes and s.desired]
        for found in old:
            await self.scale(
                ScaleReplicaSet(target=request.target, replica_set=found.name, replicas=0, fence=request.fence)
            )
        return [s.name for s in old]

    @activity.defn(name=Activity.POINT_SERVICES)
    async def services(self, request: PointServices) -> None:
        self.selectors |= request.selectors
        self.writes.append(("services", dict(request.selectors)))

    @activity.defn(name=Activity.MARK_STABLE)
    async def stable(self, request: MarkStable) -> None:
        self.stable_hash = request.hash
        self.writes.append(("stable", request.hash))

    @activity.defn(name=Activity.PUBLISH_STATUS)
    async def publish(self, request: PublishStatus) -> None:
        self.statuses.append(request.status)

    @activity.defn(name=Activity.SHIFT_TRAFFIC)
    async def shift(self, request: ShiftTraffic) -> TrafficState:
        self.shifting.set()
        if self.shift_gate is not None:
            await self.shift_gate.wait()
        available = self.sets[request.replica_set].available
        assert request.weight == 0 or available >= request.needed, f"{request.weight} % on {available} pods"
        return self._write(request.weight)

    @activity.defn(name=Activity.RESTORE_STABLE)
    async def restore(self, request: RestoreStable) -> TrafficState:
        if self.restore_failures:
            self.restore_failures -= 1
            raise ApplicationError("the API server is away", type=ErrorType.UNAVAILABLE)
        self.selectors[request.istio.canary_service] = request.stable_hash
        return self._write(0)

    def _write(self, weight: int) -> TrafficState:
        self.weight = weight
        self.writes.append(("weight", weight))
        route = RouteState(
            virtual_service="checkout-vsvc",
            namespace="payments",
            route="primary",
            stable=100 - weight,
            canary=weight,
        )
        return TrafficState(canary=weight, routes=(route,))

    @activity.defn(name=Activity.OPEN_INCIDENT)
    async def incident(self, request: IncidentRequest) -> IncidentRef:
        self.incidents.append(request)
        return IncidentRef(number="INC0010001", sys_id="1", url="https://servicenow.example/INC0010001")
