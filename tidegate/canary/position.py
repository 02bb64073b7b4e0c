"""Where a release stands in its canary strategy, and what that asks for: weights and the canary's size.

Source: argo-rollouts, utils/replicaset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.canary.limits import enough_available
from tidegate.canary.weights import pods_for_weight, weight_at
from tidegate.manifests.rollout import Canary
from tidegate.manifests.steps import CanaryStep, SetCanaryScale
from tidegate.rollouts.cluster_state import Weights
from tidegate.rollouts.ephemeral import RoleMetadata
from tidegate.rollouts.replica_sets import ReplicaSets


@dataclass(frozen=True)
class CanarySize:
    """Size of the canary: a number of pods where a setCanaryScale gives one, else a weight."""

    weight: int
    pods: int | None = None


@dataclass(frozen=True)
class CanaryState:
    """One version of a Rollout on its way.

    `index` counts the completed steps, None where there are none; `weights` None means that nothing was ever written.
    `experiments` are the shares that an experiment's Services are to have, in percent, taken from stable's. `revision`
    is the number of the release, which its ReplicaSet takes; 0 where that has its number already.
    """

    strategy: Canary
    replicas: int
    desired_hash: str
    stable_hash: str = ""
    index: int | None = None
    aborted: bool = False
    promoted_in_full: bool = False
    weights: Weights | None = None
    experiments: Mapping[str, int] = field(default_factory=dict)
    revision: int = 0

    @property
    def routed(self) -> bool:
        """True when a router splits the traffic; without one the numbers of pods do."""
        return self.strategy.traffic_routing is not None

    @property
    def dynamic(self) -> bool:
        """True when stable gives up the pods whose traffic went to the canary."""
        return self.routed and self.strategy.dynamic_stable_scale

    @property
    def maximum(self) -> int:
        """The weight that is all of the traffic."""
        return self.strategy.max_weight()

    @property
    def fully_promoted(self) -> bool:
        """True when this version is the stable one."""
        return self.desired_hash == self.stable_hash

    @property
    def metadata(self) -> RoleMetadata:
        """Metadata of the pods of each role."""
        return RoleMetadata(self.strategy.canary_metadata, self.strategy.stable_metadata)

    @property
    def takes_steps(self) -> bool:
        """True when the steps count: not for the first version, a promoted one, or one promoted past its steps."""
        return bool(self.stable_hash) and not self.fully_promoted and not self.promoted_in_full

    @property
    def step(self) -> CanaryStep | None:
        """The step under way, None past the last one and where there are none."""
        index = self.index or 0
        return self.strategy.steps[index] if index < len(self.strategy.steps) else None

    def pods_for(self, weight: int) -> int:
        """Pods that carry a weight."""
        return pods_for_weight(weight, self.replicas, self.maximum)

    def enough(self, available: int, wanted: int) -> bool:
        """True when `wanted` pods or more are available, or as many of them as replicaProgressThreshold asks."""
        return available >= wanted or enough_available(available, wanted, self.strategy.replica_progress_threshold)

    def set_weight(self) -> int:
        """The weight that the position asks for: the last setWeight, all past the last step, none after an abort."""
        if self.aborted:
            return 0
        return self.maximum if self.step is None else weight_at(self.strategy.steps, self.index or 0)

    def previous_weight(self) -> int:
        """The setWeight before the step under way, 0 where there was none: what holds until this step's pods stand."""
        return weight_at(self.strategy.steps, (self.index or 0) - 1)

    def canary_scale(self) -> SetCanaryScale | None:
        """The setCanaryScale in force: the last one at or before the step under way, unless that gives the size back.

        An abort ends it; with `abortScaleDownDelaySeconds: 0` one that is the first step keeps applying, as in Argo.
        """
        if not self.routed or not self.takes_steps or self.step is None:
            return None
        if self.aborted and self.strategy.abort_scale_down_delay_seconds != 0:
            return None
        given = [step.set_canary_scale for step in self.strategy.steps[: (self.index or 0) + 1]]
        last = next((scale for scale in reversed(given) if scale is not None), None)
        if last is None or last.match_traffic_weight or (last.replicas is None and last.weight is None):
            return None
        return last

    def canary_size(self, sets: ReplicaSets) -> CanarySize:
        """Size of the canary now.

        In the order of Argo: all of the weight where the steps do not count, setCanaryScale, the next rung of an abort
        with dynamicStableScale, setWeight.
        """
        if not self.takes_steps:
            return CanarySize(self.maximum)
        if (scale := self.canary_scale()) is not None:
            # Beside a number of pods stable is sized as if the canary took no weight, as in Argo.
            return CanarySize(scale.weight or 0) if scale.replicas is None else CanarySize(0, pods=scale.replicas)
        if self.aborted and self.dynamic:
            return CanarySize(self._weight_below(sets))
        return CanarySize(self.set_weight())

    def least_pods(self) -> int:
        """minPodsPerReplicaSet, which may not exceed the replicas; 0 without it."""
        return min(self.strategy.min_pods_per_replica_set or 0, self.replicas)

    def _weight_below(self, sets: ReplicaSets) -> int:
        """Weight to which an abort with dynamicStableScale steps down next: the steps' weights in reverse.

        The canary stands in for the pods that stable lacks, or for as many as it still has; the next rung is the last
        setWeight that needs fewer. With an explicit abortScaleDownDelaySeconds the canary keeps its pods all the time,
        so that only those which stable lacks count. Never above the weight in force: what gets no traffic any more has
        nothing to stand in for.
        """
        pods = self.replicas - (sets.stable.available if sets.stable else 0)
        if not self.strategy.abort_scale_down_delay_seconds:
            pods = max(pods, self._standing_in(sets))
        rungs = [step.set_weight for step in self.strategy.steps if step.set_weight is not None]
        below = (step_weight for step_weight in reversed(rungs) if self.pods_for(step_weight) < pods)
        step_weight = next(below, 0)
        return step_weight if self.weights is None else min(step_weight, self.weights.canary)

    def _standing_in(self, sets: ReplicaSets) -> int:
        """Pods with which the canary serves; those only for minPodsPerReplicaSet would hold a step without end."""
        pods = sets.canary.available if sets.canary else 0
        if self.weights is not None and pods <= self.least_pods():
            return min(pods, self.pods_for(self.weights.canary))
        return pods
