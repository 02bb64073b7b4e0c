"""State of one Rollout in a cluster, as far as a pass reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tidegate.rollouts.replica_sets import ReplicaSetState


@dataclass(frozen=True)
class Weights:
    """Shares of the traffic as they were read back from the router; `canary_hash` is the version that gets `canary`.

    Not `converged` is what a write of the same shares would change: an object that is not there yet, or was edited.
    """

    canary: int
    stable: int
    canary_hash: str = ""
    converged: bool = True


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

    sets: tuple[ReplicaSetState, ...]
    selectors: Mapping[str, str] = field(default_factory=dict)
    weights: Weights | None = None
    experiments: Mapping[str, int] = field(default_factory=dict)
    workload: Workload | None = None
    left: tuple[str, ...] = ()

    @property
    def counted(self) -> bool:
        """True when all pods were counted since they were last told to be others."""
        return all(each.counted for each in self.sets)

    def of(self, hash_: str) -> ReplicaSetState | None:
        """The ReplicaSet of a hash, None where there is none."""
        return next((each for each in self.sets if each.hash == hash_), None)

    def is_promoted_last(self, one: ReplicaSetState) -> bool:
        """True when a ReplicaSet is marked as promoted, and no other was marked after it."""
        marks = [each.promoted_at for each in self.sets if each.promoted_at is not None]
        return one.promoted_at is not None and one.promoted_at == max(marks)

    def leads_to(self, names: Iterable[str], hash_: str) -> bool:
        """True when all these selectors select a hash; one that is gone leads nowhere."""
        return all(self.selectors.get(name) == hash_ for name in names)

    def selected(self, hash_: str) -> bool:
        """True when a selector leads to the pods of a hash."""
        return hash_ in self.selectors.values()
