"""When a Rollout with a canary strategy is healthy.

Source: argo-rollouts, utils/conditions.
"""

from __future__ import annotations

from tidegate.manifests.rollout import Canary, Rollout
from tidegate.rollouts.status import RolloutStatus


def healthy(rollout: Rollout, canary: Canary, status: RolloutStatus) -> bool:
    """True when everything of this spec has arrived: promoted, complete, available, and no other pods are left."""
    replicas = rollout.spec.wanted_replicas()
    return (
        status.updated_replicas == status.available_replicas == status.replicas == replicas
        and status.observed_generation == str(rollout.metadata.generation)
        and status.completed
        and (not canary.steps or status.current_step_index in (None, len(canary.steps)))
    )
