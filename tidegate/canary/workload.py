"""How many pods the Deployment keeps that a Rollout took its template from, while the Rollout takes its place.

Source: argo-rollouts, workloadRef.scaleDown.
"""

from __future__ import annotations

from tidegate.canary.cluster_state import Workload
from tidegate.canary.position import CanaryState
from tidegate.canary.replica_sets import ReplicaSets
from tidegate.manifests.workload import ON_SUCCESS, PROGRESSIVELY


def workload_size(at: CanaryState, sets: ReplicaSets, workload: Workload) -> int:
    """Pods of the Deployment now: `progressively` one goes for each that is available here, `onsuccess` all at the end.

    Its pods never come back but for a first version that was given up: nothing else is left then.
    """
    available = sum(each.available for each in sets)
    if workload.scale_down == PROGRESSIVELY:
        if at.aborted and not at.stable_hash:
            return max(workload.replicas, at.replicas)
        return min(workload.replicas, max(0, at.replicas - available))
    complete = at.fully_promoted and sets.canary is not None and sets.canary.available >= at.replicas
    return 0 if workload.scale_down == ON_SUCCESS and complete else workload.replicas
