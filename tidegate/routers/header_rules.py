"""Header routes in a route of the Gateway API: rules that a release adds at the end and takes away again. Pure.

Source: rollouts-plugin-trafficrouter-gatewayapi, pkg/plugin. One rule for each rule that is split: it matches what that
one matches with the wanted headers beside. A release knows its rules by their names; where the cluster's CRDs do not
keep names (Gateway API before 1.4) by what they say, exactly.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from tidegate.manifests.steps import HeaderMatch, SetHeaderRoute
from tidegate.routers.gateway_api import DEFAULT_WEIGHT, Backends, Object, references, rules_of_both, split_rules

_ESCAPED: Final = r"\\\1"
_META: Final = re.compile(r"([\\.+*?()|\[\]{}^$])")
_BACKEND: Final = {"group": "", "kind": "Service", "weight": DEFAULT_WEIGHT}
_ANY_PATH: Final = {"type": "PathPrefix", "value": "/"}


def with_header_rules(
    route: Mapping[str, Any], kind: str, backends: Backends, step: SetHeaderRoute, owners: Sequence[str]
) -> Object:
    """The route with exactly the rules of a step, or without them where it has no match.

    `owners` are those of its rules. A rule that stands as wanted stays where it is. Raises SplitError as `split_rules`
    where a rule is wanted.
    """
    if step.match:
        split_rules(route, kind, backends)
    missing = header_rules(route, backends, step) if step.match else []
    kept: list[Object] = []
    for rule, owner in zip(route["spec"].get("rules") or [], owners, strict=True):
        same = next((each for each in missing if is_same(rule, each)), None)
        if same is not None:
            missing.remove(same)
        if same is not None or owner != step.name:
            kept.append(rule)
    return {**route, "spec": {**route["spec"], "rules": [*kept, *missing]}}


def without_header_rules(route: Mapping[str, Any], owners: Sequence[str]) -> Object:
    """The route without the rules that have an owner."""
    rules = zip(route["spec"].get("rules") or [], owners, strict=True)
    return {**route, "spec": {**route["spec"], "rules": [rule for rule, owner in rules if not owner]}}


def owners_of(
    route: Mapping[str, Any], backends: Backends, steps: Sequence[SetHeaderRoute], names: Collection[str]
) -> list[str]:
    """Name of the managed route of each rule, empty for a rule that is no release's."""
    written = [(step.name, rule) for step in steps if step.match for rule in header_rules(route, backends, step)]
    return [
        _owner(rule, backends, names)
        or next((name for name, wanted in written if not rule.get("name") and is_same(rule, wanted)), "")
        for rule in route["spec"].get("rules") or []
    ]


def header_rules(route: Mapping[str, Any], backends: Backends, step: SetHeaderRoute) -> list[Object]:
    """Rules of a step, one for each rule that leads to both sides."""
    return [
        _rule(route["spec"]["rules"][index], backends, step, f"{step.name}-{number}" if number else step.name)
        for number, index in enumerate(rules_of_both(route, backends))
    ]


def is_same(rule: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """True when a rule says what another one says, with the API's defaults filled in; a lost name is none."""
    named = rule.get("name") in (None, wanted.get("name"))
    return named and _normal(rule) == _normal(wanted)


def _owner(rule: Mapping[str, Any], backends: Backends, names: Collection[str]) -> str:
    """The managed route that a rule's name says: that name, or that name and a number on a rule to the canary alone."""
    name = str(rule.get("name") or "")
    if name in names:
        return name
    base, _, number = name.rpartition("-")
    found = references(rule)
    alone = len(found) == 1 and backends.names(found[0], backends.canary)
    return base if base in names and number.isdigit() and alone else ""


def _rule(source: Mapping[str, Any], backends: Backends, step: SetHeaderRoute, name: str) -> Object:
    """A copy of a rule for the canary alone: with filters, timeouts and whatever else it says of its requests."""
    reference = next(each for each in references(source) if backends.names(each, backends.canary))
    target = {"group": "", "kind": "Service", "name": backends.canary}
    target |= {key: reference[key] for key in ("namespace", "port", "filters") if key in reference}
    wanted = [_header(each) for each in step.match]
    matches = [
        {**match, "headers": [*(match.get("headers") or []), *wanted]} for match in source.get("matches") or [{}]
    ]
    rest = {key: value for key, value in source.items() if key not in ("name", "matches", "backendRefs")}
    return copy.deepcopy({"name": name, "matches": matches, **rest, "backendRefs": [target]})


def _header(match: HeaderMatch) -> Object:
    value = match.header_value
    if value is not None and value.exact:
        return {"name": match.header_name, "type": "Exact", "value": value.exact}
    if value is not None and value.prefix:
        return {
            "name": match.header_name,
            "type": "RegularExpression",
            "value": f"{_META.sub(_ESCAPED, value.prefix)}.*",
        }
    return {"name": match.header_name, "type": "RegularExpression", "value": value.regex if value is not None else ".*"}


def _normal(rule: Mapping[str, Any]) -> Object:
    """Content of a rule beside its name, with the defaults of a server that has stored it."""
    rest = {key: value for key, value in rule.items() if key not in ("name", "matches", "backendRefs")}
    return {
        **rest,
        "matches": list(map(_normal_match, rule.get("matches") or [{}])),
        "backendRefs": [_BACKEND | each for each in references(rule)],
    }


def _normal_match(match: Mapping[str, Any]) -> Object:
    normal = {key: list(_typed(match[key])) for key in ("headers", "queryParams") if match.get(key)}
    return {"path": _ANY_PATH, **match, **normal}


def _typed(matches: Sequence[Mapping[str, Any]]) -> Iterator[Object]:
    return ({"type": "Exact", **each} for each in matches)
