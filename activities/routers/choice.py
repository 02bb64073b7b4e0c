"""Choice of the router by what the Rollout's manifest names, the one place that knows all of them."""

from __future__ import annotations

from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import Reader
from activities.routers.gateway_api import GatewayRouter
from activities.routers.istio.router import IstioRouter
from activities.routers.nginx import NginxRouter
from activities.routers.router import Router, traffic_state
from tidegate.contract import ErrorType, Routing, Target, TrafficState


def router_of(routing: Routing, target: Target, owner_uid: str = "") -> Router:
    """Router of a Rollout, which has one: several are refused before a release."""
    if routing.gateway_api is not None:
        return GatewayRouter(routing, routing.gateway_api, target.namespace)
    if routing.nginx is not None:
        return NginxRouter(routing, routing.nginx, target, owner_uid)
    return IstioRouter(routing, target.namespace)


async def read_traffic(reader: Reader, routing: Routing, target: Target) -> TrafficState | None:
    """Traffic by a router's objects; None where one is missing or cannot be understood."""
    try:
        objects = await router_of(routing, target).objects(reader)
        states = [each.read(await reader.find(each.resource, each.namespace, each.name)) for each in objects]
    except ApplicationError as error:
        if error.type in (ErrorType.NOT_FOUND, ErrorType.INVALID_SPEC):
            return None
        raise
    return traffic_state(states, routing.max_weight)
