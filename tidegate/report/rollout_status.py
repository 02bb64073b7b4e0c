"""Argo's `.status` of a Rollout, as a release writes it."""

from __future__ import annotations

from datetime import datetime

from tidegate.contract import AnalysisKind, AnalysisRef, Document, PauseReason, ReleaseStatus, StrategyName
from tidegate.rollouts.phase import RolloutPhase


def rollout_status(status: ReleaseStatus) -> Document:
    """`.status` of the Rollout object in Argo's fields (argo-rollouts, RolloutStatus); None removes a field.

    A pass adds the fields that it reads itself: pods, weights, and the message while there is no other.
    """
    conditions = pause_conditions(status)
    document: Document = {
        "phase": status.phase.value,
        "message": status.message,
        "abort": status.aborting or None,
        "abortedAt": _aborted_at(status),
        "promoteFull": _is_promoting_fully(status) or None,
        "pauseConditions": conditions,
        "controllerPause": bool(conditions) or None,
        "currentPodHash": status.desired_hash,
        "currentStepHash": status.step_hash,
        "stableRS": status.stable_hash or status.desired_hash,  # of a first version, from its beginning on
        **_of_strategy(status),
    }
    if status.manual_pause is not None and status.phase in (RolloutPhase.PROGRESSING, RolloutPhase.PAUSED):
        document |= {"phase": RolloutPhase.PAUSED.value, "message": PauseReason.MANUAL.value}
    if status.restarting and status.phase in (RolloutPhase.PROGRESSING, RolloutPhase.HEALTHY):
        document |= {"phase": RolloutPhase.PROGRESSING.value, "message": "rollout is restarting"}
    if status.failing is not None:
        document["message"] = "; ".join(filter(None, (document["message"], str(status.failing))))
    if status.collision_count is not None:
        document["collisionCount"] = status.collision_count
    if status.restarted_at is not None:
        document["restartedAt"] = _wire(status.restarted_at)
    if status.object is not None and status.object.generation:
        document["observedGeneration"] = str(status.object.generation)
    return document


def _of_strategy(status: ReleaseStatus) -> Document:
    """Fields of one strategy; None removes those that another one may have left."""
    if status.strategy is StrategyName.BLUE_GREEN:
        runs = {
            "prePromotionAnalysisRunStatus": _analysis(status, AnalysisKind.PRE_PROMOTION, None),
            "postPromotionAnalysisRunStatus": _analysis(status, AnalysisKind.POST_PROMOTION, None),
        }
        return {"currentStepIndex": None, "blueGreen": runs}
    runs = {
        "currentStepAnalysisRunStatus": _analysis(status, AnalysisKind.STEP, status.step_index),
        "currentBackgroundAnalysisRunStatus": _analysis(status, AnalysisKind.BACKGROUND, None),
    }
    # An aborted version stands before its first step: a retry begins there.
    index = 0 if status.aborting and status.steps else status.step_index
    return {"currentStepIndex": index, "canary": runs}


def _is_promoting_fully(status: ReleaseStatus) -> bool:
    """True while a full promotion is under way. Its flag goes at the end, so that an operator can set it again.

    Argo removes it when another version comes (argo-rollouts, resetRolloutStatus).
    """
    return status.promoted_full and not status.aborting and status.stable_hash != status.desired_hash


def _aborted_at(status: ReleaseStatus) -> str | None:
    given_up = [each.at for each in status.events if each.reason == "RolloutAborted"]
    return _wire(given_up[-1]) if status.aborting and given_up else None


def _analysis(status: ReleaseStatus, kind: AnalysisKind, step: int | None) -> Document | None:
    """The newest analysis run of this version's step, or beside its steps."""
    found = [each for each in status.analyses if (each.kind, each.step, each.revision) == (kind, step, status.revision)]
    return _reference(found[-1]) if found else None


def _reference(run: AnalysisRef) -> Document:
    return {"name": run.name, "status": run.status.phase.value, "message": run.status.message or None}


def _wire(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def pause_conditions(status: ReleaseStatus) -> list[Document] | None:
    """`.status.pauseConditions` of a release, None while it is not paused, or only manually.

    The time has microseconds, so that no two pauses are equal.
    """
    if status.phase is not RolloutPhase.PAUSED or status.paused_at is None:
        return None
    if status.pause is None or status.pause is PauseReason.MANUAL:
        return None
    since = status.paused_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return [{"reason": status.pause.value, "startTime": since}]
