"""Objects beside a Rollout in a simulated life."""

from __future__ import annotations

from tests.virtual.cluster import NAMESPACE
from tidegate.contract import Document


def service(name: str, rollout: Document) -> Document:
    """A Service for all pods of a Rollout, as people write it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": dict(rollout["spec"]["selector"]["matchLabels"]), "ports": [{"port": 80}]},
    }
