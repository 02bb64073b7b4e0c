"""How many pods the Deployment keeps that a Rollout took its template from, while the Rollout takes its place.

Source: argo-rollouts, workloadRef.scaleDown.
"""

from __future__ import annotations

from tidegate.manifests.workload import ON_SUCCESS, PROGRESSIVELY
from tidegate.rollouts.cluster_state import ClusterState, Workload
from tidegate.rollouts.strategy_state import StrategyState


def workload_size(at: StrategyState, cluster_state: ClusterState, workload: Workload) -> int:
    """Pods of the Deployment now: `progressively` one goes for each that is available here, `onsuccess` all at the end.

    Its pods never come back but for a first version that was given up: nothing else is left then.
    """
    available = sum(each.available for each in cluster_state.sets)
    if workload.scale_down == PROGRESSIVELY:
        if at.aborted and not at.stable_hash:
            return max(workload.replicas, at.replicas)
        return min(workload.replicas, max(0, at.replicas - available))
    version = cluster_state.of(at.desired_hash)
    complete = at.fully_promoted and version is not None and version.available >= at.replicas
    return 0 if workload.scale_down == ON_SUCCESS and complete else workload.replicas
