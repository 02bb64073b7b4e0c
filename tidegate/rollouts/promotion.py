"""Why a version becomes the stable one, in Argo's words.

Source: argo-rollouts, rollout/sync (full promotion).
"""

from __future__ import annotations


def promotion_reason(
    *,
    steps: int | None,
    is_first: bool,
    is_stable: bool,
    in_full: bool,
    skipped: bool,
    in_window: bool,
    is_fast: bool = False,
) -> str:
    """Name the reason of a promotion, the strongest one first.

    `steps` is the number of canary steps, None for blue-green. `in_full` says that an operator had the rest of them
    skipped with all gates, `skipped` that only the steps were, `in_window` that the rollback window skips all of them,
    `is_fast` that pods of before do. Argo has no words for `skipped`, nor for a version that `is_stable` already: it
    promotes nothing.
    """
    if is_first:
        return "Initial deploy"
    if in_full:
        return "Full promotion requested"
    if is_stable:
        return "Already the stable version"
    if in_window:
        return "Rollback within window"
    if is_fast:
        return "Fast rollback"
    if steps is None:
        return "Completed blue-green update"
    return f"Skipped to the end of {steps} canary steps" if skipped else f"Completed all {steps} canary steps"
