"""Defaults of an API server for a pod template, so that templates can be compared by meaning.

Source: kubernetes v1.34, pkg/apis/core/v1/defaults.go and conversion.go, as far as they concern templates. Defaults of
pods alone (`enableServiceLinks`, requests from limits) are omitted. Host ports of a pod on the host's network are
filled in by servers before 1.28, and where a gate says so (DefaultHostNetworkHostPortsInPodTemplates). The defaults in
a stored object depend on its kind and on the installed CRD: a ReplicaSet has all of them, a Rollout has those in the
schema of its CRD.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import JsonValue

from tidegate.manifests.pod_template.types import ROOT, SCALARS, Field, fields_of

Values = dict[str, Any]

_MODE: JsonValue = 0o644
_PROBE: Mapping[str, JsonValue] = {
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}
# By the name of the struct. A default counts where nothing stands, and where Go could not tell a zero from nothing.
_DEFAULTS: Mapping[str, Mapping[str, JsonValue]] = {
    "PodSpec": {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    },
    "Container": {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"},
    "ContainerPort": {"protocol": "TCP"},
    "Probe": _PROBE,
    "HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "GRPCAction": {"service": ""},
    "ObjectFieldSelector": {"apiVersion": "v1"},
    "FileKeySelector": {"optional": False},
    "SecretVolumeSource": {"defaultMode": _MODE},
    "ConfigMapVolumeSource": {"defaultMode": _MODE},
    "DownwardAPIVolumeSource": {"defaultMode": _MODE},
    "ProjectedVolumeSource": {"defaultMode": _MODE},
    "ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    "HostPathVolumeSource": {"type": ""},
    "ISCSIVolumeSource": {"iscsiInterface": "default"},
    "RBDVolumeSource": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "AzureDiskVolumeSource": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "ScaleIOVolumeSource": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
    "PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
    "PodCertificateProjection": {"maxExpirationSeconds": 86400},
}


def with_defaults(template: Mapping[str, JsonValue]) -> Values:
    """The template as an API server would store it in a ReplicaSet, whichever of the defaults it has already.

    A value that is no template is returned as it is.
    """
    return _struct(template, ROOT)


def _struct(given: Mapping[str, Any], struct: str) -> Values:
    # Null means the same as nothing: Go reads both as the zero of the type.
    values: Values = {name: value for name, value in given.items() if value is not None}
    for name, default in _DEFAULTS.get(struct, {}).items():
        if name not in values or (values[name] in ("", 0) and _is_zero_nothing(struct, name)):
            values[name] = default
    if (rule := _RULES.get(struct)) is not None:
        rule(values)
    for field in fields_of(struct).values():
        if field.name in values and field.type not in SCALARS:
            values[field.name] = _field(values[field.name], field)
    return values


def _is_zero_nothing(struct: str, name: str) -> bool:
    return fields_of(struct)[name].shape != "*"


def _field(value: Any, field: Field) -> Any:
    if field.shape == "[]":
        return [_single(each, field) for each in value] if isinstance(value, list) else value
    if field.shape == "{}":
        return {key: _single(each, field) for key, each in value.items()} if isinstance(value, Mapping) else value
    return _single(value, field)


def _single(value: Any, field: Field) -> Any:
    return _struct(value, field.type) if isinstance(value, Mapping) else value


def _pod(values: Values) -> None:
    # Two names of one field, each stored in both (conversion.go).
    account = values.get("serviceAccountName") or values.get("serviceAccount")
    if account:
        values["serviceAccountName"] = values["serviceAccount"] = account
    if values.get("hostNetwork") is True:
        for group in ("containers", "initContainers"):
            if isinstance(values.get(group), list):
                values[group] = [_on_the_host(each) for each in values[group]]


def _on_the_host(container: Any) -> Any:
    ports = container.get("ports") if isinstance(container, Mapping) else None
    if not isinstance(ports, list):
        return container
    return {**container, "ports": [_host_port(each) for each in ports]}


def _host_port(port: Any) -> Any:
    if not isinstance(port, Mapping) or port.get("hostPort"):
        return port
    return {**port, "hostPort": port.get("containerPort")}


def _container(values: Values) -> None:
    if not values.get("imagePullPolicy"):
        values["imagePullPolicy"] = _pull_policy(values.get("image"))


def _image_volume(values: Values) -> None:
    if not values.get("pullPolicy"):
        values["pullPolicy"] = _pull_policy(values.get("reference"))


def _pull_policy(image: Any) -> str:
    """`Always` for the tag `latest`, and for an image with neither tag nor digest."""
    name, _, digest = str(image or "").partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"


def _volume(values: Values) -> None:
    if not values.keys() - {"name"}:
        values["emptyDir"] = {}


_RULES: Mapping[str, Callable[[Values], None]] = {
    "PodSpec": _pod,
    "Container": _container,
    "ImageVolumeSource": _image_volume,
    "Volume": _volume,
}
