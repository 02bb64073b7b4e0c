"""The Ingresses and the routes of the Gateway API that a Rollout names, as they were read. Pure.

Objects are by `name.namespace` for each kind. One that is absent was not read and is not judged, one that is None was
not found. Source: argo-rollouts, pkg/apis/rollouts/validation; the plugin's own checks come with its first write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from tidegate.manifests.field_error import FieldError
from tidegate.manifests.findings import Path
from tidegate.manifests.gateway_api import PLUGIN, GatewayApi
from tidegate.manifests.rollout import Canary, Nginx, Rollout

Observed = Mapping[str, Mapping[str, Any] | None]

_ROUTING: Path = ("spec", "strategy", "canary", "trafficRouting")
_NGINX: Path = (*_ROUTING, "nginx")
_GROUP = "gateway.networking.k8s.io"
NO_ROUTES = (
    "No routes configured. At least one of 'httpRoutes', 'grpcRoutes', 'tcpRoutes', 'tlsRoutes', 'httpRoute', "
    "'grpcRoute', 'tcpRoute' or 'tlsRoute' must be set"
)


def router_errors(rollout: Rollout, canary: Canary, routed: Observed) -> Iterator[FieldError]:
    """Errors of the objects of NGINX and of the Gateway API; `routed` are by `Kind/name.namespace`."""
    if canary.nginx is not None:
        yield from _nginx_errors(rollout, canary.nginx, routed)
    if (settings := gateway_api_of(canary)) is not None:
        yield from _route_errors(rollout, settings, routed)


def gateway_api_of(canary: Canary) -> GatewayApi | None:
    """Settings of the plugin; None where there are none, and where they cannot be read, which lint says."""
    with suppress(ValueError):
        return canary.gateway_api
    return None


def _nginx_errors(rollout: Rollout, nginx: Nginx, routed: Observed) -> Iterator[FieldError]:
    given = bool(nginx.stable_ingress), nginx.stable_ingresses is not None
    if given[0] == given[1]:
        found = "Both are" if given[0] else "Neither are"
        detail = f"Either StableIngress or StableIngresses must be configured. {found} configured."
        yield FieldError(_NGINX, f"Internal error: {detail}", "InternalError", argo_path=_NGINX)
        return
    path: Path = (*_NGINX, "stableIngress" if nginx.stable_ingress else "stableIngresses")
    for name in nginx.all_ingresses():
        key = f"Ingress/{name}.{rollout.metadata.namespace}"
        if key in routed:
            yield from ingress_errors(rollout, name, routed[key], path)


def ingress_errors(rollout: Rollout, name: str, ingress: Mapping[str, Any] | None, path: Path) -> Iterator[FieldError]:
    """Errors of a stable Ingress that the field at `path` names; None: it is missing."""
    if ingress is None:
        detail, remedy = f'ingress.networking.k8s.io "{name}" not found', "create it beside the Rollout"
        yield FieldError(path, detail, remedy=remedy, argo_path=path)
    elif rollout.canary.stable_service not in _services(ingress):
        detail = f"ingress `{name}` has no rules using service {rollout.canary.stable_service} backend"
        yield FieldError(path, detail, remedy="give it a path to the stable Service", argo_path=path)


def _services(ingress: Mapping[str, Any]) -> set[str]:
    """Names of the Services that the paths of an Ingress lead to."""
    return {
        str(((path.get("backend") or {}).get("service") or {}).get("name", ""))
        for rule in (ingress.get("spec") or {}).get("rules") or []
        for path in (rule.get("http") or {}).get("paths") or []
    }


def _route_errors(rollout: Rollout, gateway_api: GatewayApi, routed: Observed) -> Iterator[FieldError]:
    namespace = gateway_api.namespace or rollout.metadata.namespace
    for each in gateway_api.named():
        key = f"{each.kind}/{each.name}.{namespace}"
        if key in routed and routed[key] is None:
            path: Path = (*_ROUTING, "plugins", PLUGIN)
            detail = f'{each.kind.lower()}s.{_GROUP} "{each.name}" not found'
            yield FieldError(path, detail, remedy=f"create it in namespace {namespace}", argo_path=path)
