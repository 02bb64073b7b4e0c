"""Other people's edits of the routes that a release splits: what they changed since it wrote last, and who. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from activities.istio.routes import Routes
from activities.kubernetes.client import Object
from tidegate.contract import ExternalChange, ManagedRouteState, RouteState, TrafficState
from tidegate.manifests.routes import PROTOCOLS


def find_external_changes(routes: Routes, before: TrafficState, converged: Collection[str]) -> list[ExternalChange]:
    """Differences between what stands in a VirtualService and what stood there after the release's last write.

    Routes of `converged` are not judged. Raises as `Routes.weighted`.
    """
    here = (routes.name, routes.namespace)
    who = last_editor(routes.found)
    return [
        ExternalChange(virtual_service=routes.name, namespace=routes.namespace, route=route, what=what, manager=who)
        for route, what in (
            *_weights(routes.rows(), [row for row in before.routes if _place(row) == here]),
            *_gone(routes.standing(), [managed for managed in before.managed if _place(managed) == here]),
        )
        if route not in converged
    ]


def last_editor(found: Object) -> str:
    """The field manager that wrote any of the routes last; empty where managedFields does not say."""
    entries = [entry for entry in found["metadata"].get("managedFields") or [] if _wrote_routes(entry)]
    latest = max(entries, key=lambda entry: str(entry.get("time", "")), default=None)
    return str(latest.get("manager", "")) if latest else ""


def _wrote_routes(entry: Mapping[str, Any]) -> bool:
    fields = (entry.get("fieldsV1") or {}).get("f:spec") or {}
    return any(f"f:{protocol}" in fields for protocol in PROTOCOLS)


def _weights(now: list[RouteState], before: list[RouteState]) -> Iterator[tuple[str, str]]:
    standing = {row.route: row for row in now}
    for row in before:
        found = standing.get(row.route)
        if found is not None and found != row:
            yield row.route, f"{_shares(found)} instead of {_shares(row)}"


def _gone(now: list[ManagedRouteState], before: list[ManagedRouteState]) -> Iterator[tuple[str, str]]:
    names = {managed.name for managed in now}
    for managed in before:
        if managed.name not in names:
            yield managed.name, "the managed route is gone"


def _place(row: RouteState | ManagedRouteState) -> tuple[str, str]:
    return row.virtual_service, row.namespace


def _shares(row: RouteState) -> str:
    shares = {"stable": row.stable, "canary": row.canary, **row.others}
    return ", ".join(f"{name} {weight} %" for name, weight in shares.items())
