"""The scale subresource: an `autoscaling/v1` Scale as a view of `spec.replicas`."""

from __future__ import annotations

from sandbox.kubernetes_api.kinds import Kind
from sandbox.kubernetes_api.objects import Object, lookup, meta, with_metadata
from sandbox.kubernetes_api.selectors import selector_text
from sandbox.kubernetes_api.status import bad_request, unknown_path

_SHOWN = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(kind: Kind, obj: Object) -> Object:
    """The Scale of an object.

    Raises:
        ApiError: 404 when the kind has none.
    """
    if kind.scale is None:
        raise unknown_path()
    selector = lookup(obj, *kind.scale.selector)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta(obj)[name] for name in _SHOWN if name in meta(obj)},
        "spec": {"replicas": lookup(obj, "spec", "replicas") or 0},
        "status": {
            "replicas": lookup(obj, *kind.scale.status_replicas) or 0,
            "selector": selector if isinstance(selector, str) else selector_text(selector),
        },
    }


def scaled(obj: Object, scale: Object) -> Object:
    """`obj` with the replica count and resourceVersion that `scale` states.

    Raises:
        ApiError: 400 when `scale.spec.replicas` is no integer.
    """
    replicas = lookup(scale, "spec", "replicas")
    if replicas is None:
        replicas = 0
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise bad_request(f"Scale cannot be handled: spec.replicas must be an integer, got {replicas!r}")
    version = meta(scale).get("resourceVersion", meta(obj)["resourceVersion"])
    spec = {**(obj.get("spec") or {}), "replicas": replicas}
    return {**with_metadata(obj, resourceVersion=version), "spec": spec}
