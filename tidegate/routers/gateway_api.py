"""A route of the Gateway API: what it becomes for a weight, and which shares it gives. Pure.

Source: rollouts-plugin-trafficrouter-gatewayapi, pkg/plugin, and the API's own defaults (gateway-api, apis/v1). Only
rules that lead to both sides are touched: a weight of 0 on the only backend of a rule answers with an error.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.manifests.rollout import MAX_WEIGHT
from tidegate.manifests.shares import percent_of

Object = dict[str, Any]
DEFAULT_WEIGHT: Final = 1  # of a backend that gives none
HTTP_PORT: Final = "http"  # name of the port that an experiment's Service is asked at, by the plugin
DEFAULT_PORT: Final = 8080
_NOT_FOUND: Final = {
    "HTTPRoute": "backendRef was not found in httpRoute",
    "GRPCRoute": "backendRef was not found in grpcRoute",
    "TCPRoute": "backendRef list was not found in tcpRoute",
    "TLSRoute": "backendRef list was not found in tlsRoute",
}


class SplitError(ValueError):
    """A route that a release cannot split; the text is the plugin's where the plugin has one."""


@dataclass(frozen=True)
class Backends:
    """Sides of a Rollout in the rules of its routes: Services of `namespace`."""

    stable: str
    canary: str
    namespace: str

    def names(self, reference: Mapping[str, Any], service: str) -> bool:
        """True when a backendRef is this Service: another kind or namespace is another object."""
        return bool(
            service
            and reference.get("name") == service
            and (reference.get("kind") or "Service") == "Service"
            and not reference.get("group")
            and (reference.get("namespace") or self.namespace) == self.namespace
        )

    def are_in(self, rule: Mapping[str, Any]) -> bool:
        """True when a rule leads to both sides, which makes it one that is split."""
        found = references(rule)
        return all(any(self.names(each, side) for each in found) for side in (self.stable, self.canary))


@dataclass(frozen=True)
class Share:
    """Service beside the two sides, its weight, and the port at which it is asked, 0 for none."""

    service: str
    weight: int
    port: int = 0


@dataclass(frozen=True)
class RuleShares:
    """Shares of one rule in percent: of the sides, and of experiments by Service."""

    rule: str  # its name, or its position as `rules[0]`
    stable: int
    canary: int
    experiments: Mapping[str, int]


def references(rule: Mapping[str, Any]) -> list[Object]:
    """Backends of a rule."""
    return list(rule.get("backendRefs") or [])


def rules_of_both(route: Mapping[str, Any], backends: Backends) -> list[int]:
    """Positions of the rules that lead to both sides."""
    return [index for index, rule in enumerate(route["spec"].get("rules") or []) if backends.are_in(rule)]


def split_rules(route: Mapping[str, Any], kind: str, backends: Backends) -> list[int]:
    """Positions of the rules that are split.

    Raises SplitError where there is none, and for one that leads to a side twice: its share would not be its weight.
    """
    rules, found = route["spec"].get("rules") or [], rules_of_both(route, backends)
    if not found:
        raise SplitError(_NOT_FOUND[kind])
    for index in found:
        for side in (backends.stable, backends.canary):
            if sum(backends.names(each, side) for each in references(rules[index])) > 1:
                raise SplitError(f"{label(rules[index], index)} leads to {side} more than once")
    return found


def label(rule: Mapping[str, Any], index: int) -> str:
    """Name of a rule, or its position."""
    return str(rule.get("name") or f"rules[{index}]")


def shifted(
    route: Mapping[str, Any],
    backends: Backends,
    weight: int,
    *,
    experiments: Sequence[Share] = (),
    known: Sequence[str] = (),
) -> Object:
    """The route with `weight` percent for the canary, and what experiments leave of the rest for stable.

    `known` are Services of experiments that a release added; those without a share are taken away. All other backends
    keep their weights, so that the sides share what these leave.
    """
    changed = copy.deepcopy(dict(route))
    stable = max(0, MAX_WEIGHT - weight - sum(each.weight for each in experiments))
    wanted = {each.service: each for each in experiments if each.weight}
    for index in rules_of_both(route, backends):
        rule = changed["spec"]["rules"][index]
        rule["backendRefs"] = [
            *_weighted(references(rule), backends, stable, weight, wanted, known),
            *_added(references(rule), backends, wanted.values()),
        ]
    return changed


def _weighted(
    found: Sequence[Object],
    backends: Backends,
    stable: int,
    weight: int,
    wanted: Mapping[str, Share],
    known: Sequence[str],
) -> Iterator[Object]:
    for each in found:
        name = str(each.get("name", ""))
        if backends.names(each, backends.canary):
            yield each | {"weight": weight}
        elif backends.names(each, backends.stable):
            yield each | {"weight": stable}
        elif name in wanted and backends.names(each, name):
            yield each | {"weight": wanted[name].weight}
        elif name not in known or not backends.names(each, name):
            yield each


def _added(found: Sequence[Object], backends: Backends, wanted: Any) -> Iterator[Object]:
    for each in wanted:
        if not any(backends.names(reference, each.service) for reference in found):
            port = {"port": each.port} if each.port else {}
            yield {"name": each.service, "namespace": backends.namespace, **port, "weight": each.weight}


def labelled(route: Mapping[str, Any], in_progress: tuple[str, str] | None, weight: int) -> Object:
    """The route with the label that says that a canary has traffic, or without it at a weight of 0.

    Where `in_progress` is None labels are left alone.
    """
    if in_progress is None:
        return dict(route)
    key, value = in_progress
    labels = {name: each for name, each in (route["metadata"].get("labels") or {}).items() if name != key}
    if weight:
        labels[key] = value
    elif key not in (route["metadata"].get("labels") or {}):
        return dict(route)
    return {**route, "metadata": {**route["metadata"], "labels": labels}}


def shares(route: Mapping[str, Any], backends: Backends, known: Sequence[str] = ()) -> Iterator[RuleShares]:
    """Shares of each rule that leads to both sides, in percent of these and of `known` experiments.

    A canary that gets anything has at least 1 % here, and one that does not get everything at most 99 %.
    """
    for index in rules_of_both(route, backends):
        rule = route["spec"]["rules"][index]
        percents = _percents(
            {
                name: _weight(each)
                for name in (backends.stable, backends.canary, *known)
                for each in references(rule)
                if backends.names(each, name)
            }
        )
        yield RuleShares(
            rule=label(rule, index),
            stable=percents[backends.stable],
            canary=percents[backends.canary],
            experiments={name: percents[name] for name in known if percents.get(name)},
        )


def experiment_port(ports: Sequence[Mapping[str, Any]], stable: int) -> int:
    """Port at which an experiment's Service is asked: stable's where it has that, as its own pods answer there.

    Else the one named `http`, the first, or 8080, as the plugin takes it.
    """
    numbers = [int(each["port"]) for each in ports if each.get("port")]
    if stable in numbers:
        return stable
    named = [int(each["port"]) for each in ports if each.get("name") == HTTP_PORT and each.get("port")]
    return next(iter([*named, *numbers]), DEFAULT_PORT)


def stable_port(route: Mapping[str, Any], kind: str, backends: Backends) -> int:
    """Port of the stable side in the first rule that is split, 0 for none. Raises as `split_rules`."""
    rule = route["spec"]["rules"][split_rules(route, kind, backends)[0]]
    return next(int(each.get("port") or 0) for each in references(rule) if backends.names(each, backends.stable))


def _weight(reference: Mapping[str, Any]) -> int:
    given = reference.get("weight")
    return DEFAULT_WEIGHT if given is None else int(given)


def _percents(weights: Mapping[str, int]) -> dict[str, int]:
    total = sum(weights.values())
    if total in (0, MAX_WEIGHT):
        return dict(weights)
    return {name: percent_of(weight, total) for name, weight in weights.items()}
