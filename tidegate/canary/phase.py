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


class RolloutPhase(StrEnum):
    """What a Rollout comes to."""

    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    DEGRADED = "Degraded"


def missing_pods(updated: int, available: int, wanted: int) -> Iterator[str]:
    """Which pods a Rollout lacks: `updated` are those of the version, `available` those of all versions."""
    if updated < wanted:
        yield "more replicas need to be updated"
    if available < updated:
        yield "updated replicas are still becoming available"
