"""The JSON Patch that adds, replaces and removes header and mirror routes: single routes, never the list. Pure.

Rules: argo-rollouts, traffic routing with Istio. Managed routes come before all others, in the order of
`managedRoutes`: Istio takes the first route that matches.
"""

from __future__ import annotations

from collections.abc import Collection

from activities.kubernetes.client import Object
from activities.kubernetes.json_patch import Operation, put
from activities.routers.istio.routes import Routes
from activities.routers.router import ManagedStep, RouteChange, invalid
from tidegate.contract import Routing
from tidegate.manifests.network import Destination
from tidegate.manifests.rollout import MAX_WEIGHT, IstioVirtualService
from tidegate.manifests.routes import RouteRole
from tidegate.manifests.steps import HeaderMatch, RouteMatch, SetHeaderRoute, StringMatch


def set_route(
    found: Object, setting: IstioVirtualService, istio: Routing, *, step: ManagedStep, canary_host: str = ""
) -> RouteChange:
    """The route of a step in its place, or gone where the step has no match.

    `canary_host` is the Service that the canary's pods are behind; empty: as the route that is split writes it.
    Raises `InvalidSpec` where no HTTP route is split, of which the new one could be a special case.
    """
    routes = Routes.read(found, setting, istio)
    if step.name not in routes.managed:
        raise invalid(f"route {step.name!r} is not one of trafficRouting.managedRoutes: add it there")
    converged = frozenset({step.name})
    if not step.match:
        return RouteChange(removals(routes, {step.name}), converged=converged)
    return RouteChange(_placed(routes, step.name, _route(routes, step, canary_host)), converged=converged)


def removals(routes: Routes, names: Collection[str]) -> list[Operation]:
    """Operations that remove the HTTP routes of these names, from the last to the first: a removal moves the rest."""
    return [
        {"op": "remove", "path": f"/spec/http/{index}"}
        for index, route in reversed(list(enumerate(routes.http)))
        if route.get("name") in names
    ]


def _placed(routes: Routes, name: str, wanted: Object) -> list[Operation]:
    """Operations that leave `wanted` as the only route of its name, and all managed routes in front and in order."""
    doubled = [index for index, route in enumerate(routes.http) if route.get("name") == name][1:]
    operations: list[Operation] = [{"op": "remove", "path": f"/spec/http/{index}"} for index in reversed(doubled)]
    names = [route.get("name") for index, route in enumerate(routes.http) if index not in doubled]
    if name in names:
        position = names.index(name)
        if routes.http[position] != wanted:
            operations.append({"op": "replace", "path": f"/spec/http/{position}", "value": wanted})
    else:
        operations.append(put("/spec/http/0", wanted))
        names.insert(0, name)
    in_order = sorted((each for each in names if each in routes.managed), key=routes.managed.index)
    for target, each in enumerate(in_order):
        position = names.index(each, target)
        if position != target:
            operations.append({"op": "move", "from": f"/spec/http/{position}", "path": f"/spec/http/{target}"})
            names.insert(target, names.pop(position))
    return operations


def _route(routes: Routes, step: ManagedStep, canary_host: str) -> Object:
    split = next((route for route in routes.weighted() if route.protocol == "http"), None)
    if split is None or not split.destinations:
        raise invalid(f"VirtualService {routes.name}: route {step.name!r} needs an http route that is split")
    destinations: list[Object] = routes.http[split.position]["route"]
    subset = routes.sides.rule.canary_subset_name if routes.sides.rule else ""
    canary: Object = {"host": canary_host or _written_host(routes, [each.destination for each in split.destinations])}
    if port := destinations[0]["destination"].get("port"):
        canary["port"] = port
    if subset:
        canary["subset"] = subset
    if isinstance(step, SetHeaderRoute):
        return {
            "name": step.name,
            "match": [_header_match(match) for match in step.match],
            "route": [{"destination": canary, "weight": MAX_WEIGHT}],
        }
    return {
        "name": step.name,
        "match": [_request_match(match) for match in step.match],
        "route": [{key: value for key, value in each.items() if key != "weight" or value} for each in destinations],
        "mirror": canary,
        "mirrorPercentage": {"value": MAX_WEIGHT if step.percentage is None else step.percentage},
    }


def _written_host(routes: Routes, destinations: list[Destination]) -> str:
    for each in destinations:
        if routes.sides.role(each) is RouteRole.CANARY:
            return each.host
    raise invalid(f"VirtualService {routes.name}: it has no canary destination")


def _header_match(match: HeaderMatch) -> Object:
    return {"headers": {match.header_name: _text(match.header_value)}}


def _request_match(match: RouteMatch) -> Object:
    fields = {"method": match.method and _text(match.method), "uri": match.path and _text(match.path)}
    headers = {name: _text(value) for name, value in match.headers.items()}
    return {key: value for key, value in (*fields.items(), ("headers", headers)) if value}


def _text(match: StringMatch | None) -> Object:
    return {kind: getattr(match, kind) for kind in match.given()} if match else {}
