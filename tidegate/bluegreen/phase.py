"""Waits of a blue-green Rollout that is under way, in Argo's words.

Source: argo-rollouts, utils/rollout.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tidegate.rollouts.phase import missing_pods

CUTOVER: Final = "active service cutover pending"
ANALYSIS: Final = "waiting for analysis to complete"
VERIFICATION: Final = "waiting for post-promotion verification to complete"


def pending(
    *, updated: int, available: int, wanted: int, is_active: bool, is_stable: bool, has_post_analysis: bool
) -> Iterator[str]:
    """Everything that is missing, the first thing first; nothing for a version that is stable and complete.

    `updated` are the pods of the version, `available` those of the version that gets the traffic, `wanted` is
    spec.replicas. `is_active` says that the version gets it, `has_post_analysis` that it is judged after that.
    """
    yield from missing_pods(updated, available, wanted)
    if not is_active:
        yield CUTOVER
    if not is_stable:
        yield ANALYSIS if has_post_analysis else VERIFICATION
