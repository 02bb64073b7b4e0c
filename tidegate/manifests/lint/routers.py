"""NGINX and the Gateway API as routers: what a release could not do, or would do otherwise than it looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.gateway_api import KINDS, PLUGIN, GatewayApi
from tidegate.manifests.rollout import MAX_WEIGHT, Canary, Rollout, TrafficRouting
from tidegate.manifests.validation.references import of_kind
from tidegate.manifests.validation.routers import NO_ROUTES, Observed, gateway_api_of

CODE = "routing"

_CANARY: Path = ("spec", "strategy", "canary")
_ROUTING: Path = (*_CANARY, "trafficRouting")
_PLUGIN: Path = (*_ROUTING, "plugins", PLUGIN)
_UNSUPPORTED = "unsupported"


def routing_findings(rollout: Loaded[Rollout]) -> Iterator[Finding]:
    """Findings on the routers that a Rollout names, by its manifest alone."""
    canary = rollout.model.spec.strategy.canary
    if canary is None or (routing := canary.traffic_routing) is None:
        return
    yield from _choice(rollout, routing)
    if canary.nginx is not None and canary.nginx.stable_ingresses == ():
        message, remedy = "no Ingress is named: no weight could be set", "name one"
        yield rollout.finding(Severity.ERROR, CODE, (*_ROUTING, "nginx", "stableIngresses"), message, remedy=remedy)
    if PLUGIN in routing.plugins:
        yield from _settings(rollout, canary, routing)


def router_findings(rollout: Loaded[Rollout], routed: Observed) -> Iterator[Finding]:
    """Findings on the routes of the Gateway API as they were found, by `Kind/name.namespace`."""
    canary = rollout.model.spec.strategy.canary
    settings = gateway_api_of(canary) if canary is not None else None
    if canary is None or settings is None or not canary.stable_service or not canary.canary_service:
        return
    for kind in KINDS:
        for key, found in of_kind(routed, kind).items():
            if found is not None:
                name, _, namespace = key.rpartition(".")
                yield from _route(rollout, canary, found, f"{kind} {name}", namespace)


def _choice(rollout: Loaded[Rollout], routing: TrafficRouting) -> Iterator[Finding]:
    """Findings on a choice of several routers, and on an unknown plugin."""
    for name in routing.plugins:
        if name != PLUGIN:
            message = f"not supported by Tidegate: traffic routing by plugin {name}"
            path = (*_ROUTING, "plugins", name)
            yield rollout.finding(Severity.ERROR, _UNSUPPORTED, path, message, remedy=f"use {PLUGIN}")
    given = {"istio": routing.istio, "nginx": routing.nginx, PLUGIN: PLUGIN in routing.plugins or None}
    if len(named := [name for name, value in given.items() if value is not None]) > 1:
        message = f"not supported by Tidegate: several routers of one Rollout: {', '.join(named)}"
        yield rollout.finding(Severity.ERROR, _UNSUPPORTED, _ROUTING, message, remedy="name one")
    if PLUGIN in named and routing.max_traffic_weight not in (None, MAX_WEIGHT):
        message = "not supported by Tidegate: maxTrafficWeight with the Gateway API, whose weights are percent here"
        path = (*_ROUTING, "maxTrafficWeight")
        value = routing.max_traffic_weight
        yield rollout.finding(Severity.ERROR, _UNSUPPORTED, path, message, value=value, remedy=f"{MAX_WEIGHT}")


def _settings(rollout: Loaded[Rollout], canary: Canary, routing: TrafficRouting) -> Iterator[Finding]:
    try:
        settings = GatewayApi.model_validate(routing.plugins[PLUGIN] or {})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            yield rollout.finding(Severity.ERROR, CODE, (*_PLUGIN, *detail["loc"]), str(detail["msg"]))
        return
    for name in settings.model_extra or {}:
        message = "is ignored, as by the plugin: there is no such field"
        yield rollout.finding(Severity.WARNING, "ignored-field", (*_PLUGIN, name), message)
    if settings.is_empty:
        yield rollout.finding(Severity.ERROR, CODE, _PLUGIN, NO_ROUTES, remedy="name a route")
    for field, service in (("stableService", canary.stable_service), ("canaryService", canary.canary_service)):
        if not service:
            message = "a route is split between two Services, which the plugin finds out with its first write"
            yield rollout.finding(Severity.ERROR, CODE, (*_CANARY, field), message, remedy="name the Service")
    yield from _steps(rollout, canary, settings)


def _steps(rollout: Loaded[Rollout], canary: Canary, settings: GatewayApi) -> Iterator[Finding]:
    """Steps that the plugin passes without a word, or that only some of the routes can take."""
    deaf = [f"{each.kind} {each.name}" for each in settings.named() if not each.takes_headers]
    deaf += [f"{kind}s of {KINDS[kind]}RouteSelector" for kind in KINDS if settings.selector_of(kind) is not None]
    weighted_by_http = all(each.kind == "HTTPRoute" for each in settings.named()) and all(
        settings.selector_of(kind) is None for kind in KINDS if kind != "HTTPRoute"
    )
    for index, step in enumerate(canary.steps):
        path: Path = (*_CANARY, "steps", index)
        if step.set_mirror_route is not None:
            message = "not supported by Tidegate: setMirrorRoute with the Gateway API, which the plugin passes silently"
            at = (*path, "setMirrorRoute")
            yield rollout.finding(Severity.ERROR, _UNSUPPORTED, at, message, remedy="leave the step out")
        if step.set_header_route is not None and step.set_header_route.match and deaf:
            yield from _deaf(rollout, settings, deaf, (*path, "setHeaderRoute"))
        if step.experiment is not None and not weighted_by_http:
            for number, template in enumerate(step.experiment.templates):
                if template.weight:
                    message = "only an HTTPRoute gives a share to an experiment"
                    at = (*path, "experiment", "templates", number, "weight")
                    yield rollout.finding(Severity.ERROR, CODE, at, message, remedy="leave the weight out")


def _deaf(rollout: Loaded[Rollout], settings: GatewayApi, deaf: Sequence[str], path: Path) -> Iterator[Finding]:
    remedy = "set useHeaderRoutes: true on an entry of httpRoutes or grpcRoutes"
    if not any(each.takes_headers for each in settings.named()):
        message = "no route takes header routes: the step would do nothing"
        yield rollout.finding(Severity.ERROR, CODE, path, message, remedy=remedy)
    else:
        message = f"the step does nothing in {', '.join(deaf)}"
        yield rollout.finding(Severity.WARNING, CODE, path, message, remedy=remedy)


def _route(
    rollout: Loaded[Rollout], canary: Canary, found: Mapping[str, Any], label: str, namespace: str
) -> Iterator[Finding]:
    """A route that no weight could be set in, or whose shares are no percent of its requests."""
    own, sides = rollout.metadata.namespace, (canary.stable_service, canary.canary_service)
    split = False
    for index, rule in enumerate((found.get("spec") or {}).get("rules") or []):
        named = rule.get("name") or f"rules[{index}]"
        references = rule.get("backendRefs") or []
        ours = [each for each in references if _is_side(each, sides, own)]
        if {each["name"] for each in ours} != set(sides):
            continue
        split = True
        if len(ours) > len(sides):
            message = f"{named} of {label} leads to a side more than once, so that its share is not its weight"
            yield rollout.finding(Severity.ERROR, CODE, _PLUGIN, message)
        if others := [str(each.get("name", "")) for each in references if each not in ours]:
            message = (
                f"{named} of {label} also leads to {', '.join(others)}, which keep their weights: the canary gets its "
                "share of what these leave"
            )
            yield rollout.finding(Severity.WARNING, CODE, _PLUGIN, message, remedy="give them a rule of their own")
        if own and namespace and namespace != own and any(not each.get("namespace") for each in ours):
            message = (
                f"{named} of {label} names Services without a namespace, which are those of {namespace} and not of "
                f"{own}: the release counts pods of its own namespace before it sends traffic there"
            )
            yield rollout.finding(Severity.WARNING, "foreign-host", _PLUGIN, message, remedy=f"write namespace: {own}")
    if not split:
        message = f"no rule of {label} leads to both {sides[0]} and {sides[1]}: no weight could be set"
        yield rollout.finding(Severity.ERROR, CODE, _PLUGIN, message, remedy="name both as backendRefs of one rule")


def _is_side(reference: Mapping[str, Any], sides: Sequence[str], own: str) -> bool:
    is_service = (reference.get("kind") or "Service") == "Service" and not reference.get("group")
    return is_service and reference.get("name") in sides and (reference.get("namespace") or own) == own
