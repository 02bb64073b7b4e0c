"""Argo's `.status` of a Rollout, as a release writes it."""

from __future__ import annotations

from typing import Final

from tidegate.contract import Document, ReleaseStatus

MANUALLY_PAUSED: Final = "manually paused"
"""Message of a pause that a person asked for; Argo has no pause condition for it."""


def rollout_status(status: ReleaseStatus) -> Document:
    """`.status` of the Rollout object in Argo's fields (argo-rollouts, RolloutStatus); None takes a field away."""
    conditions = pause_conditions(status)
    stable = status.stable_hash or status.desired_hash  # of a first version, from its beginning on
    document: Document = {
        "phase": status.phase,
        "message": status.message,
        "abort": status.aborting or None,
        "promoteFull": status.promoted_full or None,
        "pauseConditions": conditions,
        "controllerPause": bool(conditions) or None,
        "currentPodHash": status.desired_hash,
        "currentStepHash": status.step_hash,
        # An aborted version stands before its first step: a retry begins there.
        "currentStepIndex": 0 if status.aborting and status.steps else status.step_index,
        "stableRS": stable,
        "replicas": status.counts.current,
        "updatedReplicas": status.counts.updated,
        "readyReplicas": status.counts.ready,
        "availableReplicas": status.counts.available,
        "canary": {
            "weights": {
                "canary": {"weight": status.actual_weight, "podTemplateHash": status.desired_hash},
                "stable": {
                    "weight": 100 - status.actual_weight - status.beside_weight,
                    "podTemplateHash": stable,
                },
            }
        },
    }
    if status.manual_pause is not None and status.phase in ("Progressing", "Paused"):
        document |= {"phase": "Paused", "message": MANUALLY_PAUSED}
    if status.restarting and status.phase in ("Progressing", "Healthy"):
        document |= {"phase": "Progressing", "message": "rollout is restarting"}
    if status.restarted_at is not None:
        document["restartedAt"] = status.restarted_at.isoformat().replace("+00:00", "Z")
    if status.object is not None and status.object.generation:
        document["observedGeneration"] = str(status.object.generation)
    return document


def pause_conditions(status: ReleaseStatus) -> list[Document] | None:
    """`.status.pauseConditions` of a release, None while it is not paused, or only because a person asked for it.

    The time has microseconds, so that no two pauses look the same.
    """
    if status.phase != "Paused" or status.paused_at is None or status.message == MANUALLY_PAUSED:
        return None
    since = status.paused_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return [{"reason": status.message, "startTime": since}]
