"""The objects that a Rollout refers to, as they were observed: Services, VirtualServices, templates.

All functions are pure: they are given what was read from the cluster or from files. An object that is absent from a
mapping was not looked for and is not judged, one that is None was looked for and not found.
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
    VirtualServiceSpec,
)
from tidegate.manifests.pod_template.check import template_labels
from tidegate.manifests.rollout import Istio, IstioVirtualService, Rollout
from tidegate.manifests.routes import PROTOCOLS, RouteError, Sides, check_sides, edited_routes, managed_names
from tidegate.manifests.validation.analyses import analysis_reference_errors

Observed = Mapping[str, Mapping[str, Any] | None]

_CANARY: Path = ("spec", "strategy", "canary")
_ISTIO: Path = (*_CANARY, "trafficRouting", "istio")


def reference_errors(
    rollout: Rollout,
    services: Observed,
    virtual_services: Observed,
    templates: Sequence[Mapping[str, Any]] | None = None,
) -> list[FieldError]:
    """Every reason for which the objects around a Rollout make a release of it impossible.

    `services` are by name, `virtual_services` by `name.namespace`, `templates` all AnalysisTemplates and
    ClusterAnalysisTemplates that were found, or None when nobody looked.
    """
    found = list(_service_errors(rollout, services))
    if istio := rollout.canary.istio:
        found += _istio_errors(rollout, istio, virtual_services)
    if templates is not None:
        found += analysis_reference_errors(rollout, templates)
    return found


def _service_errors(rollout: Rollout, services: Observed) -> Iterator[FieldError]:
    for field, name in rollout.canary.services().items():
        if name in services:
            yield from service_errors(rollout, field, services[name])


def service_errors(rollout: Rollout, field: Path, service: Mapping[str, Any] | None) -> list[FieldError]:
    """What is wrong with the Service that a field of the canary strategy names; None: it is missing."""
    path: Path = (*_CANARY, *field)
    name = rollout.canary.services()[tuple(map(str, field))]
    # In Argo's texts the paths of references do have the `canary` that those of the strategy lack.
    if service is None:
        return [_error(path, f'services "{name}" not found', f"create Service {name} beside the Rollout")]
    try:
        model = decode_object(Service, service, f"Service/{name}")
    except ManifestError as error:
        return [_error(path, f'Service "{name}" cannot be read: {error}')]
    owner = model.metadata.annotations.get(MANAGED_BY)
    if owner is not None and owner != rollout.metadata.name:
        return [_error(path, f'Service "{name}" is managed by another Rollout', f"it belongs to Rollout {owner}")]
    if rollout.spec.leaves_template_open:
        return []
    labels = template_labels(rollout.spec.template)
    return [
        _error(path, f'Service "{name}" has unmatch label "{key}" in rollout', f"the selector wants {key}={value}")
        for key, value in model.spec.selector.items()
        if key != HASH_LABEL and labels.get(key) != value
    ]


def _istio_errors(rollout: Rollout, istio: Istio, virtual_services: Observed) -> Iterator[FieldError]:
    if (istio.virtual_service is None) == (not istio.virtual_services):
        detail = "Internal error: either VirtualService or VirtualServices must be configured"
        yield FieldError(_ISTIO, detail, "InternalError", argo_path=_ISTIO)
        return
    for index, setting in enumerate(istio.all_virtual_services()):
        at: Path = ("virtualService",) if istio.virtual_service else ("virtualServices", index)
        key = ".".join(setting.located(rollout.metadata.namespace))
        if key in virtual_services:
            yield from virtual_service_errors(rollout, setting, virtual_services[key], (*_ISTIO, *at, "name"))


def virtual_service_errors(
    rollout: Rollout,
    setting: IstioVirtualService,
    virtual_service: Mapping[str, Any] | None,
    path: Path = (*_ISTIO, "virtualService", "name"),
) -> list[FieldError]:
    """What is wrong with the VirtualService that a Rollout's setting at `path` names; None: it is missing."""
    if virtual_service is None:
        return [_error(path, f'virtualservices.networking.istio.io "{setting.name}" not found')]
    try:
        spec = decode_object(VirtualService, virtual_service, f"VirtualService/{setting.name}").spec
    except ManifestError as error:
        return [_error(path, f'Istio VirtualService "{setting.name}" cannot be read: {error}')]
    if not (spec.http or spec.tls or spec.tcp):
        return [_error(path, "Unable to get HTTP, TLS and/or TCP routes for Istio VirtualService")]
    return list(_route_errors(rollout, setting, spec, path))


def destination_rule_errors(rollout: Rollout, rule: Mapping[str, Any]) -> list[FieldError]:
    """What is wrong with the DestinationRule that a Rollout names: subsets that it lacks."""
    setting = rollout.canary.istio.destination_rule if rollout.canary.istio else None
    if setting is None:
        return []
    path: Path = (*_ISTIO, "destinationRule")
    try:
        spec = decode_object(DestinationRule, rule, f"DestinationRule/{setting.name}").spec
    except ManifestError as error:
        return [_error((*path, "name"), f'DestinationRule "{setting.name}" cannot be read: {error}')]
    found = [subset.name for subset in spec.subsets]
    remedy = f"subsets: {', '.join(found) or 'none'}"
    wanted = (("canarySubsetName", setting.canary_subset_name), ("stableSubsetName", setting.stable_subset_name))
    return [
        _error((*path, field), f"DestinationRule '{setting.name}' has no subset '{name}'", remedy)
        for field, name in wanted
        if name not in found
    ]


def _route_errors(
    rollout: Rollout, setting: IstioVirtualService, spec: VirtualServiceSpec, path: Path
) -> Iterator[FieldError]:
    managed = managed_names(rollout.canary)
    sides = Sides.of(rollout.canary)
    for protocol in PROTOCOLS:
        try:
            for route in edited_routes(setting, spec, protocol, managed):
                check_sides(route, sides)
        except RouteError as error:
            yield _error(path, f"Istio VirtualService has invalid {protocol.upper()} routes. Error: {error}")


def _error(path: Path, detail: str, remedy: str = "") -> FieldError:
    return FieldError(path, detail, remedy=remedy, argo_path=path)
