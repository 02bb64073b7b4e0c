"""What the schemas of Argo's own CRDs do to the pod templates in a Rollout and an Experiment.

Source: https://github.com/argoproj/argo-rollouts/tree/master/manifests/crds. Beyond templates they are not known here:
fields that they do not name are kept, and only Tidegate's own CRDs are like this server in that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sandbox.kubernetes_api.kinds import Kind
from sandbox.kubernetes_api.objects import Object, clone, lookup

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_OF_A_TEMPLATE = ("labels", "annotations")  # of its metadata: the others are pruned


def with_argo_defaults(kind: Kind, obj: Object) -> Object:
    """`obj` as it is stored under Argo's CRDs."""
    if kind.group != "argoproj.io" or kind.plural not in ("rollouts", "experiments"):
        return obj
    filled = clone(obj)
    for template in _templates(filled):
        metadata = template.get("metadata")
        if isinstance(metadata, dict):
            template["metadata"] = {name: metadata[name] for name in metadata if name in _OF_A_TEMPLATE}
        for name in _CONTAINERS:
            for container in _mappings(lookup(template, "spec", name)):
                _container(container)
    return filled


def _templates(obj: Object) -> Iterator[dict[str, Any]]:
    yield from _mappings([lookup(obj, "spec", "template")])
    for each in _mappings(lookup(obj, "spec", "templates")):
        yield from _mappings([each.get("template")])


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    yield from (each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()


def _container(container: dict[str, Any]) -> None:
    for port in _mappings(container.get("ports")):
        port.setdefault("protocol", "TCP")
    for name in _PROBES:
        for action in _mappings([lookup(container, name, "grpc")]):
            action.setdefault("service", "")
    for each in _mappings(container.get("env")):
        for source in ("configMapKeyRef", "secretKeyRef"):
            for reference in _mappings([lookup(each, "valueFrom", source)]):
                reference.setdefault("name", "")
    for each in _mappings(container.get("envFrom")):
        for source in ("configMapRef", "secretRef"):
            for reference in _mappings([each.get(source)]):
                reference.setdefault("name", "")
