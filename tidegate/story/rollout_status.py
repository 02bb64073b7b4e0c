"""Argo's `.status` of a Rollout, as a release writes it."""

from __future__ import annotations

from tidegate.contract import Document, ReleaseStatus


def rollout_status(status: ReleaseStatus) -> Document:
    """`.status` of the Rollout object in Argo's fields (argo-rollouts, RolloutStatus)."""
    return {
        "phase": status.phase,
        "message": status.message,
        "abort": status.phase == "Degraded" and bool(status.compensations),
        "currentPodHash": status.desired_hash,
        "currentStepIndex": status.step_index,
        "stableRS": status.stable_hash,
        "replicas": status.counts.current,
        "updatedReplicas": status.counts.updated,
        "readyReplicas": status.counts.ready,
        "availableReplicas": status.counts.available,
        "canary": {
            "weights": {
                "canary": {"weight": status.actual_weight, "podTemplateHash": status.desired_hash},
                "stable": {"weight": 100 - status.actual_weight, "podTemplateHash": status.stable_hash},
            }
        },
    }
