"""Payloads of the activities that split traffic."""

from __future__ import annotations

from tidegate.contract.payload import Document, Payload
from tidegate.contract.writes import Fence, Target


class Istio(Payload):
    """Where the traffic of a Rollout is split: the routing part of the spec, in the form that the activity needs."""

    stable_service: str
    canary_service: str
    virtual_services: tuple[Document, ...]  # {name, routes?, tlsRoutes?, tcpRoutes?}
    destination_rule: Document | None = None  # {name, canarySubsetName, stableSubsetName}

    @classmethod
    def of(cls, rollout: Document) -> Istio | None:
        """The Istio part of a Rollout's canary strategy, or None when Istio does not route its traffic."""
        canary = ((rollout.get("spec") or {}).get("strategy") or {}).get("canary") or {}
        istio = (canary.get("trafficRouting") or {}).get("istio")
        if not istio:
            return None
        single = istio.get("virtualService")
        return cls(
            stable_service=canary.get("stableService", ""),
            canary_service=canary.get("canaryService", ""),
            virtual_services=tuple(istio.get("virtualServices") or ([single] if single else [])),
            destination_rule=istio.get("destinationRule"),
        )


class RouteState(Payload):
    """Weights of one edited route of a VirtualService, read back: percent by destination role."""

    virtual_service: str
    namespace: str
    route: str
    stable: int
    canary: int


class TrafficState(Payload):
    """What the mesh was told last: the routes as read back, and the canary's share in percent."""

    canary: int
    routes: tuple[RouteState, ...] = ()


class ShiftTraffic(Payload):
    """Send `weight` percent to the canary, provided that `replica_set` has `needed` available pods (law 1)."""

    target: Target
    istio: Istio
    weight: int
    replica_set: str
    needed: int
    fence: Fence


class PointSubsets(Payload):
    """Label the subsets of a DestinationRule with `rollouts-pod-template-hash`: subset name -> hash."""

    target: Target
    destination_rule: str
    hashes: dict[str, str]
    fence: Fence


class RestoreStable(Payload):
    """The traffic part of an abort: all weight to stable, read back, then the canary Service to the stable hash."""

    target: Target
    istio: Istio
    stable_hash: str
    fence: Fence
