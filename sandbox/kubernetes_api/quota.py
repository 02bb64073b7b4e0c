"""The admission of ResourceQuota for numbers of objects (https://kubernetes.io/docs/concepts/policy/resource-quotas/).

Quotas of cpu, memory and storage, and their scopes, are not counted. Nothing keeps their `.status`.
"""

from __future__ import annotations

from sandbox.kubernetes_api.kinds import PODS, RESOURCE_QUOTAS, Kind
from sandbox.kubernetes_api.objects import Object, lookup, meta
from sandbox.kubernetes_api.status import forbidden
from sandbox.kubernetes_api.store import Store

_ENDED = ("Succeeded", "Failed")


def check_quota(store: Store, kind: Kind, obj: Object) -> None:
    """Refuse an object that is one too many in its namespace: 403, as the real server answers it."""
    namespace = meta(obj).get("namespace") or ""
    for quota in store.select(RESOURCE_QUOTAS, namespace):
        hard = lookup(quota, "spec", "hard") or {}
        for key in sorted({"pods" if kind is PODS else "", f"count/{kind.resource}"} & hard.keys()):
            used = sum(1 for each in store.select(kind, namespace) if key != "pods" or _counts(each))
            if used >= int(hard[key]):
                name = meta(quota)["name"]
                why = f"exceeded quota: {name}, requested: {key}=1, used: {key}={used}, limited: {key}={hard[key]}"
                raise forbidden(kind, meta(obj)["name"], why)


def _counts(pod: Object) -> bool:
    return lookup(pod, "status", "phase") not in _ENDED
