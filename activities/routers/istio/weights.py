"""The JSON Patch that sets weights in a VirtualService: single weights, never the list that holds them. Pure.

Rules: argo-rollouts, traffic routing with Istio. Canary gets its weight, stable what is left after experiments and
additional subsets, whose weights are left alone; a destination that is none of these is deleted.
"""

from __future__ import annotations

from collections.abc import Sequence

from activities.kubernetes.client import VIRTUAL_SERVICES, Object
from activities.kubernetes.json_patch import Operation, put
from activities.routers.istio.managed_routes import removals
from activities.routers.istio.routes import Routes
from activities.routers.router import ExperimentWeight, RouteChange, invalid
from tidegate.contract import RemovedDestination, Routing
from tidegate.manifests.network import RouteDestination
from tidegate.manifests.rollout import MAX_WEIGHT, IstioVirtualService
from tidegate.manifests.routes import EditedRoute, RouteRole, short_host


def shift(
    found: Object,
    setting: IstioVirtualService,
    istio: Routing,
    *,
    weight: int,
    experiments: Sequence[ExperimentWeight] = (),
) -> RouteChange:
    """`weight` percent of each of the release's routes to the canary, of its mirror routes too.

    Raises `InvalidSpec` when a route is missing, or lacks a side.
    """
    routes = Routes.read(found, setting, istio)
    routes.check()
    return _joined([_split(routes, route, weight, experiments) for route in routes.split()])


def restore(found: Object, setting: IstioVirtualService, istio: Routing) -> RouteChange:
    """All weight to stable and every managed route away, in one write.

    A route that lost its canary side needs no weight there, so that only a missing stable side is `InvalidSpec`.
    """
    routes = Routes.read(found, setting, istio)
    weighted = routes.weighted()
    for route in weighted:
        if RouteRole.STABLE not in _roles(routes, route):
            raise invalid(f"VirtualService {routes.name}: route {route.label} has no stable side to go back to")
    change = _joined([_split(routes, route, 0, ()) for route in weighted])
    return change._replace(
        operations=[*change.operations, *removals(routes, routes.managed)],
        converged=change.converged | set(routes.managed),
    )


def _split(routes: Routes, route: EditedRoute, weight: int, experiments: Sequence[ExperimentWeight]) -> RouteChange:
    path = f"/spec/{route.protocol}/{route.position}/route"
    shares = _shares(routes, route, weight, experiments)
    operations: list[Operation] = []
    unwanted: list[int] = []
    for index, each in enumerate(route.destinations):
        share = shares.get(index)
        if share is not None and share != each.weight:
            operations.append(put(f"{path}/{index}/weight", share))
        elif share is None and each.weight:
            unwanted.append(index)
    hosts = {short_host(each.destination) for each in route.destinations}
    operations += [
        put(f"{path}/-", {"destination": {"host": f"{each.service}{_domain(routes, route)}"}, "weight": each.weight})
        for each in experiments
        if each.weight and each.service not in hosts
    ]
    # From the last to the first: a removal moves what comes after it.
    operations += [{"op": "remove", "path": f"{path}/{index}"} for index in reversed(unwanted)]
    return RouteChange(
        operations=operations,
        removed=tuple(_removed(routes, route, route.destinations[index]) for index in unwanted),
        converged=frozenset() if operations else frozenset({route.label}),
    )


def _shares(routes: Routes, route: EditedRoute, weight: int, experiments: Sequence[ExperimentWeight]) -> dict[int, int]:
    """Percent by position of each destination that is to stay."""
    wanted = {each.service: each.weight for each in experiments}
    placed = list(enumerate(zip(_roles(routes, route), route.destinations, strict=True)))
    kept = {index: each.weight for index, (role, each) in placed if role is RouteRole.ADDITIONAL}
    stable = max(0, MAX_WEIGHT - weight - sum(wanted.values()) - sum(kept.values()))
    sides = {RouteRole.CANARY: weight, RouteRole.STABLE: stable}
    shares = kept | {index: sides[role] for index, (role, _) in placed if role in sides}
    for index, (role, each) in placed:
        if role is RouteRole.OTHER and short_host(each.destination) in wanted:
            shares[index] = wanted[short_host(each.destination)]
    return shares


def _domain(routes: Routes, route: EditedRoute) -> str:
    """Suffix of the stable Service's name in its host: in another namespace a bare name means another Service."""
    sides = zip(_roles(routes, route), route.destinations, strict=True)
    host = next((each.destination.host for role, each in sides if role is RouteRole.STABLE), "")
    return host[len(host.partition(".")[0]) :]


def _roles(routes: Routes, route: EditedRoute) -> list[RouteRole]:
    return [routes.sides.role(each.destination) for each in route.destinations]


def _removed(routes: Routes, route: EditedRoute, each: RouteDestination) -> RemovedDestination:
    subset = f" subset {each.destination.subset}" if each.destination.subset else ""
    return RemovedDestination(
        kind=VIRTUAL_SERVICES.kind,
        name=routes.name,
        namespace=routes.namespace,
        route=route.label,
        destination=f"{each.destination.host}{subset}",
        weight=each.weight,
    )


def _joined(changes: list[RouteChange]) -> RouteChange:
    """Changes of different routes as one; none of them moves what another one points at."""
    return RouteChange(
        operations=[operation for change in changes for operation in change.operations],
        removed=tuple(removed for change in changes for removed in change.removed),
        converged=frozenset[str]().union(*(change.converged for change in changes)),
    )
