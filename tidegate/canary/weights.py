"""Weights and the pods that they need. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.manifests.rollout import MAX_WEIGHT
from tidegate.manifests.steps import CanaryStep


def pods_for_weight(weight: int, replicas: int, maximum: int = MAX_WEIGHT) -> int:
    """Pods that a share of `weight` of `maximum` needs when `replicas` carry all of it: the share, rounded up.

    Source: argo-rollouts, canary with traffic routing.
    """
    return -(-weight * replicas // maximum)


def weight_carried(pods: int, replicas: int, maximum: int = MAX_WEIGHT) -> int:
    """Weight that `pods` available pods carry when `replicas` are needed for all of it: rounded down, at most all.

    Without replicas there is nothing to carry, so that all of it is carried.
    """
    return min(maximum, pods * maximum // replicas) if replicas > 0 else maximum


def weight_at(steps: Sequence[CanaryStep], index: int) -> int:
    """The weight that is in force at step `index`: the last setWeight at or before it, 0 before the first."""
    weights = [step.set_weight for step in steps[: index + 1] if step.set_weight is not None]
    return weights[-1] if weights else 0


def planned_shares(steps: Sequence[CanaryStep], maximum: int = MAX_WEIGHT) -> list[float]:
    """The weights above 0 and below 100 % that steps take, in percent, in their order, each once in a row."""
    shares: list[float] = []
    for index in range(len(steps)):
        weight = weight_at(steps, index)
        share = weight * MAX_WEIGHT / maximum
        if 0 < weight < maximum and shares[-1:] != [share]:
            shares.append(share)
    return shares
