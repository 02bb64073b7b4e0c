"""The canary strategy as a whole: services, traffic routing, surge, delays, anti-affinity."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tidegate.manifests.durations import int_or_zero
from tidegate.manifests.field_error import FieldError
from tidegate.manifests.findings import Path
from tidegate.manifests.rollout import Canary, PingPong, TrafficRouting
from tidegate.manifests.validation.steps import step_errors
from tidegate.manifests.validation.strategies import SAME_SERVICES, anti_affinity_errors

_CANARY: Path = ("spec", "strategy", "canary")
_BOTH_SERVICES = "Canary service and Stable service must to be set to use Traffic Routing"
_PING_PONG_SERVICES = "Ping service and Pong service must to be set to use Ping-Pong feature"
_PERCENT: Final = re.compile(r"[0-9]{1,18}%")
# The routers that split traffic between Services; Istio only when it splits by host.
_SERVICE_ROUTERS = ("smi", "nginx", "ambassador", "app_mesh", "traefik", "apisix")


def canary_errors(canary: Canary) -> Iterator[FieldError]:
    """Every reason for which Argo refuses a canary strategy, in Argo's order."""
    yield from _surge_errors(canary)
    if canary.canary_service and canary.canary_service == canary.stable_service:
        yield FieldError((*_CANARY, "stableService"), SAME_SERVICES.format("stable", "canary"))
    if canary.ping_pong is not None:
        yield from _ping_pong_errors(canary.ping_pong, canary.traffic_routing)
    if canary.traffic_routing is None:
        yield from _unrouted_errors(canary)
    else:
        yield from _routing_errors(canary, canary.traffic_routing)
    for index, step in enumerate(canary.steps):
        yield from step_errors(step, (*_CANARY, "steps", index), canary.traffic_routing, canary.max_weight())
    if canary.anti_affinity is not None:
        yield from anti_affinity_errors(canary.anti_affinity, (*_CANARY, "antiAffinity"))


def _surge_errors(canary: Canary) -> Iterator[FieldError]:
    if _as_argo_reads(canary.surge()) == 0 and _as_argo_reads(canary.unavailable()) == 0:
        remedy = "a whole number or a percentage above 0 for one of them"
        yield FieldError((*_CANARY, "maxSurge"), "MaxSurge and MaxUnavailable both can not be zero", remedy=remedy)


def _as_argo_reads(setting: int | str) -> int:
    """A percentage is its number, a number in quotes is one, too, although Argo takes it for 0 when it counts pods."""
    if isinstance(setting, str) and _PERCENT.fullmatch(setting):
        return int(setting[:-1])
    return int_or_zero(setting)


def _routing_errors(canary: Canary, routing: TrafficRouting) -> Iterator[FieldError]:
    if _needs_services(routing, canary.ping_pong):
        for name, service in (("stableService", canary.stable_service), ("canaryService", canary.canary_service)):
            if not service:
                yield FieldError((*_CANARY, name), _BOTH_SERVICES, remedy=f"name the Service in {name}")
    if canary.scale_down_delay_seconds is not None and canary.dynamic_stable_scale:
        detail = "Canary dynamicStableScale cannot be used with scaleDownDelaySeconds"
        yield FieldError((*_CANARY, "dynamicStableScale"), detail)
    if routing.max_traffic_weight is not None and routing.nginx is None and not routing.plugins:
        detail = "Canary maxTrafficWeight in traffic routing only supported in Nginx and Plugins"
        yield FieldError((*_CANARY, "trafficRouting", "maxTrafficWeight"), detail)


def _needs_services(routing: TrafficRouting, ping_pong: PingPong | None) -> bool:
    if any(getattr(routing, name) is not None for name in _SERVICE_ROUTERS):
        return True
    if routing.istio is not None:
        return routing.istio.destination_rule is None and ping_pong is None
    return routing.alb is not None and ping_pong is None


def _ping_pong_errors(ping_pong: PingPong, routing: TrafficRouting | None) -> Iterator[FieldError]:
    path = (*_CANARY, "pingPong")
    if routing is not None and routing.alb is None and routing.istio is None and not routing.plugins:
        detail = "Ping-pong feature works with the ALB, Istio, and plugin-based traffic routers only"
        yield FieldError((*_CANARY, "trafficRouting", "alb"), detail)
    for name, service in (("pingService", ping_pong.ping_service), ("pongService", ping_pong.pong_service)):
        if not service:
            yield FieldError((*path, name), _PING_PONG_SERVICES)
    if ping_pong.ping_service == ping_pong.pong_service:
        yield FieldError((*path, "pingService"), SAME_SERVICES.format("ping", "pong"))
    if routing is not None and routing.alb is not None and not routing.alb.root_service:
        detail = "Root service field is required for the configuration with ALB and ping-pong feature enabled"
        yield FieldError((*_CANARY, "trafficRouting", "alb", "rootService"), detail)


def _unrouted_errors(canary: Canary) -> Iterator[FieldError]:
    if canary.scale_down_delay_seconds is not None:
        detail = "Canary scaleDownDelaySeconds can only be used with traffic routing"
        yield FieldError((*_CANARY, "scaleDownDelaySeconds"), detail)
    if canary.dynamic_stable_scale:
        detail = "Canary dynamicStableScale can only be used with traffic routing"
        yield FieldError((*_CANARY, "dynamicStableScale"), detail)
