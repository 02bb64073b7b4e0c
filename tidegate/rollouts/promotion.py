"""Why a version becomes the stable one, in Argo's words.

Source: argo-rollouts, rollout/sync (full promotion).
"""

from __future__ import annotations


def promotion_reason(
    *, completed: str, is_first: bool, is_stable: bool, in_full: bool, in_window: bool, is_fast: bool = False
) -> str:
    """Name the reason of a promotion, the strongest one first.

    `completed` are the words for all steps or stages. `in_full` says that an operator had the rest of them skipped,
    `in_window` that the rollback window skips all of them, `is_fast` that pods of before do. For a version that
    `is_stable` already Argo has no words: it promotes nothing.
    """
    if is_first:
        return "Initial deploy"
    if in_full:
        return "Full promotion requested"
    if is_stable:
        return "Already the stable version"
    if in_window:
        return "Rollback within window"
    return "Fast rollback" if is_fast else f"Completed {completed}"
