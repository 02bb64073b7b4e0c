"""A rollback within the window: back to a version that was promoted not long ago, without its steps."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.rollouts.replica_sets import ReplicaSetState


def within_window(sets: Sequence[ReplicaSetState], desired: str, stable: str, revisions: int) -> bool:
    """True when going from `stable` to `desired` skips the steps: fewer than `revisions` versions lie between the two.

    Source: argo-rollouts, rollbackWindow. Beyond it, a version that was never promoted takes its steps: nothing says
    that it was ever good (law 4).
    """
    by_hash = {each.hash: each for each in sets}
    target, current = by_hash.get(desired), by_hash.get(stable)
    if target is None or current is None or not target.promoted:
        return False
    first, last = target.created_at, current.created_at
    if first is None or last is None or first >= last:
        return False
    between = [each for each in sets if each.created_at is not None and first < each.created_at < last]
    return len(between) < revisions
