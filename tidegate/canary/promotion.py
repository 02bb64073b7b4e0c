"""Whether a version may become the stable one, and the words for why.

Source: argo-rollouts, rollout/sync (full promotion).
"""

from __future__ import annotations

from tidegate.canary.position import Position
from tidegate.canary.replica_sets import ReplicaSets


def promotion_reason(at: Position, sets: ReplicaSets, *, fast_rollback: bool = False) -> str:
    """Why the version is to be made stable now, in Argo's words; empty while it is not.

    The first version is stable from its first moment. Any other has all of the replicas available (or as many as
    replicaProgressThreshold asks), was not aborted, and has its steps behind it: all were completed, a person skipped
    them, or `fast_rollback` says that the rollback window does.
    """
    if not at.stable_hash:
        return "Initial deploy"
    if at.aborted or not _complete(at, sets):
        return ""
    if at.promoted_in_full:
        return "Full promotion requested"
    if fast_rollback:
        return "Rollback within window"
    return "" if at.step is not None else f"Completed all {len(at.strategy.steps)} canary steps"


def _complete(at: Position, sets: ReplicaSets) -> bool:
    available = sets.canary.available if sets.canary else 0
    return at.enough(available, at.replicas)
