"""The objects that a Rollout refers to, as they were read: Services, VirtualServices, templates.

All functions are pure: their input was read from the cluster or from files. An object that is absent from a mapping was
not read and is not judged. One that is None was not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tidegate.manifests.decode import decode_object
from tidegate.manifests.field_error import FieldError
from tidegate.manifests.findings import ManifestError, Path
from tidegate.manifests.network import (
    HASH_LABEL,
    MANAGED_BY,
    DestinationRule,
    Service,
    VirtualService,
)
from tidegate.manifests.pod_template.check import template_labels
from tidegate.manifests.rollout import Canary, Istio, IstioVirtualService, Rollout
from tidegate.manifests.routes import (
    PROTOCOLS,
    Protocol,
    RouteError,
    Sides,
    check_sides,
    edited_routes,
    judged_routes,
    managed_names,
)
from tidegate.manifests.validation.analyses import analysis_reference_errors
from tidegate.manifests.validation.routers import router_errors

Observed = Mapping[str, Mapping[str, Any] | None]

_CANARY: Path = ("spec", "strategy", "canary")
_BLUE_GREEN: Path = ("spec", "strategy", "blueGreen")
_ISTIO: Path = (*_CANARY, "trafficRouting", "istio")


def reference_errors(
    rollout: Rollout,
    services: Observed,
    virtual_services: Observed,
    templates: Sequence[Mapping[str, Any]] | None = None,
    destination_rules: Observed | None = None,
    routed: Observed | None = None,
) -> list[FieldError]:
    """Every reason for which the objects around a Rollout make a release of it impossible.

    `services` and `destination_rules` are by name, `virtual_services` by `name.namespace`. `templates` are all
    AnalysisTemplates and ClusterAnalysisTemplates, or None when they were not read. `routed` are the objects of other
    routers by `Kind/name.namespace`.
    """
    found = list(_service_errors(rollout, services))
    strategy = rollout.strategy
    if isinstance(strategy, Canary) and (istio := strategy.istio):
        found += _istio_errors(rollout, istio, virtual_services)
        name = istio.destination_rule.name if istio.destination_rule else ""
        if destination_rules is not None and name in destination_rules:
            found += destination_rule_errors(rollout, destination_rules[name])
    if isinstance(strategy, Canary):
        found += router_errors(rollout, strategy, routed or {})
    if templates is not None:
        found += analysis_reference_errors(rollout, templates)
    return found


def of_kind(routed: Observed, kind: str) -> Observed:
    """Objects of one kind by `name.namespace`, out of objects by `Kind/name.namespace`."""
    return {key.partition("/")[2]: found for key, found in routed.items() if key.partition("/")[0] == kind}


def _service_errors(rollout: Rollout, services: Observed) -> Iterator[FieldError]:
    for field, name in rollout.strategy.services().items():
        if name in services:
            yield from service_errors(rollout, field, services[name])


def service_errors(rollout: Rollout, field: Path, service: Mapping[str, Any] | None) -> list[FieldError]:
    """Errors of the Service that a field of the strategy names; None: it is missing."""
    strategy = rollout.strategy
    is_canary = isinstance(strategy, Canary)
    path: Path = (*(_CANARY if is_canary else _BLUE_GREEN), *field)
    name = strategy.services()[tuple(map(str, field))]
    # In Argo's texts the paths of references do have the name of the strategy that those of its own checks lack.
    if service is None:
        kind = "services" if is_canary else "service"  # from the API server, and from Argo's own words
        return [_error(path, f'{kind} "{name}" not found', f"create Service {name} beside the Rollout")]
    try:
        model = decode_object(Service, service, f"Service/{name}")
    except ManifestError as error:
        return [_error(path, f'Service "{name}" cannot be read: {error}')]
    labels = template_labels(rollout.spec.template)
    selector = {} if rollout.spec.leaves_template_open else model.spec.selector
    errors = [
        _error(path, f'Service "{name}" has unmatch label "{key}" in rollout', f"the selector wants {key}={value}")
        for key, value in selector.items()
        if key != HASH_LABEL and labels.get(key) != value
    ]
    owner = model.metadata.annotations.get(MANAGED_BY)
    if owner is not None and owner != rollout.metadata.name:
        errors.append(_error(path, f'Service "{name}" is managed by another Rollout', f"it belongs to Rollout {owner}"))
    return errors


def _istio_errors(rollout: Rollout, istio: Istio, virtual_services: Observed) -> Iterator[FieldError]:
    if (istio.virtual_service is None) == (istio.virtual_services is None):
        detail = "either VirtualService or VirtualServices must be configured"
        yield FieldError(_ISTIO, f"Internal error: {detail}", "InternalError", argo_path=_ISTIO)
        return
    for path, setting in virtual_service_settings(istio):
        key = ".".join(setting.located(rollout.metadata.namespace))
        if key in virtual_services:
            yield from virtual_service_errors(rollout, setting, virtual_services[key], path)


def virtual_service_settings(istio: Istio) -> Iterator[tuple[Path, IstioVirtualService]]:
    """The settings of VirtualServices, each with the path of its name."""
    if istio.virtual_service is not None:
        yield (*_ISTIO, "virtualService", "name"), istio.virtual_service
    for index, setting in enumerate(istio.virtual_services or ()):
        yield (*_ISTIO, "virtualServices", index, "name"), setting


def virtual_service_errors(
    rollout: Rollout, setting: IstioVirtualService, virtual_service: Mapping[str, Any] | None, path: Path
) -> list[FieldError]:
    """Errors of the VirtualService that a Rollout's setting at `path` names; None: it is missing."""
    name, namespace = setting.located(rollout.metadata.namespace)
    if virtual_service is None:
        remedy = f"create it in namespace {namespace}" if namespace else "create it beside the Rollout"
        details = [(f'virtualservices.networking.istio.io "{name}" not found', remedy)]
    else:
        spec = virtual_service.get("spec")
        given = {key: value for key, value in spec.items() if isinstance(value, list)} if isinstance(spec, dict) else {}
        details = [
            detail
            for protocol in PROTOCOLS
            if protocol in given
            for detail in _route_problems(rollout, setting, protocol, given[protocol])
        ]
        if not any(protocol in given for protocol in PROTOCOLS):
            detail = "Unable to get any of the HTTP, TCP or TLS routes for the Istio VirtualService"
            details.append((detail, "give it a route to the stable and the canary side"))
    # Argo leaves out which of several VirtualServices it speaks of.
    argo_path = tuple(part for part in path if isinstance(part, str))
    return [FieldError(path, detail, remedy=remedy, argo_path=argo_path) for detail, remedy in details]


def _route_problems(
    rollout: Rollout, setting: IstioVirtualService, protocol: Protocol, routes: Sequence[Any]
) -> Iterator[tuple[str, str]]:
    """Errors of the routes of one protocol, with remedies."""
    kind = protocol.upper()
    try:
        spec = decode_object(VirtualService, {"spec": {protocol: routes}}, f"VirtualService/{setting.name}").spec
        for route in judged_routes(setting, spec, protocol):
            check_sides(route, Sides.of(rollout.canary))
        edited_routes(setting, spec, protocol, managed_names(rollout.canary))
    except ManifestError as error:
        yield f"Unable to get {kind} routes for Istio VirtualService", str(error)
    except RouteError as error:
        yield f"Istio VirtualService has invalid {kind} routes. Error: {error}", ""


def destination_rule_errors(rollout: Rollout, rule: Mapping[str, Any] | None) -> list[FieldError]:
    """Errors of the DestinationRule that a Rollout names: it is missing (None), or lacks subsets.

    The weight of a missing subset leads nowhere.
    """
    setting = rollout.canary.istio.destination_rule if rollout.canary.istio else None
    if setting is None:
        return []
    path: Path = (*_ISTIO, "destinationRule")
    if rule is None:
        text = f'destinationrules.networking.istio.io "{setting.name}" not found'
        return [_error((*path, "name"), text, "create it beside the Rollout")]
    try:
        spec = decode_object(DestinationRule, rule, f"DestinationRule/{setting.name}").spec
    except ManifestError as error:
        return [_error((*path, "name"), f'DestinationRule "{setting.name}" cannot be read: {error}')]
    found = [subset.name for subset in spec.subsets]
    remedy = f"subsets: {', '.join(found) or 'none'}"
    subsets = (("canarySubsetName", setting.canary_subset_name), ("stableSubsetName", setting.stable_subset_name))
    return [
        _error((*path, field), f"DestinationRule '{setting.name}' has no subset '{name}'", remedy)
        for field, name in subsets
        if name not in found
    ]


def _error(path: Path, detail: str, remedy: str = "") -> FieldError:
    return FieldError(path, detail, remedy=remedy, argo_path=path)
