"""One VirtualService as a release sees it: the routes it may touch, what stands in them, where the object is. Pure.

Rules: argo-rollouts, traffic routing with Istio. What is not read here is never written.
"""

from __future__ import annotations

from dataclasses import dataclass

from activities.kubernetes.client import VIRTUAL_SERVICES, Object
from activities.routers.router import invalid
from tidegate.contract import ManagedRouteState, RouteState, Routing
from tidegate.manifests.network import VirtualServiceSpec
from tidegate.manifests.rollout import IstioVirtualService
from tidegate.manifests.routes import (
    PROTOCOLS,
    EditedRoute,
    RouteError,
    RouteRole,
    Sides,
    check_once,
    check_sides,
    edited_routes,
    mirror_routes,
)


@dataclass(frozen=True)
class Routes:
    """A VirtualService that was read, with the Rollout's setting for it."""

    found: Object
    setting: IstioVirtualService
    sides: Sides
    spec: VirtualServiceSpec
    managed: tuple[str, ...]  # names of managed routes, first in precedence first

    @classmethod
    def read(cls, found: Object, setting: IstioVirtualService, istio: Routing) -> Routes:
        """Raises `InvalidSpec` for an object that cannot be understood."""
        try:
            spec = VirtualServiceSpec.model_validate(found["spec"])
        except ValueError as error:
            raise invalid(f"VirtualService {found['metadata']['name']}: {error}") from error
        # A route whose weights the Rollout asks for is never one that a release takes away.
        managed = tuple(name for name in istio.managed_routes if name not in setting.routes)
        return cls(found, setting, istio.sides, spec, managed)

    @property
    def name(self) -> str:
        """Name of the VirtualService."""
        return str(self.found["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Namespace of the VirtualService."""
        return str(self.found["metadata"].get("namespace", ""))

    @property
    def http(self) -> list[Object]:
        """The HTTP routes as they were sent."""
        return list(self.found["spec"].get("http") or [])

    def weighted(self) -> list[EditedRoute]:
        """Routes of every protocol whose weights are the release's; `InvalidSpec` when one is missing or ambiguous."""
        try:
            routes = [
                route
                for protocol in PROTOCOLS
                for route in edited_routes(self.setting, self.spec, protocol, self.managed)
            ]
        except RouteError as error:
            raise invalid(f"VirtualService {self.name}: {error}") from error
        if not routes:
            raise invalid(f"VirtualService {self.name}: it has no http, tls or tcp route whose weights could be set")
        return routes

    def check(self) -> None:
        """Raises `InvalidSpec` unless each route that is split leads to both sides, as the rows' shares suppose."""
        for route in self.split():
            try:
                check_sides(route, self.sides)
                check_once(route, self.sides)
            except RouteError as error:
                raise invalid(f"VirtualService {self.name}: {error}") from error

    def mirrors(self) -> list[EditedRoute]:
        """Managed mirror routes, whose weights follow."""
        return mirror_routes(self.spec, self.managed)

    def split(self) -> list[EditedRoute]:
        """All routes that are split between the sides. Raises as `weighted`."""
        return [*self.mirrors(), *self.weighted()]

    def rows(self) -> list[RouteState]:
        """The weights that stand now, a row for each route that is split. Raises as `weighted`."""
        return [self._row(route) for route in self.split()]

    def standing(self) -> list[ManagedRouteState]:
        """Managed routes that stand now, in order of precedence."""
        return [
            ManagedRouteState(kind=VIRTUAL_SERVICES.kind, name=self.name, namespace=self.namespace, route=route.name)
            for route in self.spec.http
            if route.name in self.managed
        ]

    def _row(self, route: EditedRoute) -> RouteState:
        sums = {RouteRole.STABLE: 0, RouteRole.CANARY: 0}
        others: dict[str, int] = {}
        for each in route.destinations:
            role = self.sides.role(each.destination)
            if role in sums:
                sums[role] += each.weight
            else:
                others[each.destination.subset or each.destination.host] = each.weight
        return RouteState(
            kind=VIRTUAL_SERVICES.kind,
            name=self.name,
            namespace=self.namespace,
            route=route.label,
            stable=sums[RouteRole.STABLE],
            canary=sums[RouteRole.CANARY],
            others=others,
        )
