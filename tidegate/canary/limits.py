"""How many pods may come and go at a time, and how many must be available."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.manifests.durations import percent_or_int
from tidegate.manifests.rollout import Canary, ReplicaProgressThreshold


@dataclass(frozen=True)
class RollingLimits:
    """Pods that may stand above the replicas, and pods that may be missing from them."""

    surge: int
    unavailable: int


def rolling_limits(strategy: Canary, replicas: int) -> RollingLimits:
    """maxSurge (25 % without it, rounded up) and maxUnavailable (25 % without it, rounded down) as numbers of pods.

    Where both come to nothing one pod may be missing, or nothing could ever move. Text that is neither a number nor a
    percentage reads as 0. Source: Kubernetes' Deployment controller (fenceposts), which Argo Rollouts follows.
    """
    surge = _pods(strategy.surge(), replicas, up=True)
    unavailable = _pods(strategy.unavailable(), replicas, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return RollingLimits(surge, min(unavailable, replicas))


def enough_available(available: int, wanted: int, threshold: ReplicaProgressThreshold | None) -> bool:
    """True when `wanted` pods may be relied on: all are available, or as many as replicaProgressThreshold says.

    A threshold of more pods than are wanted asks for all of them. Source: argo-rollouts, replicaProgressThreshold.
    """
    if threshold is None:
        return available == wanted
    if threshold.type == "Percent":
        return available * 100 >= threshold.value * wanted
    return available >= min(threshold.value, wanted)


def _pods(setting: int | str, replicas: int, *, up: bool) -> int:
    number = percent_or_int(setting)
    if isinstance(setting, int):
        return number
    return -(-number * replicas // 100) if up else number * replicas // 100
