"""Pods as controllers make them, and what their status says: phase, readiness, availability."""

from __future__ import annotations

from datetime import UTC, datetime

from sandbox.kubernetes_api.objects import Object, labels, lookup, meta, owner_reference, parse_time

LOOPBACK = "127.0.0.1"
_FINISHED = ("Succeeded", "Failed")


def pod_of(owner: Object, template: Object) -> Object:
    """A pod of a template, named after its owner."""
    return {
        "metadata": {
            "generateName": f"{meta(owner)['name']}-",
            "labels": labels(template),
            "annotations": meta(template).get("annotations"),
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": template["spec"],
    }


def is_terminating(pod: Object) -> bool:
    """Whether its deletion was asked for."""
    return bool(meta(pod).get("deletionTimestamp"))


def is_finished(pod: Object) -> bool:
    """Whether its containers have ended for good."""
    return lookup(pod, "status", "phase") in _FINISHED


def is_active(pod: Object) -> bool:
    """Whether it counts as a replica."""
    return not is_terminating(pod) and not is_finished(pod)


def ready_since(pod: Object) -> datetime | None:
    """When its condition Ready became True, None while it is not; a condition without a time always was."""
    for condition in lookup(pod, "status", "conditions") or []:
        if condition.get("type") == "Ready" and condition.get("status") == "True":
            since = condition.get("lastTransitionTime")
            return parse_time(since).astimezone(UTC) if since else datetime.fromtimestamp(0, UTC)
    return None


def seconds_to_available(pod: Object, min_ready_seconds: float, now: datetime) -> float | None:
    """How long after `now` until it is available: 0 or less when it is, None when it is not even ready."""
    since = ready_since(pod)
    return None if since is None else min_ready_seconds - (now - since).total_seconds()
