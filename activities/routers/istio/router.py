"""Istio as a router: the VirtualServices of a Rollout, and the host of its DestinationRule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from activities.kubernetes.client import DESTINATION_RULES, VIRTUAL_SERVICES, Object, Reader, Resource
from activities.routers.istio import managed_routes, weights
from activities.routers.istio.routes import Routes
from activities.routers.router import ExperimentWeight, ManagedStep, RouteChange, RoutedState, missing
from tidegate.contract import Document, Routing
from tidegate.manifests.rollout import IstioVirtualService
from tidegate.manifests.routes import PROTOCOLS


@dataclass(frozen=True)
class RoutedVirtualService:
    """One VirtualService, as `RoutedObject` says."""

    setting: IstioVirtualService
    routing: Routing
    own: str  # the Rollout's namespace

    @property
    def resource(self) -> Resource:
        """VirtualServices."""
        return VIRTUAL_SERVICES

    @property
    def namespace(self) -> str:
        """Its own, or the Rollout's."""
        return self.setting.located(self.own)[1]

    @property
    def name(self) -> str:
        """Name without the namespace."""
        return self.setting.located(self.own)[0]

    @property
    def fields(self) -> Sequence[Sequence[str]]:
        """The routes of each protocol."""
        return [("spec", protocol) for protocol in PROTOCOLS]

    def shift(self, found: Object, weight: int, experiments: Sequence[ExperimentWeight]) -> RouteChange:
        """As `weights.shift`."""
        return weights.shift(found, self.setting, self.routing, weight=weight, experiments=experiments)

    def set_route(self, found: Object, step: ManagedStep, canary_host: str) -> RouteChange:
        """As `managed_routes.set_route`: a Service's short name means something else in another namespace."""
        host = canary_host if self.namespace == self.own else ""
        return managed_routes.set_route(found, self.setting, self.routing, step=step, canary_host=host)

    def restore(self, found: Object) -> RouteChange:
        """As `weights.restore`."""
        return weights.restore(found, self.setting, self.routing)

    def read(self, found: Object | None) -> RoutedState:
        """Rows of the routes that are split. Raises as `Routes.weighted`."""
        if found is None:
            raise missing(VIRTUAL_SERVICES, self.name)
        routes = Routes.read(found, self.setting, self.routing)
        return RoutedState(tuple(routes.rows()), tuple(routes.standing()))

    def body(self, weight: int) -> None:
        """A release creates no VirtualService."""

    def event(self, weight: int, *, created: bool) -> None:
        """Nothing: Argo's Event is one of its own object."""


@dataclass(frozen=True)
class IstioRouter:
    """Router of a Rollout with VirtualServices, as `Router` says."""

    routing: Routing
    namespace: str

    async def objects(self, reader: Reader, *, back: bool = False) -> Sequence[RoutedVirtualService]:
        """One for each VirtualService that the Rollout names; nothing is read."""
        return [RoutedVirtualService(each, self.routing, self.namespace) for each in self.routing.virtual_services]

    async def canary_host(self, reader: Reader) -> str:
        """The canary Service, or the host of the DestinationRule. Raises `NotFound` where that is missing."""
        if (rule := self.routing.destination_rule) is None:
            return self.routing.canary_service
        found = await reader.find(DESTINATION_RULES, self.namespace, rule.name)
        if found is None:
            raise missing(DESTINATION_RULES, rule.name)
        return str(found["spec"].get("host", ""))

    async def with_ports(self, reader: Reader, experiments: Sequence[ExperimentWeight]) -> Sequence[ExperimentWeight]:
        """As they are: a route names the host alone."""
        return experiments

    async def observe(self, reader: Reader) -> Mapping[str, Document | None]:
        """The VirtualServices, and the DestinationRule."""
        found: dict[str, Document | None] = {}
        for each in await self.objects(reader):
            document = await reader.find(VIRTUAL_SERVICES, each.namespace, each.name)
            found[f"VirtualService/{each.name}.{each.namespace}"] = document
        if (rule := self.routing.destination_rule) is not None:
            document = await reader.find(DESTINATION_RULES, self.namespace, rule.name)
            found[f"DestinationRule/{rule.name}.{self.namespace}"] = document
        return found
