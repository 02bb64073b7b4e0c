"""Pod template as it was written, from how an API server stored it: without the defaults that it filled in. Pure.

Source: kubernetes, pkg/apis/core/v1/defaults.go. A Rollout's template is stored as it was written, that of a ReplicaSet
with defaults, and the hash of a version is that of the former.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.rollouts.template_hash import pod_template_hash

_DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "apiVersion": ("v1",),
    "creationTimestamp": (None,),
    "defaultMode": (0o644,),
    "dnsPolicy": ("ClusterFirst",),
    "failureThreshold": (3,),
    "imagePullPolicy": ("IfNotPresent", "Always"),
    "periodSeconds": (10,),
    "protocol": ("TCP",),
    "resources": ({},),
    "restartPolicy": ("Always",),
    "schedulerName": ("default-scheduler",),
    "scheme": ("HTTP",),
    "securityContext": ({},),
    "successThreshold": (1,),
    "terminationGracePeriodSeconds": (30,),
    "terminationMessagePath": ("/dev/termination-log",),
    "terminationMessagePolicy": ("File",),
    "timeoutSeconds": (1,),
}


def as_asked(stored: Mapping[str, Any], written: Mapping[str, Any], hash_: str) -> dict[str, Any]:
    """The template whose hash that is; `stored` itself where it cannot be told, which means the same to a cluster.

    `written` is another version of the template: a default that stands there was probably written here, too.
    """
    found = _without_defaults(stored, written)
    return found if pod_template_hash(found) == hash_ else dict(stored)


def _without_defaults(stored: Any, written: Any) -> Any:
    if isinstance(stored, Mapping):
        pattern = written if isinstance(written, Mapping) else {}
        return {
            name: _without_defaults(value, pattern.get(name))
            for name, value in stored.items()
            if name in pattern or value not in _DEFAULTS.get(name, ())
        }
    if isinstance(stored, list):
        return [_without_defaults(each, _counterpart(each, index, written)) for index, each in enumerate(stored)]
    return stored


def _counterpart(each: Any, index: int, written: Any) -> Any:
    """Counterpart of an item: that of the same name, or position where items have none."""
    others = written if isinstance(written, list) else []
    if isinstance(each, Mapping) and "name" in each:
        return next((other for other in others if isinstance(other, Mapping) and other.get("name") == each["name"]), {})
    return others[index] if index < len(others) else {}
