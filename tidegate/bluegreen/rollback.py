"""A fast rollback: back to a version whose pods are still there, without pause and analysis."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tidegate.rollouts.replica_sets import ReplicaSetState


def is_fast_rollback(sets: Sequence[ReplicaSetState], desired: str, stable: str, now: datetime) -> bool:
    """True when `desired` was promoted before `stable` and its pods are still waiting for their scale-down.

    Source: argo-rollouts, rollout/bluegreen (fast track). Beyond it, a version that was never promoted takes its gates:
    nothing says that it was ever good (law 4).
    """
    by_hash = {each.hash: each for each in sets}
    target, current = by_hash.get(desired), by_hash.get(stable)
    if target is None or current is None or not target.promoted or not target.desired:
        return False
    if target.created_at is None or current.created_at is None or target.created_at >= current.created_at:
        return False
    return target.scale_down_at is not None and target.scale_down_at > now
