"""What stands in a cluster of one Rollout, as far as a pass looks at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tidegate.canary.ephemeral import NOTHING
from tidegate.canary.position import Weights
from tidegate.manifests.steps import PodTemplateMetadata


@dataclass(frozen=True)
class ObservedReplicaSet:
    """One ReplicaSet as it was read: pods that are wanted, created and available.

    `scale_down_at` is when its pods may go, None while nobody said so; `promoted` that it is marked as once promoted,
    `promoted_last` that no other was marked after it.
    `metadata` is what its role put on its pods, None while some are still to follow. `counted` is False while pods that
    were there before its last change have not been counted since; `available` is 0 then, as nothing is proved.
    """

    name: str
    hash: str
    revision: int
    wanted: int
    created: int
    available: int
    scale_down_at: datetime | None = None
    promoted: bool = False
    promoted_last: bool = False
    metadata: PodTemplateMetadata | None = NOTHING
    counted: bool = True

    @property
    def complete(self) -> bool:
        """Whether it has pods, and all of them are available."""
        return 0 < self.wanted <= self.available


@dataclass(frozen=True)
class Workload:
    """The Deployment whose place a Rollout takes: its spec.replicas, and `scaleDown` of the workloadRef."""

    name: str
    replicas: int
    scale_down: str


@dataclass(frozen=True)
class ClusterState:
    """The ReplicaSets, newest revision first, the hash that each selector selects, and the shares of the traffic.

    A selector is a Service, or a subset of a DestinationRule; one that selects no hash has an empty one. `weights` is
    None without a router. `experiments` are the shares of an experiment's Services in percent, -1 where routes differ.
    `workload` is None where no Deployment makes way. `left` are selectors that are marked as the Rollout's and that it
    names no more.
    """

    sets: tuple[ObservedReplicaSet, ...]
    selectors: Mapping[str, str] = field(default_factory=dict)
    weights: Weights | None = None
    experiments: Mapping[str, int] = field(default_factory=dict)
    workload: Workload | None = None
    left: tuple[str, ...] = ()

    @property
    def counted(self) -> bool:
        """Whether all pods were counted since they were last told to be others."""
        return all(each.counted for each in self.sets)

    def of(self, hash_: str) -> ObservedReplicaSet | None:
        """The ReplicaSet of a hash, None where there is none."""
        return next((each for each in self.sets if each.hash == hash_), None)

    def leads_to(self, names: Iterable[str], hash_: str) -> bool:
        """Whether all these selectors select a hash; one that is gone leads nowhere."""
        return all(self.selectors.get(name) == hash_ for name in names)

    def selected(self, hash_: str) -> bool:
        """Whether a selector leads to the pods of a hash."""
        return hash_ in self.selectors.values()
