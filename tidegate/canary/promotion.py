"""Why a version becomes the stable one, in Argo's words.

Source: argo-rollouts, rollout/sync (full promotion).
"""

from __future__ import annotations


def promotion_reason(
    *, steps: int, is_first: bool, is_stable: bool, in_full: bool, skipped: bool, in_window: bool
) -> str:
    """Name the reason of a promotion, the strongest one first.

    `steps` is the number of canary steps. `in_full` says that an operator had the rest of them skipped with all gates,
    `skipped` that only the steps were, `in_window` that the rollback window skips all of them. Argo has no words for
    `skipped`, nor for a version that `is_stable` already: it promotes nothing.
    """
    if is_first:
        return "Initial deploy"
    if in_full:
        return "Full promotion requested"
    if is_stable:
        return "Already the stable version"
    if in_window:
        return "Rollback within window"
    if skipped:
        return f"Skipped to the end of {steps} canary steps"
    return f"Completed all {steps} canary steps"
