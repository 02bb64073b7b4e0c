"""Which routes of a VirtualService a release sets weights on, and whether they lead to both versions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Literal, NamedTuple

from tidegate.manifests.network import L4Route, RouteDestination, VirtualServiceSpec
from tidegate.manifests.rollout import Canary, IstioVirtualService, PingPong

Protocol = Literal["http", "tls", "tcp"]
PROTOCOLS: tuple[Protocol, ...] = ("http", "tls", "tcp")
_SETTING: dict[Protocol, str] = {"http": "routes", "tls": "tlsRoutes", "tcp": "tcpRoutes"}


class EditedRoute(NamedTuple):
    """A route that is edited: its protocol and position in `spec`, its name (HTTP only), and where it leads."""

    protocol: Protocol
    position: int
    name: str
    destinations: Sequence[RouteDestination]


class RouteError(ValueError):
    """Routes that are missing, ambiguous, or lead to one version only; the text is Argo's."""


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
    if protocol == "http" and setting.routes:
        return [_named(routes, name) for name in setting.routes]
    if protocol == "tls" and setting.tls_routes:
        chosen = [(wanted.port, wanted.sni_hosts) for wanted in setting.tls_routes]
        return [route for port, hosts in chosen for route in _matching(routes, spec.tls, port, hosts)]
    if protocol == "tcp" and setting.tcp_routes:
        return [route for wanted in setting.tcp_routes for route in _matching(routes, spec.tcp, wanted.port, None)]
    if len(routes) > 1:
        raise RouteError(
            f"spec.{protocol}[] should be set in VirtualService and it must have exactly one route when omitting "
            f"spec.strategy.canary.trafficRouting.istio.virtualService.{_SETTING[protocol]}"
        )
    return routes


def check_sides(route: EditedRoute, canary: Canary) -> None:
    """Raises RouteError for a route that lacks the stable or the canary side.

    A side is a subset where the Rollout has a DestinationRule, else a Service, found by its host up to the first dot.
    """
    rule = canary.istio.destination_rule if canary.istio else None
    if rule is not None:
        found = {each.destination.subset for each in route.destinations}
        sides = (("Canary", rule.canary_subset_name), ("Stable", rule.stable_subset_name))
        thing = "DestinationRule subset"
    else:
        found = {each.destination.host.partition(".")[0] for each in route.destinations}
        # Of two Services that swap roles, the pong one is stable until a promotion says otherwise.
        ping_pong = canary.ping_pong or PingPong()
        stable, new = canary.stable_service or ping_pong.pong_service, canary.canary_service or ping_pong.ping_service
        sides = (("Canary", new), ("Stable", stable))
        thing = "Service"
    for side, name in sides:
        if name not in found:
            raise RouteError(f"{side} {thing} '{name}' not found in route")


def _routes(spec: VirtualServiceSpec, protocol: Protocol) -> Iterator[EditedRoute]:
    if protocol == "http":
        for index, route in enumerate(spec.http):
            yield EditedRoute("http", index, route.name, route.route)
    else:
        for index, l4_route in enumerate(spec.tls if protocol == "tls" else spec.tcp):
            yield EditedRoute(protocol, index, "", l4_route.route)


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
    """Whether a route is for this port (0: any) and, for TLS, for exactly these hosts (none given: any)."""
    return any(
        (not port or match.port == port) and (not hosts or set(match.sni_hosts) == set(hosts)) for match in route.match
    )
