"""When a Rollout with a blue-green strategy is healthy.

Source: argo-rollouts, utils/conditions.
"""

from __future__ import annotations

from tidegate.manifests.rollout import BlueGreen, Rollout
from tidegate.rollouts.status import RolloutStatus


def healthy(rollout: Rollout, strategy: BlueGreen, status: RolloutStatus) -> bool:
    """True when everything of this spec has arrived: promoted, available, and selected by the Services that it names.

    Pods of older versions get no traffic, and do not count.
    """
    selectors = status.blue_green
    named = (selectors.active_selector, *((selectors.preview_selector,) if strategy.preview_service else ()))
    return (
        status.updated_replicas == status.available_replicas == rollout.spec.wanted_replicas()
        and status.observed_generation == str(rollout.metadata.generation)
        and status.completed
        and all(each == status.current_pod_hash for each in named)
    )
