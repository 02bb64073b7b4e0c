"""The columns of each kind, with the names and contents of real clusters and of Argo's and Istio's CRDs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sandbox.kubernetes_api.kinds import Kind
from sandbox.kubernetes_api.objects import Object, lookup, meta, parse_time
from sandbox.kubernetes_api.selectors import selector_text

Cell = str | int | None
_MAX_ENDPOINTS = 3


class Column(NamedTuple):
    """One column: heading, OpenAPI type, what a cell holds; a priority above 0 shows only with `-o wide`."""

    name: str
    cell: Callable[[Object, datetime], Cell]
    type: str = "string"
    priority: int = 0


def short_duration(length: timedelta) -> str:
    """A duration as kubectl shows ages: `45s`, `5m30s`, `3h`, `2d4h`, `400d`; `<invalid>` for one well below zero."""
    seconds = int(length.total_seconds())
    if seconds < -1:
        return "<invalid>"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    steps: list[tuple[bool, str, int, str]] = [
        (seconds < 120, f"{max(seconds, 0)}s", 0, ""),
        (minutes < 10, f"{minutes}m", seconds % 60, "s"),
        (minutes < 180, f"{minutes}m", 0, ""),
        (hours < 8, f"{hours}h", minutes % 60, "m"),
        (hours < 48, f"{hours}h", 0, ""),
        (days < 8, f"{days}d", hours % 24, "h"),
    ]
    for applies, text, rest, unit in steps:
        if applies:
            return f"{text}{rest}{unit}" if rest else text
    return f"{days}d"


def _since(text: Any, now: datetime) -> str:
    return short_duration(now - parse_time(text).astimezone(UTC)) if isinstance(text, str) and text else "<unknown>"


def _path(name: str, *path: str, kind: str = "string", priority: int = 0, absent: Cell = None) -> Column:
    """A column that shows the value at a path; with `absent` where there is none."""

    def cell(obj: Object, _: datetime) -> Cell:
        value = lookup(obj, *path)
        if value is None:
            return absent
        if isinstance(value, list):
            return "[" + ",".join(f'"{item}"' for item in value) + "]"
        return value if isinstance(value, int) else str(value)

    return Column(name, cell, kind, priority)


def _count(name: str, *path: str) -> Column:
    return _path(name, *path, kind="integer", absent=0)


def _plain(name: str, text: Callable[[Object], Cell], kind: str = "string", priority: int = 0) -> Column:
    return Column(name, lambda obj, _: text(obj), kind, priority)


def _pod_spec(obj: Object) -> dict[str, Any]:
    return lookup(obj, "spec", "template", "spec") or {}


def _containers(obj: Object) -> str:
    return ",".join(str(c.get("name")) for c in _pod_spec(obj).get("containers") or [])


def _images(obj: Object) -> str:
    return ",".join(str(c.get("image")) for c in _pod_spec(obj).get("containers") or [])


def _ready_of_desired(obj: Object) -> str:
    return f"{lookup(obj, 'status', 'readyReplicas') or 0}/{lookup(obj, 'spec', 'replicas') or 0}"


def _container_statuses(pod: Object) -> list[dict[str, Any]]:
    return lookup(pod, "status", "containerStatuses") or []


def _pod_ready(pod: Object) -> str:
    ready = sum(1 for status in _container_statuses(pod) if status.get("ready"))
    return f"{ready}/{len(lookup(pod, 'spec', 'containers') or [])}"


def _pod_status(pod: Object) -> str:
    if meta(pod).get("deletionTimestamp"):
        return "Terminating"
    for status in _container_statuses(pod):
        for state in ("waiting", "terminated"):
            if reason := lookup(status, "state", state, "reason"):
                return str(reason)
    return str(lookup(pod, "status", "reason") or lookup(pod, "status", "phase") or "Unknown")


def _pod_restarts(pod: Object) -> str:
    return str(sum(int(status.get("restartCount") or 0) for status in _container_statuses(pod)))


def _service_ports(service: Object) -> str:
    ports = [
        f"{port.get('port')}{':' + str(port['nodePort']) if port.get('nodePort') else ''}/{port.get('protocol', 'TCP')}"
        for port in lookup(service, "spec", "ports") or []
    ]
    return ",".join(ports) or "<none>"


def _map_text(*path: str) -> Callable[[Object], Cell]:
    return lambda obj: ",".join(f"{k}={v}" for k, v in (lookup(obj, *path) or {}).items()) or "<none>"


def _endpoints(obj: Object) -> str:
    addresses = [
        f"{address.get('ip')}:{port.get('port')}"
        for subset in obj.get("subsets") or []
        for address in subset.get("addresses") or []
        for port in subset.get("ports") or []
    ]
    more = len(addresses) - _MAX_ENDPOINTS
    shown = ",".join(addresses[:_MAX_ENDPOINTS])
    return f"{shown} + {more} more..." if more > 0 else shown or "<none>"


def _slice_ports(obj: Object) -> str:
    return ",".join(str(port.get("port")) for port in obj.get("ports") or []) or "<unset>"


def _slice_endpoints(obj: Object) -> str:
    addresses = [address for item in obj.get("endpoints") or [] for address in item.get("addresses") or []]
    return ",".join(addresses[:_MAX_ENDPOINTS]) or "<unset>"


def _event_object(event: Object) -> str:
    involved = event.get("involvedObject") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


def _node_status(node: Object) -> str:
    conditions = {c.get("type"): c.get("status") for c in lookup(node, "status", "conditions") or []}
    return {"True": "Ready", None: "Unknown"}.get(conditions.get("Ready"), "NotReady")


def _job_status(job: Object) -> str:
    for condition in lookup(job, "status", "conditions") or []:
        if condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed"):
            return str(condition["type"])
    return "Running"


_AGE = Column("Age", lambda obj, now: _since(meta(obj).get("creationTimestamp"), now))
_NAME = _path("Name", "metadata", "name")
_TEMPLATE_WIDE = (
    _plain("Containers", _containers, priority=1),
    _plain("Images", _images, priority=1),
    _plain("Selector", lambda obj: selector_text(lookup(obj, "spec", "selector")), priority=1),
)
_STATUS_PHASE = _path("Status", "status", "phase")

_COLUMNS: dict[str, tuple[Column, ...]] = {
    "namespaces": (_STATUS_PHASE, _AGE),
    "pods": (
        _plain("Ready", _pod_ready),
        _plain("Status", _pod_status),
        _plain("Restarts", _pod_restarts),
        _AGE,
        _path("IP", "status", "podIP", priority=1, absent="<none>"),
        _path("Node", "spec", "nodeName", priority=1, absent="<none>"),
        _path("Nominated Node", "status", "nominatedNodeName", priority=1, absent="<none>"),
        _plain("Readiness Gates", lambda _: "<none>", priority=1),
    ),
    "services": (
        _path("Type", "spec", "type"),
        _path("Cluster-IP", "spec", "clusterIP", absent="<none>"),
        _path("External-IP", "spec", "externalName", absent="<none>"),
        _plain("Port(s)", _service_ports),
        _AGE,
        _plain("Selector", _map_text("spec", "selector"), priority=1),
    ),
    "endpoints": (_plain("Endpoints", _endpoints), _AGE),
    "endpointslices": (
        _path("AddressType", "addressType"),
        _plain("Ports", _slice_ports),
        _plain("Endpoints", _slice_endpoints),
        _AGE,
    ),
    "secrets": (_path("Type", "type"), _plain("Data", lambda obj: len(obj.get("data") or {}), "integer"), _AGE),
    "configmaps": (_plain("Data", lambda obj: len(obj.get("data") or {}), "integer"), _AGE),
    "serviceaccounts": (_plain("Secrets", lambda obj: len(obj.get("secrets") or []), "integer"), _AGE),
    "events": (
        Column("Last Seen", lambda obj, now: _since(obj.get("lastTimestamp") or obj.get("eventTime"), now)),
        _path("Type", "type"),
        _path("Reason", "reason"),
        _plain("Object", _event_object),
        _path("Message", "message"),
    ),
    "nodes": (
        _plain("Status", _node_status),
        _plain("Roles", lambda _: "<none>"),
        _AGE,
        _path("Version", "status", "nodeInfo", "kubeletVersion", absent=""),
    ),
    "deployments": (
        _plain("Ready", _ready_of_desired),
        _count("Up-to-date", "status", "updatedReplicas"),
        _count("Available", "status", "availableReplicas"),
        _AGE,
        *_TEMPLATE_WIDE,
    ),
    "replicasets": (
        _count("Desired", "spec", "replicas"),
        _count("Current", "status", "replicas"),
        _count("Ready", "status", "readyReplicas"),
        _AGE,
        *_TEMPLATE_WIDE,
    ),
    "jobs": (
        _plain("Status", _job_status),
        _plain(
            "Completions", lambda job: f"{lookup(job, 'status', 'succeeded') or 0}/{lookup(job, 'spec', 'completions')}"
        ),
        _AGE,
    ),
    "leases": (_path("Holder", "spec", "holderIdentity"), _AGE),
    "virtualservices": (_path("Gateways", "spec", "gateways"), _path("Hosts", "spec", "hosts"), _AGE),
    "ingresses": (
        _path("Class", "spec", "ingressClassName", absent="<none>"),
        _plain("Hosts", lambda obj: ",".join(each.get("host") or "*" for each in lookup(obj, "spec", "rules") or [])),
        _AGE,
    ),
    **{name: (_path("Hostnames", "spec", "hostnames"), _AGE) for name in ("httproutes", "grpcroutes")},
    "destinationrules": (_path("Host", "spec", "host"), _AGE),
    "rollouts": (
        _path("Desired", "spec", "replicas", kind="integer"),
        _path("Current", "status", "replicas", kind="integer"),
        _path("Up-to-date", "status", "updatedReplicas", kind="integer"),
        _path("Available", "status", "availableReplicas", kind="integer"),
        _AGE,
    ),
    "analysisruns": (_STATUS_PHASE, _AGE),
    "experiments": (_STATUS_PHASE, _AGE),
}


def columns_of(kind: Kind) -> tuple[Column, ...]:
    """The columns of a kind; events, as with kubectl, show no name."""
    own = _COLUMNS.get(kind.plural, (_AGE,))
    return own if kind.plural == "events" else (_NAME, *own)
