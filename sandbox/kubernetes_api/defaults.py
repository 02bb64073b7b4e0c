"""What the server fills in: the defaults of typed resources that clients and controllers rely on."""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, cast

from sandbox.kubernetes_api.gateway_routes import fill_route
from sandbox.kubernetes_api.kinds import NAMESPACES, ROUTES, Kind
from sandbox.kubernetes_api.objects import Object, clone, labels, lookup
from tidegate.manifests.pod_template.defaults import with_defaults as template_defaults
from tidegate.rollouts.template_hash import as_go_writes

_TOLERATIONS = [
    {"effect": "NoExecute", "key": f"node.kubernetes.io/{state}", "operator": "Exists", "tolerationSeconds": 300}
    for state in ("not-ready", "unreachable")
]
_EMPTY_LEFT_OUT = ("labels", "annotations", "finalizers", "ownerReferences")
_DATA = ("data", "binaryData", "stringData")
_SERVICE_NETWORK = ipaddress.ip_network("10.96.0.0/16")


def _fill(target: dict[str, Any], **values: Any) -> None:
    for name, value in values.items():
        if target.get(name) is None:
            target[name] = value


def _mappings(value: Any) -> Iterable[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _template(obj: Object) -> None:
    template = lookup(obj, "spec", "template")
    if isinstance(template, dict):
        obj["spec"]["template"] = _stored(template)


def _stored(template: dict[str, Any]) -> Object:
    """A pod template as the real server stores it, by the product's table of Kubernetes' types.

    That table is judged by the real server: what is expected here is asked of it, too (tests/conformance).
    """
    return cast("Object", json.loads(_stored_text(json.dumps(template))))


@lru_cache(maxsize=256)  # the same few templates are written again and again
def _stored_text(text: str) -> str:
    template = json.loads(text)
    network = lookup(template, "spec", "hostNetwork")
    if network:  # for which only a pod itself is given ports of the host
        del template["spec"]["hostNetwork"]
    stored = cast("Object", as_go_writes(template_defaults(template)))
    if network:
        stored["spec"]["hostNetwork"] = network
    return json.dumps(stored)


def _pod(obj: Object) -> None:
    if isinstance(obj.get("spec"), dict):
        spec = obj["spec"] = _stored({"spec": obj["spec"]})["spec"]
        _fill(spec, enableServiceLinks=True, preemptionPolicy="PreemptLowerPriority", priority=0)
        if not spec.get("serviceAccountName"):
            spec["serviceAccountName"] = spec["serviceAccount"] = "default"
        _fill(spec, tolerations=[dict(each) for each in _TOLERATIONS])
        for container in [*_mappings(spec.get("containers")), *_mappings(spec.get("initContainers"))]:
            limits = lookup(container, "resources", "limits")
            if isinstance(limits, dict) and limits:
                container["resources"]["requests"] = {**limits, **(container["resources"].get("requests") or {})}
    _fill(obj, status={})
    _fill(obj["status"], phase="Pending", qosClass=_quality(obj.get("spec")))


def _quality(spec: Any) -> str:
    """The class by which a node chooses what to evict, for the resources that count."""
    found = [container.get("resources") or {} for container in _mappings(lookup(spec, "containers"))]
    counted = [
        {
            kind: {key: value for key, value in (each.get(kind) or {}).items() if key in ("cpu", "memory")}
            for kind in ("limits", "requests")
        }
        for each in found
    ]
    if not any(each["limits"] or each["requests"] for each in counted):
        return "BestEffort"
    sure = all(len(each["limits"]) == 2 and each["limits"] == each["requests"] for each in counted)
    return "Guaranteed" if sure else "Burstable"


def _replica_set(obj: Object) -> None:
    _fill(obj.setdefault("spec", {}), replicas=1)
    _template(obj)
    _fill(obj, status={})
    _fill(obj["status"], replicas=0)


def _deployment(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600, strategy={"type": "RollingUpdate"})
    if lookup(spec, "strategy", "type") == "RollingUpdate":
        _fill(spec["strategy"], rollingUpdate={})
        _fill(spec["strategy"]["rollingUpdate"], maxSurge="25%", maxUnavailable="25%")
    _template(obj)


def _service(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, type="ClusterIP", sessionAffinity="None")
    if spec["type"] != "ExternalName":
        _fill(spec, internalTrafficPolicy="Cluster", ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
    for port in _mappings(spec.get("ports")):
        _fill(port, protocol="TCP", targetPort=port.get("port"))
    _fill(obj, status={"loadBalancer": {}})


def _secret(obj: Object) -> None:
    _fill(obj, type="Opaque")
    plain = obj.pop("stringData", None)
    if isinstance(plain, dict):
        encoded = {name: base64.b64encode(str(value).encode()).decode() for name, value in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def _namespace(obj: Object) -> None:
    obj["metadata"]["labels"] = {**labels(obj), "kubernetes.io/metadata.name": obj["metadata"]["name"]}
    _fill(obj, spec={"finalizers": ["kubernetes"]}, status={})
    _fill(obj["status"], phase="Active")


def _job(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    if spec.get("parallelism") is None:
        _fill(spec, completions=1)
    _fill(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False)
    _fill(spec, manualSelector=False, podReplacementPolicy="TerminatingOrFailed")
    if not spec.get("manualSelector") and isinstance(spec.get("template"), dict):
        uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
        own = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name}
        own |= {"controller-uid": uid, "job-name": name}
        _fill(spec, selector={"matchLabels": {"batch.kubernetes.io/controller-uid": uid}})
        _fill(spec["template"], metadata={})
        spec["template"]["metadata"]["labels"] = {**labels(spec["template"]), **own}
    _template(obj)
    _fill(obj, status={})


_DEFAULTS: dict[str, Callable[[Object], None]] = {
    "pods": _pod,
    "replicasets": _replica_set,
    "deployments": _deployment,
    "services": _service,
    "secrets": _secret,
    "namespaces": _namespace,
    "jobs": _job,
    **{kind.plural: fill_route for kind in ROUTES},  # whose CRDs have defaults, unlike those of Argo and Istio
}


def tidied(kind: Kind, obj: Object, *, argo_crds: bool) -> Object:
    """`obj` without what a server does not store: empty maps of metadata and data, nulls of a custom resource.

    Within a template the CRDs of `deploy/` keep everything.
    """
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _EMPTY_LEFT_OUT or value}
    if len(metadata) != len(obj["metadata"]):
        obj = {**obj, "metadata": metadata}
    if kind.custom:
        return cast("Object", _without_nulls(obj, "" if argo_crds else "template"))
    return {name: value for name, value in obj.items() if name not in _DATA or value}


def _without_nulls(value: Any, kept: str) -> Any:
    """The same without members that are null, except within members of that name; itself where there are none."""
    if isinstance(value, dict):
        cleared = {
            name: each if name == kept else _without_nulls(each, kept)
            for name, each in value.items()
            if each is not None
        }
        same = len(cleared) == len(value) and all(cleared[name] is each for name, each in value.items())
        return value if same else cleared
    if isinstance(value, list):
        items = [_without_nulls(each, kept) for each in value]
        return value if all(one is other for one, other in zip(items, value, strict=True)) else items
    return value


def with_defaults(kind: Kind, old: Object | None, obj: Object) -> Object:
    """`obj` with what it leaves open filled in, as for typed resources and routes; other custom ones stay as they are.

    It has to bear objects of the right outline that validation has yet to refuse. `old` is what it replaces.
    """
    fill = None if kind.custom and kind not in ROUTES else _DEFAULTS.get(kind.plural)
    same = old is not None and "spec" in obj and obj["spec"] == old.get("spec") and bool(obj.get("status"))
    if fill is None or (same and kind is not NAMESPACES):
        return obj
    filled = clone(obj)
    fill(filled)
    return filled


def cluster_ip(taken: set[Any]) -> str:
    """The first address of the service network that no Service has.

    Raises:
        RuntimeError: all 65,000 are taken.
    """
    for address in _SERVICE_NETWORK.hosts():
        if str(address) not in taken:
            return str(address)
    raise RuntimeError(f"every address of {_SERVICE_NETWORK} is taken")
