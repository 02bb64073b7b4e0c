"""Routes of the Gateway API as its CRDs take them: what they fill in, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sandbox.kubernetes_api.objects import Object

_LARGEST_WEIGHT = 1_000_000
_MOST_RULES = 16
_SLASH = {"type": "PathPrefix", "value": "/"}


def fill_route(obj: Object) -> None:
    """Fill in group, kind and weight of backends, and matches of an HTTPRoute (gateway-api, apis/v1, kubebuilder)."""
    for rule in _rules(obj):
        for reference in _mappings(rule.get("backendRefs")):
            for name, value in (("group", ""), ("kind", "Service"), ("weight", 1)):
                reference.setdefault(name, value)
        if obj.get("kind") == "HTTPRoute":
            rule.setdefault("matches", [{"path": dict(_SLASH)}])
        for match in _mappings(rule.get("matches")):
            _fill_match(match, http=obj.get("kind") == "HTTPRoute")


def _fill_match(match: Object, *, http: bool) -> None:
    if http:
        match.setdefault("path", dict(_SLASH))
    for name in ("headers", "queryParams"):
        for each in _mappings(match.get(name)):
            each.setdefault("type", "Exact")


def route_problems(obj: Object) -> Iterator[tuple[str, str, str]]:
    """The rules that `obj` breaks, as (cause reason, field path, message)."""
    rules = _rules(obj)
    if len(rules) > _MOST_RULES:
        yield ("FieldValueTooMany", "spec.rules", f"Too many: {len(rules)}: must have at most {_MOST_RULES} items")
    names = [rule["name"] for rule in rules if rule.get("name")]
    if len(names) != len(set(names)):
        yield ("FieldValueInvalid", "spec.rules", 'Invalid value: "array": Rule name must be unique within the route')
    for index, rule in enumerate(rules):
        for number, reference in enumerate(_mappings(rule.get("backendRefs"))):
            field, weight = f"spec.rules[{index}].backendRefs[{number}]", reference.get("weight", 1)
            if not isinstance(weight, int) or isinstance(weight, bool) or not 0 <= weight <= _LARGEST_WEIGHT:
                why = f"should be greater than or equal to 0 and at most {_LARGEST_WEIGHT}"
                yield ("FieldValueInvalid", f"{field}.weight", f"Invalid value: {weight}: in body {why}")
            if not reference.get("name"):
                yield ("FieldValueRequired", f"{field}.name", "Required value")


def _rules(obj: Object) -> list[Object]:
    return _mappings((obj.get("spec") or {}).get("rules"))


def _mappings(value: Any) -> list[Object]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
