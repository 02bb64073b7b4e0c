"""Phase and message of a Rollout: the one word that people, Argo CD and CI wait for.

Source: argo-rollouts, utils/rollout.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

WORKLOAD_GENERATION: Final = "rollout.argoproj.io/workload-generation"
INVALID_SPEC: Final = "InvalidSpec"
ALL_STEPS: Final = "waiting for all steps to complete"
STILL_COMING: Final = "updated replicas are still becoming available"
OLD_PODS: Final = "old replicas are pending termination"
FEW_PODS: Final = "more replicas need to be updated"
MISSING_PODS: Final = (FEW_PODS, STILL_COMING, OLD_PODS)


class RolloutPhase(StrEnum):
    """Phase of a Rollout, as Argo's clients show it."""

    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    DEGRADED = "Degraded"


def missing_pods(updated: int, available: int, wanted: int, *, old: int = 0) -> Iterator[str]:
    """Which pods a Rollout lacks, or has too many of.

    `updated` are those of the version, `available` those of all versions. `old` are those of other versions where no
    router keeps the traffic from them, so that they answer requests for as long as they are there.
    """
    if updated < wanted:
        yield FEW_PODS
    if available < updated:
        yield STILL_COMING
    if old:
        yield OLD_PODS
