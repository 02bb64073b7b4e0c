"""Other people's edits of the routes that a release splits: what they changed since it wrote last, and who. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from activities.kubernetes.client import Object
from activities.routers.router import RoutedObject
from tidegate.contract import ExternalChange, ManagedRouteState, RouteState, TrafficState


def find_external_changes(
    routed: RoutedObject, found: Object, before: TrafficState, converged: Collection[str]
) -> list[ExternalChange]:
    """Differences between what stands in an object and what stood there after the release's last write.

    Routes of `converged` are not judged. Raises as `RoutedObject.read`.
    """
    here = (routed.resource.kind, routed.name, routed.namespace)
    state, who = routed.read(found), last_editor(found, routed.fields)
    return [
        ExternalChange(kind=here[0], name=here[1], namespace=here[2], route=route, what=what, manager=who)
        for route, what in (
            *_weights(state.rows, [row for row in before.routes if _place(row) == here]),
            *_gone(state.managed, [managed for managed in before.managed if _place(managed) == here]),
        )
        if route not in converged
    ]


def last_editor(found: Object, fields: Sequence[Sequence[str]]) -> str:
    """The field manager that wrote any of the fields last; empty where managedFields does not say."""
    entries = [entry for entry in found["metadata"].get("managedFields") or [] if _wrote(entry, fields)]
    latest = max(entries, key=lambda entry: str(entry.get("time", "")), default=None)
    return str(latest.get("manager", "")) if latest else ""


def _wrote(entry: Mapping[str, Any], fields: Sequence[Sequence[str]]) -> bool:
    return any(_holds(entry.get("fieldsV1") or {}, path) for path in fields)


def _holds(owned: Mapping[str, Any], path: Sequence[str]) -> bool:
    for part in path:
        if f"f:{part}" not in owned:
            return False
        owned = owned[f"f:{part}"]
    return True


def _weights(now: Sequence[RouteState], before: list[RouteState]) -> Iterator[tuple[str, str]]:
    standing = {row.route: row for row in now}
    for row in before:
        found = standing.get(row.route)
        if found is not None and found != row:
            yield row.route, f"{_shares(found)} instead of {_shares(row)}"


def _gone(now: Sequence[ManagedRouteState], before: list[ManagedRouteState]) -> Iterator[tuple[str, str]]:
    names = {managed.route for managed in now}
    for managed in before:
        if managed.route not in names:
            yield managed.route, "the managed route is gone"


def _place(row: RouteState | ManagedRouteState) -> tuple[str, str, str]:
    return row.kind, row.name, row.namespace


def _shares(row: RouteState) -> str:
    shares = {"stable": row.stable, "canary": row.canary, **row.others}
    return ", ".join(f"{name} {weight} %" for name, weight in shares.items())
