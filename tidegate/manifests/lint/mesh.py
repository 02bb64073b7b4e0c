"""Routes of a VirtualService that a release could not write, or would change by surprise, although Argo takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate.manifests.decode import decode_object
from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, ManifestError, Path, Severity
from tidegate.manifests.network import Destination, VirtualService, VirtualServiceSpec
from tidegate.manifests.rollout import IstioVirtualService, Rollout
from tidegate.manifests.routes import (
    PROTOCOLS,
    EditedRoute,
    RouteError,
    RouteRole,
    Sides,
    check_once,
    edited_routes,
    managed_names,
)
from tidegate.manifests.validation.references import virtual_service_settings

CODE = "mesh"

_ISTIO: Path = ("spec", "strategy", "canary", "trafficRouting", "istio")
_CLUSTER_DOMAIN = ["svc", "cluster", "local"]
_EXTERNAL = "?"  # what can be no name of a namespace


def mesh_findings(
    rollout: Loaded[Rollout], virtual_services: Mapping[str, Mapping[str, Any] | None]
) -> Iterator[Finding]:
    """Everything worth saying of the VirtualServices of a Rollout, by `name.namespace` as they were found."""
    canary = rollout.model.spec.strategy.canary
    istio = canary.istio if canary is not None else None
    if istio is None:
        return
    settings = list(virtual_service_settings(istio))
    if istio.virtual_services is not None and not settings:
        message, remedy = "no VirtualService is named: no weight could be set", "name one"
        yield rollout.finding(Severity.ERROR, CODE, (*_ISTIO, "virtualServices"), message, remedy=remedy)
    for path, setting in settings:
        location = setting.located(rollout.metadata.namespace)
        spec = _read(setting, virtual_services.get(".".join(location)))
        if spec is not None:
            yield from _delegates(rollout, setting, spec, path, location[1])
            yield from _routes(rollout, setting, spec, path, location[1])


def _read(setting: IstioVirtualService, found: Mapping[str, Any] | None) -> VirtualServiceSpec | None:
    """The routes; None where there are none to be judged, which Argo's own errors say."""
    try:
        return None if found is None else decode_object(VirtualService, found, f"VirtualService/{setting.name}").spec
    except ManifestError:
        return None


def _delegates(
    rollout: Loaded[Rollout], setting: IstioVirtualService, spec: VirtualServiceSpec, path: Path, namespace: str
) -> Iterator[Finding]:
    """A route that leads to another VirtualService has no destinations: the weights belong into that one."""
    for index, route in enumerate(spec.http):
        if route.delegate is None or (setting.routes and route.name not in setting.routes):
            continue
        delegate = ".".join(filter(None, (route.delegate.name, route.delegate.namespace or namespace)))
        message = (
            f"route {route.name or f'http[{index}]'} of VirtualService {setting.name} delegates to VirtualService "
            f"{delegate}: it has no destinations of its own, the weights belong into that one"
        )
        yield rollout.finding(
            Severity.ERROR, "delegate-route", path, message, value=setting.name, remedy=f"name {delegate} here"
        )


def _routes(
    rollout: Loaded[Rollout], setting: IstioVirtualService, spec: VirtualServiceSpec, path: Path, namespace: str
) -> Iterator[Finding]:
    canary = rollout.model.canary
    managed, sides = managed_names(canary), Sides.of(canary)
    try:
        routes = [route for protocol in PROTOCOLS for route in edited_routes(setting, spec, protocol, managed)]
    except RouteError:  # Argo's own errors say so
        return
    given = {"http", "tls", "tcp"} & spec.model_fields_set
    if given and not routes:
        message, remedy = "it has no route whose weights could be set", "give it one to the stable and the canary side"
        yield rollout.finding(Severity.ERROR, CODE, path, message, value=setting.name, remedy=remedy)
    for route in routes:
        try:
            check_once(route, sides)
        except RouteError as error:
            yield rollout.finding(Severity.ERROR, CODE, path, str(error), value=setting.name)
        yield from _foreign_hosts(rollout, setting, route, sides, path, namespace)
        yield from _removed(rollout, setting, route, sides)


def _foreign_hosts(
    rollout: Loaded[Rollout],
    setting: IstioVirtualService,
    route: EditedRoute,
    sides: Sides,
    path: Path,
    namespace: str,
) -> Iterator[Finding]:
    """A side that is a Service of another namespace: the release counts the pods of its own before it sends traffic."""
    own = rollout.metadata.namespace
    for each in route.destinations:
        role = sides.role(each.destination)
        if role not in (RouteRole.STABLE, RouteRole.CANARY):
            continue
        written = _namespace_of(each.destination)
        meant = written or namespace
        if not own or not meant or meant == own:
            continue
        host, name = each.destination.host, each.destination.host.partition(".")[0]
        where = (
            "is no Service of this cluster"
            if written == _EXTERNAL
            else f"is a Service of namespace {meant}"
            + ("" if written else ", as Istio looks for a host without one beside the VirtualService")
        )
        message = (
            f"route {route.label} of VirtualService {setting.name}: {role} host {host} {where}, not of {own}: the "
            "release counts pods of its own namespace before it sends traffic there"
        )
        severity = Severity.ERROR if written else Severity.WARNING
        remedy = f"write {name}.{own}.svc.cluster.local"
        yield rollout.finding(severity, "foreign-host", path, message, value=setting.name, remedy=remedy)


def _namespace_of(destination: Destination) -> str:
    """The namespace that a host names; empty where it names none."""
    _, *rest = destination.host.removesuffix(".").split(".")
    if not rest:
        return ""
    # name.namespace, name.namespace.svc and name.namespace.svc.cluster.local are one Service.
    return rest[0] if rest[1:] in (_CLUSTER_DOMAIN[:count] for count in range(len(_CLUSTER_DOMAIN) + 1)) else _EXTERNAL


def _removed(
    rollout: Loaded[Rollout], setting: IstioVirtualService, route: EditedRoute, sides: Sides
) -> Iterator[Finding]:
    """Destinations with traffic that a release deletes, as Argo does: neither side nor an additional subset."""
    for each in route.destinations:
        if each.weight and sides.role(each.destination) is RouteRole.OTHER:
            message = (
                f"route {route.label} of VirtualService {setting.name} also leads to {each.destination.host} "
                f"with {each.weight} %; the first weight of a release removes that"
            )
            remedy = "give it a route of its own, or name its subset in destinationRule.additionalSubsetNames"
            yield rollout.finding(Severity.WARNING, "destination-removed", _ISTIO, message, remedy=remedy)
