"""Kubernetes Events on a Rollout or an Experiment that has no workflow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from activities.kubernetes.client import EVENTS, ROLLOUTS, Cluster, Object, Resource
from tidegate.contract.instances import INSTANCE_LABEL
from tidegate.manifests.plain_text import harmless

COMPONENT = "tidegate-watcher"
HELD_BY_ARGO: Final = "HeldByArgoRollouts"
_LONGEST_MESSAGE = 1000  # bytes; the API server takes 1024
_LONGEST_NAME = 253


async def warn(
    cluster: Cluster,
    found: Mapping[str, Any],
    reason: str,
    about: str,
    message: str,
    resource: Resource = ROLLOUTS,
) -> bool:
    """Write a warning Event on an object of that kind unless it exists; returns whether it is new.

    `about` is its subject, such as a generation: the same object, reason and `about` are one Event, whichever process
    writes it. Raises as `Cluster` does.
    """
    body = _event(found, resource, reason, about, message, datetime.now(UTC))
    namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
    if await cluster.find(EVENTS, namespace, name) is not None:
        return False
    await cluster.create(EVENTS, namespace, body)
    return True


def held_by(holder: str, kind: str) -> str:
    """Message about an object on which Argo's controller acts as well."""
    return (
        f"a controller of Argo Rollouts acts on this {kind} as well: {holder}; nothing is done for the object "
        f"until it has stopped, or the label {INSTANCE_LABEL} gives the object to one of the two"
    )


def _event(
    found: Mapping[str, Any], resource: Resource, reason: str, about: str, message: str, now: datetime
) -> Object:
    metadata = found["metadata"]
    name, namespace, uid = (str(metadata.get(key) or "") for key in ("name", "namespace", "uid"))
    digest = hashlib.sha256(f"{uid}/{reason}/{about}".encode()).hexdigest()[:16]
    timestamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": f"{name[: _LONGEST_NAME - len(digest) - 1]}.{digest}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "resourceVersion": str(metadata.get("resourceVersion") or ""),
        },
        "type": "Warning",
        "reason": reason,
        "message": harmless(message).encode()[:_LONGEST_MESSAGE].decode(errors="ignore"),
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": timestamp,
        "lastTimestamp": timestamp,
        "count": 1,
    }
