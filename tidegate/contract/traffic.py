"""Payloads of the activities that split traffic."""

from __future__ import annotations

from pydantic import Field

from tidegate.contract.payload import Document, Payload
from tidegate.contract.writes import Fence, Target
from tidegate.manifests.rollout import IstioDestinationRule
from tidegate.manifests.routes import Sides


class Istio(Payload):
    """Where the traffic of a Rollout is split: the routing part of the spec, in the form that the activity needs."""

    stable_service: str
    canary_service: str
    virtual_services: tuple[Document, ...]  # {name, routes?, tlsRoutes?, tcpRoutes?}
    destination_rule: Document | None = None  # {name, canarySubsetName, stableSubsetName, additionalSubsetNames?}
    managed_routes: tuple[str, ...] = ()  # names of the routes that releases add and remove, first in precedence first

    @classmethod
    def of(cls, rollout: Document) -> Istio | None:
        """The Istio part of a Rollout's canary strategy, or None when Istio does not route its traffic."""
        canary = ((rollout.get("spec") or {}).get("strategy") or {}).get("canary") or {}
        istio = (canary.get("trafficRouting") or {}).get("istio")
        if not istio:
            return None
        single = istio.get("virtualService")
        stable, new = _services(rollout, canary)
        return cls(
            stable_service=stable,
            canary_service=new,
            virtual_services=tuple(istio.get("virtualServices") or ([single] if single else [])),
            destination_rule=istio.get("destinationRule"),
            managed_routes=_managed_routes(canary),
        )

    @property
    def sides(self) -> Sides:
        """What tells stable and canary apart in a route. Raises ValidationError for a malformed DestinationRule."""
        rule = self.destination_rule
        return Sides(
            stable_service=self.stable_service,
            canary_service=self.canary_service,
            rule=None if rule is None else IstioDestinationRule.model_validate(rule),
        )


def _services(rollout: Document, canary: Document) -> tuple[str, str]:
    """The stable and the canary Service; two that swap roles begin with pong as the stable one, as in Argo."""
    if pair := canary.get("pingPong"):
        ping, pong = pair.get("pingService", ""), pair.get("pongService", "")
        promoted = ((rollout.get("status") or {}).get("canary") or {}).get("stablePingPong")
        return (ping, pong) if promoted == "ping" else (pong, ping)
    return canary.get("stableService", ""), canary.get("canaryService", "")


def _managed_routes(canary: Document) -> tuple[str, ...]:
    """Names that the Rollout declares, then those that only its steps know, which have to go at the end as well."""
    declared = [route.get("name") for route in (canary.get("trafficRouting") or {}).get("managedRoutes") or []]
    steps = [step.get(kind) for step in canary.get("steps") or [] for kind in ("setHeaderRoute", "setMirrorRoute")]
    return tuple(dict.fromkeys(name for name in (*declared, *(step.get("name") for step in steps if step)) if name))


class ExperimentWeight(Payload):
    """Share of the traffic, in percent, that an experiment's Service gets from stable's share.

    Nothing is written while `replica_set` has fewer than `needed` available pods (law 1); empty: nobody counts.
    """

    service: str
    weight: int
    replica_set: str = ""
    needed: int = 1


class RouteState(Payload):
    """Weights of one edited route of a VirtualService, read back: percent by destination role."""

    virtual_service: str
    namespace: str
    route: str  # its name, or its place as `http[0]`
    stable: int
    canary: int
    others: dict[str, int] = Field(default_factory=dict)  # experiments and additional subsets, by host or subset


class ManagedRoute(Payload):
    """A header or mirror route that stands in a VirtualService."""

    virtual_service: str
    namespace: str
    name: str


class RemovedDestination(Payload):
    """A destination that was neither side, no experiment and no additional subset, and was deleted (Argo's rule)."""

    virtual_service: str
    namespace: str
    route: str
    destination: str
    weight: int


class ForeignEdit(Payload):
    """What somebody else did to a route between two writes of a release, which the release then overwrote."""

    virtual_service: str
    namespace: str
    route: str
    what: str  # what was found and what should have stood
    manager: str = ""  # field manager that wrote the routes last, empty where the object does not say


class TrafficState(Payload):
    """What the mesh was told last: the routes as read back, and the canary's share in percent."""

    canary: int
    routes: tuple[RouteState, ...] = ()
    managed: tuple[ManagedRoute, ...] = ()  # in order of precedence
    updated: tuple[str, ...] = ()  # VirtualServices, as `name.namespace`, in which something had to change
    removed: tuple[RemovedDestination, ...] = ()
    foreign: tuple[ForeignEdit, ...] = ()
    missing: tuple[str, ...] = ()  # VirtualServices that do not exist, as `name.namespace`; only after an abort
    refused: str = ""  # what the cluster says against the way back; the routes are then as they were read


class ShiftTraffic(Payload):
    """Send `weight` percent to the canary, provided that `replica_set` has `needed` available pods (law 1).

    The stable side is judged alike where `stable_replica_set` is given: nothing is written while it has fewer than
    `stable_needed` available pods. `last` is the result of the release's write before this one.
    """

    target: Target
    istio: Istio
    weight: int
    replica_set: str
    needed: int
    fence: Fence
    stable_replica_set: str = ""
    stable_needed: int = 0
    experiments: tuple[ExperimentWeight, ...] = ()
    last: TrafficState | None = None


class SetManagedRoute(Payload):
    """Add or replace the route of a `setHeaderRoute` or `setMirrorRoute` step; a step without `match` removes it.

    Requests that match go to the canary, wholly or as copies, so that its pods are counted as for a weight (law 1).
    Exactly one of `header` and `mirror` is given, as the step has it.
    """

    target: Target
    istio: Istio
    header: Document | None = None
    mirror: Document | None = None
    replica_set: str
    needed: int = 1
    fence: Fence
    last: TrafficState | None = None


class RemoveManagedRoutes(Payload):
    """Remove all managed routes and leave the weights as they are."""

    target: Target
    istio: Istio
    fence: Fence
    last: TrafficState | None = None


class PointSubsets(Payload):
    """Label the subsets of a DestinationRule with `rollouts-pod-template-hash`: subset name -> hash, empty: no label.

    `experiments` are labelled alike, and added where they are missing. Any other subset is deleted unless `keep` names
    it; with `keep` None all stay. Nothing is written before each ReplicaSet of `after` that is scaled up is fully
    available: without Services of their own, the subsets alone decide which pods a request reaches.
    """

    target: Target
    destination_rule: str
    hashes: dict[str, str]
    fence: Fence
    experiments: dict[str, str] = Field(default_factory=dict)
    keep: tuple[str, ...] | None = None
    after: tuple[str, ...] = ()


class SubsetState(Payload):
    """What was done to a DestinationRule."""

    updated: bool
    removed: tuple[str, ...] = ()  # subsets that were deleted


class RestoreStable(Payload):
    """The traffic part of an abort: all weight to stable and no managed route, read back, then the canary Service.

    `failing` is what the release knows that the cluster refuses: of that it hears no more, and it is tried again.
    """

    target: Target
    istio: Istio
    stable_hash: str
    fence: Fence
    last: TrafficState | None = None
    failing: tuple[str, ...] = ()
