"""Istio's admission of a VirtualService: hosts, destinations and weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sandbox.kubernetes_api.objects import Object

_MAX_WEIGHT = 100
_ROUTE_LISTS = ("http", "tls", "tcp")


def virtual_service_problems(obj: Object) -> Iterator[tuple[str, str, str]]:
    """The rules that `obj` breaks, as (cause reason, field path, message).

    A weight is an integer of 0 to 100. The weights of a route are shares of their sum, so that they need not add up to
    100, but that sum must not be 0 when there are several destinations.
    """
    spec = obj.get("spec") or {}
    if not spec.get("hosts"):
        yield ("FieldValueRequired", "spec.hosts", "Required value: virtual service must have at least one host")
    for protocol in _ROUTE_LISTS:
        routes = spec.get(protocol) or []
        if not isinstance(routes, list):
            yield _invalid(f"spec.{protocol}", routes, "must be of type array")
            continue
        for index, route in enumerate(routes):
            yield from _route(route, f"spec.{protocol}[{index}]", protocol)


def _route(route: Any, field: str, protocol: str) -> Iterator[tuple[str, str, str]]:
    if not isinstance(route, dict):
        yield _invalid(field, route, "must be of type object")
        return
    destinations = route.get("route")
    if destinations is None:
        if protocol != "http" or not any(route.get(other) for other in ("redirect", "directResponse", "delegate")):
            yield ("FieldValueRequired", f"{field}.route", "Required value: a route needs a destination")
        return
    if not isinstance(destinations, list) or not all(isinstance(item, dict) for item in destinations):
        yield _invalid(f"{field}.route", destinations, "must be an array of objects")
        return
    weights = [item.get("weight", 0) for item in destinations]
    valid = True
    for index, (item, weight) in enumerate(zip(destinations, weights, strict=True)):
        if not (isinstance(item.get("destination"), dict) and item["destination"].get("host")):
            yield ("FieldValueRequired", f"{field}.route[{index}].destination.host", "Required value")
        if not isinstance(weight, int) or isinstance(weight, bool) or not 0 <= weight <= _MAX_WEIGHT:
            valid = False
            yield _invalid(f"{field}.route[{index}].weight", weight, f"must be an integer of 0 to {_MAX_WEIGHT}")
    if valid and len(weights) > 1 and sum(weights) == 0:
        yield _invalid(f"{field}.route", weights, "total destination weight = 0")


def _invalid(field: str, value: Any, why: str) -> tuple[str, str, str]:
    return ("FieldValueInvalid", field, f"Invalid value: {value!r}: {why}")
