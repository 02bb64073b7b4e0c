"""When a finished analysis run may be forgotten. Source: argo-rollouts, ttlStrategy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from tidegate.analysis.status import Phase

_SPECIFIC = {Phase.SUCCESSFUL: "secondsAfterSuccess", Phase.FAILED: "secondsAfterFailure"}


def expired(strategy: Mapping[str, int], phase: Phase, completed_at: datetime | None, now: datetime) -> bool:
    """True when more whole seconds have passed since `completed_at` than `strategy` (spec.ttlStrategy) keeps a run for.

    The limit for Successful or Failed runs beats `secondsAfterCompletion`, which is the only one for all others. A run
    that is under way, or has no completion time, never expires.
    """
    if completed_at is None or not phase.completed:
        return False
    limit = strategy.get(_SPECIFIC.get(phase, ""))
    if limit is None:
        limit = strategy.get("secondsAfterCompletion")
    return limit is not None and (now - completed_at) // timedelta(seconds=1) > limit
