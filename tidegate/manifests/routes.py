"""Routes of a VirtualService on which a release sets weights, and the version of each of their destinations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Literal, NamedTuple

from tidegate.manifests.network import Destination, L4Route, RouteDestination, VirtualServiceSpec
from tidegate.manifests.rollout import Canary, IstioDestinationRule, IstioVirtualService, PingPong

Protocol = Literal["http", "tls", "tcp"]
PROTOCOLS: tuple[Protocol, ...] = ("http", "tls", "tcp")
_SETTING: dict[Protocol, str] = {"http": "routes", "tls": "tlsRoutes", "tcp": "tcpRoutes"}


class EditedRoute(NamedTuple):
    """A route that is edited: its protocol and position in `spec`, its name (HTTP only), and where it leads."""

    protocol: Protocol
    position: int
    name: str
    destinations: Sequence[RouteDestination]

    @property
    def label(self) -> str:
        """Its name, or its position as `http[0]`."""
        return self.name or f"{self.protocol}[{self.position}]"


class RouteError(ValueError):
    """Routes that are missing, ambiguous, or lead to one version only; the text is Argo's where Argo has one."""


class RouteRole(StrEnum):
    """Role of a destination in a release."""

    STABLE = "stable"
    CANARY = "canary"
    ADDITIONAL = "additional"  # a subset that the Rollout names and whose weight is left alone
    OTHER = "other"


class Sides(NamedTuple):
    """Names of the destinations in a Rollout's routes: Services, and subsets with a rule."""

    stable_service: str
    canary_service: str
    rule: IstioDestinationRule | None = None

    @classmethod
    def of(cls, canary: Canary) -> Sides:
        """The sides of a strategy. Of two Services that swap roles, the pong one is taken for stable."""
        pair = canary.ping_pong or PingPong()
        return cls(
            stable_service=canary.stable_service or pair.pong_service,
            canary_service=canary.canary_service or pair.ping_service,
            rule=canary.istio.destination_rule if canary.istio else None,
        )

    def role(self, destination: Destination) -> RouteRole:
        """Role by subset where the Rollout has a DestinationRule, else by the host up to its first dot."""
        if self.rule is not None and destination.subset:
            if destination.subset == self.rule.canary_subset_name:
                return RouteRole.CANARY
            if destination.subset == self.rule.stable_subset_name:
                return RouteRole.STABLE
            if destination.subset in self.rule.additional_subset_names:
                return RouteRole.ADDITIONAL
        service = short_host(destination)
        if service and service == self.canary_service:
            return RouteRole.CANARY
        return RouteRole.STABLE if service and service == self.stable_service else RouteRole.OTHER


def short_host(destination: Destination) -> str:
    """Name of the Service that a destination's host is, which may be written with namespace and domain."""
    return destination.host.partition(".")[0]


def edited_routes(
    setting: IstioVirtualService, spec: VirtualServiceSpec, protocol: Protocol, managed: Collection[str] = ()
) -> list[EditedRoute]:
    """Routes of one protocol whose weights a release sets; none when the VirtualService has none of that protocol.

    Those that the Rollout names, or the only one where it names none; `managed` routes come from releases themselves
    and do not count. Raises RouteError for a name that does not exist, and where it is not clear which route is meant.
    """
    routes = [route for route in _routes(spec, protocol) if not route.name or route.name not in managed]
    if not routes:
        return []
    if chosen := _chosen(setting, spec, protocol, routes):
        return chosen
    if len(routes) > 1:
        raise RouteError(
            f"spec.{protocol}[] should be set in VirtualService and it must have exactly one route when omitting "
            f"spec.strategy.canary.trafficRouting.istio.virtualService.{_SETTING[protocol]}"
        )
    return routes


def judged_routes(setting: IstioVirtualService, spec: VirtualServiceSpec, protocol: Protocol) -> list[EditedRoute]:
    """Routes of one protocol that Argo checks for both sides, before it checks that they are unambiguous.

    These are the routes that the Rollout names, or the only one where it names none, or the first one without a name.
    Raises RouteError for a name that does not exist.
    """
    routes = list(_routes(spec, protocol))
    if chosen := _chosen(setting, spec, protocol, routes):
        return chosen
    unnamed = [route for route in routes if protocol != "http" or not route.name]
    return routes if len(routes) == 1 else unnamed[:1]


def managed_names(canary: Canary) -> list[str]:
    """Names of the routes that releases may add and remove, first in precedence first."""
    routing = canary.traffic_routing
    return [route.name for route in (routing.managed_routes if routing else None) or ()]


def mirror_routes(spec: VirtualServiceSpec, managed: Collection[str]) -> list[EditedRoute]:
    """Mirror routes that releases added: requests that match them are split as all others are."""
    return [
        route
        for route in _routes(spec, "http")
        if route.name and route.name in managed and spec.http[route.position].mirror is not None
    ]


def check_sides(route: EditedRoute, sides: Sides) -> None:
    """Raises RouteError for a route that lacks the stable or the canary side."""
    if (rule := sides.rule) is not None:
        found = {each.destination.subset for each in route.destinations}
        names = (("Canary", rule.canary_subset_name), ("Stable", rule.stable_subset_name))
        thing = "DestinationRule subset"
    else:
        found = {short_host(each.destination) for each in route.destinations}
        names = (("Canary", sides.canary_service), ("Stable", sides.stable_service))
        thing = "Service"
    for side, name in names:
        if not name or name not in found:
            raise RouteError(f"{side} {thing} '{name}' not found in route")


def check_once(route: EditedRoute, sides: Sides) -> None:
    """Raises RouteError for a route that leads to a side twice; Argo gives each of the two the whole share."""
    roles = [sides.role(each.destination) for each in route.destinations]
    for role in (RouteRole.CANARY, RouteRole.STABLE):
        if roles.count(role) > 1:
            raise RouteError(f"route {route.label} leads to {role} more than once, so that its share is not its weight")


def _routes(spec: VirtualServiceSpec, protocol: Protocol) -> Iterator[EditedRoute]:
    if protocol == "http":
        for index, route in enumerate(spec.http):
            yield EditedRoute("http", index, route.name, route.route)
    else:
        for index, l4_route in enumerate(spec.tls if protocol == "tls" else spec.tcp):
            yield EditedRoute(protocol, index, "", l4_route.route)


def _chosen(
    setting: IstioVirtualService, spec: VirtualServiceSpec, protocol: Protocol, routes: Sequence[EditedRoute]
) -> list[EditedRoute]:
    """Those of the routes that the Rollout names; none where it leaves them out."""
    if protocol == "http":
        return _distinct(_named(routes, name) for name in setting.routes)
    if protocol == "tls":
        chosen = [(match.port, match.sni_hosts) for match in setting.tls_routes]
        return _distinct(route for port, hosts in chosen for route in _matching(routes, spec.tls, port, hosts))
    return _distinct(route for match in setting.tcp_routes for route in _matching(routes, spec.tcp, match.port, None))


def _distinct(routes: Iterable[EditedRoute]) -> list[EditedRoute]:
    return list({route.position: route for route in routes}.values())


def _named(routes: Sequence[EditedRoute], name: str) -> EditedRoute:
    for route in routes:
        if route.name == name:
            return route
    raise RouteError(f"HTTP Route '{name}' is not found in the defined Virtual Service.")


def _matching(
    routes: Sequence[EditedRoute], declared: Sequence[L4Route], port: int, hosts: Collection[str] | None
) -> list[EditedRoute]:
    found = [route for route in routes if _matches(declared[route.position], port, hosts)]
    if not found:
        kind = "TCP" if hosts is None else "TLS"
        raise RouteError(f"No matching {kind} routes found in the defined Virtual Service.")
    return found


def _matches(route: L4Route, port: int, hosts: Collection[str] | None) -> bool:
    """True when a route is for this port alone (0: its matches name none) and, for TLS, for exactly these SNI hosts."""
    ports = {match.port for match in route.match} or {0}
    return ports == {port} and (
        hosts is None or {host for match in route.match for host in match.sni_hosts} == set(hosts)
    )
