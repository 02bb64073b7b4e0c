"""Payloads of the activities that split traffic."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainSerializer

from tidegate.contract.payload import Document, Payload
from tidegate.contract.writes import Fence, Target
from tidegate.manifests.gateway_api import GatewayApi
from tidegate.manifests.model import Model
from tidegate.manifests.rollout import MAX_WEIGHT, Canary, IstioDestinationRule, IstioVirtualService, Nginx
from tidegate.manifests.routes import Sides
from tidegate.manifests.shares import percent_of
from tidegate.manifests.steps import SetHeaderRoute


def _as_written(part: Model) -> Document:
    return part.to_wire()


class Routing(Payload):
    """Where the traffic of a Rollout is split: the routing part of the spec, in the form that the activities need.

    On the wire the settings of a router are as in the manifest: the fields that were given, in camelCase.
    """

    stable_service: str
    canary_service: str
    virtual_services: tuple[Annotated[IstioVirtualService, PlainSerializer(_as_written)], ...] = ()
    destination_rule: Annotated[IstioDestinationRule, PlainSerializer(_as_written)] | None = None
    gateway_api: Annotated[GatewayApi, PlainSerializer(_as_written)] | None = None
    nginx: Annotated[Nginx, PlainSerializer(_as_written)] | None = None
    managed_routes: tuple[str, ...] = ()  # names of the routes that releases add and remove, first in precedence first
    header_routes: tuple[Annotated[SetHeaderRoute, PlainSerializer(_as_written)], ...] = ()  # as the steps ask for them
    max_traffic_weight: int | None = None  # all of the traffic, in the units of a weight; None: 100

    @classmethod
    def of(cls, canary: Canary) -> Routing | None:
        """The routing of a canary strategy, None when no router has its traffic. Raises as `Canary.gateway_api`."""
        istio, gateway_api, nginx = canary.istio, canary.gateway_api, canary.nginx
        virtual_services = istio.all_virtual_services() if istio is not None else ()
        if not virtual_services and gateway_api is None and nginx is None:
            return None
        return cls(
            stable_service=canary.stable_service,
            canary_service=canary.canary_service,
            virtual_services=virtual_services,
            destination_rule=istio.destination_rule if istio is not None else None,
            gateway_api=gateway_api,
            nginx=nginx,
            managed_routes=_managed_routes(canary),
            header_routes=tuple(
                route for step in canary.steps if (route := step.set_header_route) is not None and route.match
            ),
            max_traffic_weight=canary.traffic_routing.max_traffic_weight if canary.traffic_routing else None,
        )

    @property
    def max_weight(self) -> int:
        """All of the traffic, in the units of a weight."""
        return MAX_WEIGHT if self.max_traffic_weight is None else self.max_traffic_weight

    @property
    def sides(self) -> Sides:
        """Destinations of stable and canary in a route."""
        return Sides(self.stable_service, self.canary_service, self.destination_rule)


def _managed_routes(canary: Canary) -> tuple[str, ...]:
    """Names that the Rollout declares, then those that only its steps have, which have to go at the end as well."""
    declared = (canary.traffic_routing and canary.traffic_routing.managed_routes) or ()
    steps = [step.set_header_route or step.set_mirror_route for step in canary.steps]
    return tuple(dict.fromkeys(route.name for route in (*declared, *steps) if route is not None and route.name))


class _OfRoute(Payload):
    """One route, and the object of the router that it is in."""

    kind: str
    name: str
    namespace: str
    route: str  # its name, or its position as `http[0]`


class RouteState(_OfRoute):
    """Weights of one edited route, read back, by destination role: shares of `TrafficState.maximum`."""

    stable: int
    canary: int
    others: dict[str, int] = Field(default_factory=dict)  # experiments and additional subsets, by host or subset


class ManagedRouteState(_OfRoute):
    """A header or mirror route that stands in an object."""


class RemovedDestination(_OfRoute):
    """A destination that was neither side, no experiment and no additional subset, and was deleted (Argo's rule)."""

    destination: str
    weight: int


class ExternalChange(_OfRoute):
    """A change of a route by another writer between two writes of a release, which the release then overwrote."""

    what: str  # the value found and the value expected
    manager: str = ""  # field manager that wrote the routes last, empty where the object does not say


class TrafficState(Payload):
    """The routes as read back after the last write, and the canary's share of `maximum`."""

    canary: int
    maximum: int = MAX_WEIGHT
    routes: tuple[RouteState, ...] = ()
    managed: tuple[ManagedRouteState, ...] = ()  # in order of precedence
    updated: tuple[str, ...] = ()  # objects, as `name.namespace`, in which something had to change
    removed: tuple[RemovedDestination, ...] = ()
    external_changes: tuple[ExternalChange, ...] = ()
    missing: tuple[str, ...] = ()  # objects that do not exist, as `name.namespace`; only after an abort
    refused: str = ""  # the rejection of the way back; the routes are then as they were read
    events: tuple[tuple[str, str], ...] = ()  # reason and text of each Event of Argo's router for a write
    converged: bool = True  # a write of the weights in force would change nothing
    verified: bool = True  # False where the router cannot say that what was asked is in force

    @property
    def percent(self) -> int:
        """The canary's share in percent; 0 and 100 only where it is nothing and all."""
        return percent_of(self.canary, self.maximum)


class RestoreStable(Payload):
    """The traffic part of an abort: all weight to stable and no managed route, read back, then the canary Service."""

    target: Target
    routing: Routing
    stable_hash: str
    fence: Fence
    last: TrafficState | None = None
    failing: tuple[str, ...] = ()  # known rejections: they are retried, only another one is returned


class SelectStable(Payload):
    """The traffic part of a blue-green abort: `activeService` back to the stable version."""

    target: Target
    service: str
    stable_hash: str
    replica_set: str  # of the stable version; empty: it has none
    fence: Fence


class SelectedStable(Payload):
    """Result of `SelectStable`: passes have to move the Service where it is not done."""

    done: bool
    before: str = ""  # the hash that the Service selected until then
