"""A rollback within the window: back to a version that was promoted not long ago, without its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class PromotedRevision:
    """When the ReplicaSet of a version was created, and whether the version was ever promoted."""

    hash: str
    at: datetime | None
    promoted: bool


def within_window(made: Sequence[PromotedRevision], desired: str, stable: str, revisions: int) -> bool:
    """Whether going from `stable` to `desired` skips the steps: fewer than `revisions` versions lie between the two.

    Source: argo-rollouts, rollbackWindow. Beyond it, a version that was never promoted takes its steps: nothing says
    that it was ever good (law 4).
    """
    by_hash = {each.hash: each for each in made}
    target, current = by_hash.get(desired), by_hash.get(stable)
    if target is None or current is None or target.at is None or current.at is None or not target.promoted:
        return False
    if target.at >= current.at:
        return False
    between = [each for each in made if each.at is not None and target.at < each.at < current.at]
    return len(between) < revisions
