"""Kubernetes Events on a Rollout that has no release."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from activities.kubernetes.client import EVENTS, ROLLOUTS, Cluster, Object
from tidegate.manifests.plain_text import harmless

COMPONENT = "tidegate-watcher"
_LONGEST_MESSAGE = 1000  # bytes; the API server takes 1024
_LONGEST_NAME = 253


async def warn(cluster: Cluster, rollout: Mapping[str, Any], reason: str, about: str, message: str) -> bool:
    """Write a warning Event on a Rollout unless it exists; returns whether it is new.

    `about` is its subject, such as a generation: the same object, reason and `about` are one Event, whichever process
    writes it. Raises as `Cluster` does.
    """
    body = _event(rollout, reason, about, message, datetime.now(UTC))
    namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
    if await cluster.find(EVENTS, namespace, name) is not None:
        return False
    await cluster.create(EVENTS, namespace, body)
    return True


def _event(rollout: Mapping[str, Any], reason: str, about: str, message: str, now: datetime) -> Object:
    metadata = rollout["metadata"]
    name, namespace, uid = (str(metadata.get(key) or "") for key in ("name", "namespace", "uid"))
    digest = hashlib.sha256(f"{uid}/{reason}/{about}".encode()).hexdigest()[:16]
    timestamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": f"{name[: _LONGEST_NAME - len(digest) - 1]}.{digest}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": ROLLOUTS.api_version,
            "kind": ROLLOUTS.kind,
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
