"""Which weights of a VirtualService are ours, and the JSON Patch that changes them. Pure.

Rules: argo-rollouts, traffic routing with Istio. A destination is matched by its host up to the first dot, or by its
subset when a DestinationRule is configured. Nothing but weights is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporalio.exceptions import ApplicationError

from activities.cluster import Object, Operation, put
from tidegate.contract import ErrorType, Istio, RouteState, TrafficState
from tidegate.manifests.network import VirtualServiceSpec
from tidegate.manifests.rollout import IstioVirtualService
from tidegate.manifests.routes import edited_routes


def weight_operations(found: Object, reference: Mapping[str, Any], istio: Istio, weight: int) -> list[Operation]:
    """Operations that send `weight` percent of each of our routes to the canary and the rest to stable.

    Empty when they stand like that already. Raises `InvalidSpec` when a route is missing, lacks a side, or
    sends weight to a third destination.
    """
    operations: list[Operation] = []
    for index, route in _routes(found, reference):
        for role, position, destination in _sides(found, route, istio):
            wanted = weight if role == "canary" else 100 - weight
            if destination.get("weight") != wanted:
                operations.append(put(f"/spec/http/{index}/route/{position}/weight", wanted))
    return operations


def read_routes(found: Object, reference: Mapping[str, Any], istio: Istio) -> list[RouteState]:
    """The weights that stand now, a row for each of our routes."""
    rows = []
    for index, route in _routes(found, reference):
        weights = {role: int(destination.get("weight") or 0) for role, _, destination in _sides(found, route, istio)}
        rows.append(
            RouteState(
                virtual_service=found["metadata"]["name"],
                namespace=found["metadata"].get("namespace", ""),
                route=route.get("name") or str(index),
                stable=weights["stable"],
                canary=weights["canary"],
            )
        )
    return rows


def located(reference: Mapping[str, Any], namespace: str) -> tuple[str, str]:
    """Name and namespace of a referenced VirtualService, `namespace` being the Rollout's."""
    return IstioVirtualService.model_validate(reference).located(namespace)


def read_traffic(
    virtual_services: Mapping[tuple[str, str], Object | None], istio: Istio, namespace: str
) -> TrafficState | None:
    """The canary's share over all routes, the largest where they differ; None when it cannot be read."""
    rows: list[RouteState] = []
    for reference in istio.virtual_services:
        found = virtual_services.get(located(reference, namespace))
        if found is None:
            return None
        try:
            rows.extend(read_routes(found, reference, istio))
        except ApplicationError:
            return None
    return TrafficState(canary=max((row.canary for row in rows), default=0), routes=tuple(rows))


def _routes(found: Object, reference: Mapping[str, Any]) -> list[tuple[int, Object]]:
    setting = IstioVirtualService.model_validate(reference)
    routes = found["spec"].get("http") or []
    try:
        chosen = edited_routes(setting, VirtualServiceSpec.model_validate(found["spec"]), "http")
    except ValueError as error:
        raise _invalid(f"VirtualService {found['metadata']['name']}: {error}") from error
    return [(route.position, routes[route.position]) for route in chosen]


def _sides(found: Object, route: Object, istio: Istio) -> list[tuple[str, int, Object]]:
    label = f"VirtualService {found['metadata']['name']}, route {route.get('name', '(unnamed)')}"
    sides: list[tuple[str, int, Object]] = []
    for position, destination in enumerate(route.get("route") or []):
        role = _role(destination.get("destination") or {}, istio)
        if role:
            sides.append((role, position, destination))
        elif destination.get("weight"):
            host = (destination.get("destination") or {}).get("host")
            raise _invalid(f"{label}: destination {host!r} is neither stable nor canary and takes traffic: remove it")
    for role, service in (("stable", istio.stable_service), ("canary", istio.canary_service)):
        if sum(1 for found_role, _, _ in sides if found_role == role) != 1:
            raise _invalid(f"{label}: needs exactly one {role} destination ({service or 'its subset'})")
    return sides


def _role(destination: Mapping[str, Any], istio: Istio) -> str:
    rule = istio.destination_rule
    if rule:
        by_subset = {rule.get("stableSubsetName"): "stable", rule.get("canarySubsetName"): "canary"}
        role = by_subset.get(destination.get("subset"))
        if role and destination.get("subset"):
            return role
    host = str(destination.get("host", "")).split(".")[0]
    return {istio.stable_service: "stable", istio.canary_service: "canary"}.get(host, "") if host else ""


def _invalid(message: str) -> ApplicationError:
    return ApplicationError(message, type=ErrorType.INVALID_SPEC, non_retryable=True)
