"""What the server fills in: the defaults of typed resources that clients and controllers rely on."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

from sandbox.kubernetes_api.kinds import Kind
from sandbox.kubernetes_api.objects import Object, clone, labels, lookup

_SERVICE_NETWORK = ipaddress.ip_network("10.96.0.0/16")


def _fill(target: dict[str, Any], **values: Any) -> None:
    for name, value in values.items():
        if target.get(name) is None:
            target[name] = value


def _mappings(value: Any) -> Iterable[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _pod_spec(spec: dict[str, Any]) -> None:
    _fill(
        spec,
        restartPolicy="Always",
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        terminationGracePeriodSeconds=30,
        securityContext={},
    )
    for container in [*_mappings(spec.get("containers")), *_mappings(spec.get("initContainers"))]:
        untagged = ":" not in str(container.get("image", "")).rpartition("/")[2]
        latest = untagged or str(container.get("image")).endswith(":latest")
        _fill(
            container,
            imagePullPolicy="Always" if latest else "IfNotPresent",
            resources={},
            terminationMessagePath="/dev/termination-log",
            terminationMessagePolicy="File",
        )
        for port in _mappings(container.get("ports")):
            _fill(port, protocol="TCP")
        for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
            if isinstance(container.get(probe), dict):
                _fill(container[probe], timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
                if isinstance(container[probe].get("httpGet"), dict):
                    _fill(container[probe]["httpGet"], path="/", scheme="HTTP")


def _template(obj: Object) -> None:
    spec = lookup(obj, "spec", "template", "spec")
    if isinstance(spec, dict):
        _pod_spec(spec)


def _pod(obj: Object) -> None:
    if isinstance(obj.get("spec"), dict):
        _pod_spec(obj["spec"])
        _fill(obj["spec"], enableServiceLinks=True, serviceAccountName="default")
    _fill(obj, status={})
    _fill(obj["status"], phase="Pending")


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
    if not spec.get("manualSelector") and isinstance(spec.get("template"), dict):
        uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
        own = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name}
        own |= {"controller-uid": uid, "job-name": name}
        _fill(spec, selector={"matchLabels": {"batch.kubernetes.io/controller-uid": uid}})
        _fill(spec["template"], metadata={})
        spec["template"]["metadata"]["labels"] = {**labels(spec["template"]), **own}
    _template(obj)


_DEFAULTS: dict[str, Callable[[Object], None]] = {
    "pods": _pod,
    "replicasets": _replica_set,
    "deployments": _deployment,
    "services": _service,
    "secrets": _secret,
    "namespaces": _namespace,
    "jobs": _job,
}


def with_defaults(kind: Kind, obj: Object) -> Object:
    """`obj` with what it leaves open filled in, as for the real server's typed resources; custom ones stay as they are.

    It has to bear objects of the right outline that validation has yet to refuse.
    """
    fill = None if kind.custom else _DEFAULTS.get(kind.plural)
    if fill is None:
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
