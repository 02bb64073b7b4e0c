"""Actions of a pass that are the same for every strategy: what is created, marked, let go of and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tidegate.rollouts.actions import (
    Action,
    ClearSelector,
    DeleteReplicaSet,
    MarkPromoted,
    ScaleWorkload,
    SetMetadata,
)
from tidegate.rollouts.cluster_state import ClusterState
from tidegate.rollouts.strategy_state import StrategyState
from tidegate.rollouts.workload import workload_size


def is_to_create(at: StrategyState, cluster_state: ClusterState) -> bool:
    """True when the version's ReplicaSet is missing, or has the number of an earlier release.

    Nothing is made for a version that is given up.
    """
    version = cluster_state.of(at.desired_hash)
    if version is None:
        return not at.aborted or at.fully_promoted
    return version.revision < at.revision and not at.aborted


def metadata_actions(at: StrategyState, cluster_state: ClusterState) -> Iterator[Action]:
    """Actions that set the metadata of pods in their role: before they are there, where they are new."""
    for each in cluster_state.sets:
        wanted = at.metadata.of(each.hash, at.desired_hash, at.stable_hash)
        if each.ephemeral != wanted:
            yield SetMetadata(each.name, wanted)


def promotion_mark(at: StrategyState, cluster_state: ClusterState, *, has_pods: bool) -> Iterator[Action]:
    """The action that marks a stable version as promoted, once it `has_pods`."""
    version = cluster_state.of(at.desired_hash)
    if version is not None and at.fully_promoted and not cluster_state.is_promoted_last(version) and has_pods:
        yield MarkPromoted(version.name)


def released_selectors(at: StrategyState, cluster_state: ClusterState) -> Iterator[Action]:
    """Actions that let go of selectors that the Rollout names no more.

    This is before the pods go that they lead to; until the version is stable these are all of the stable version.
    """
    if at.fully_promoted:
        yield from map(ClearSelector, cluster_state.left)


def workload_actions(at: StrategyState, cluster_state: ClusterState) -> Iterator[Action]:
    """The action that gives the Deployment another number of pods, whose place the Rollout takes."""
    workload = cluster_state.workload
    if workload is not None and (size := workload_size(at, cluster_state, workload)) != workload.replicas:
        yield ScaleWorkload(workload.name, size)


def surplus(at: StrategyState, cluster_state: ClusterState, history: int) -> Iterator[Action]:
    """Deletions of old ReplicaSets without pods that are more than `history` holds, the oldest first."""
    old = [each for each in cluster_state.sets if each.hash not in (at.desired_hash, at.stable_hash)]
    for each in reversed(old[history:]):
        if each.desired == each.current == 0 and not cluster_state.selected(each.hash):
            yield DeleteReplicaSet(each.name)


def requeue_at(cluster_state: ClusterState) -> datetime | None:
    """When the next deadline on a ReplicaSet passes, None where none has one."""
    return min((each.scale_down_at for each in cluster_state.sets if each.scale_down_at and each.desired), default=None)
