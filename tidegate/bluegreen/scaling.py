"""The pods of each version: how many, and until when.

Source: argo-rollouts, rollout/bluegreen and utils/replicaset. Tidegate's laws hold on top: what `activeService` selects
keeps its pods (law 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from tidegate.bluegreen.position import BlueGreenState
from tidegate.rollouts.cluster_state import ClusterState
from tidegate.rollouts.replica_sets import ReplicaSetState


class TargetSize(NamedTuple):
    """Number of pods that a ReplicaSet is to have, and when they may go; None: they are needed."""

    replica_set: ReplicaSetState
    size: int
    deadline: datetime | None


def preview_size(at: BlueGreenState, active_hash: str) -> int:
    """Number of pods of the new version: `previewReplicaCount` while it is on trial, else `spec.replicas`.

    A version that gets traffic already has all of its pods. A number below 0 is none.
    """
    count = at.strategy.preview_replica_count
    return at.replicas if count is None or not at.previews or active_hash == at.desired_hash else max(0, count)


def wanted_sizes(
    at: BlueGreenState, cluster_state: ClusterState, active_hash: str, now: datetime
) -> Iterator[TargetSize]:
    """The pods of every ReplicaSet: those of the new version, of the stable one, and of the others, newest first."""
    new, stable = cluster_state.of(at.desired_hash), cluster_state.of(at.stable_hash)
    if new is not None:
        given_up = _given_up(new, at, cluster_state, active_hash, now)
        yield given_up if at.given_up else TargetSize(new, preview_size(at, active_hash), None)
    if stable is not None and stable is not new:
        yield TargetSize(stable, at.replicas, None)
    yield from _others(at, cluster_state, now)


def _given_up(
    new: ReplicaSetState, at: BlueGreenState, cluster_state: ClusterState, active_hash: str, now: datetime
) -> TargetSize:
    """An aborted version: its pods stay until the stable one is complete, and for abortScaleDownDelaySeconds after it.

    Its deadline stays when the pods are gone, as in Argo.
    """
    stable, delay = cluster_state.of(at.stable_hash), at.strategy.abort_scale_down_delay()
    serves = active_hash == new.hash or stable is None or stable.available < at.replicas
    if serves and new.desired:
        return TargetSize(new, new.desired, None)
    if new.desired == 0:
        return TargetSize(new, 0, new.scale_down_at)
    deadline = new.scale_down_at or (now + delay if delay > timedelta() else None)
    return TargetSize(new, 0 if deadline is not None and deadline <= now else new.desired, deadline)


def _others(at: BlueGreenState, cluster_state: ClusterState, now: datetime) -> Iterator[TargetSize]:
    """Versions that are neither new nor stable: those that still have pods wait for their end.

    At most `scaleDownDelayRevisionLimit` of them wait, the newest; the others go at once. What a Service selects stays.
    """
    limit, waiting = at.strategy.scale_down_delay_revision_limit, 0
    for one in cluster_state.sets:
        if one.hash in (at.desired_hash, at.stable_hash) or not one.desired:
            continue
        if cluster_state.selected(one.hash):
            yield TargetSize(one, one.desired, None)
        elif at.keeps_old_sets:
            yield TargetSize(one, one.desired, one.scale_down_at)
        elif limit is not None and waiting >= limit:
            yield TargetSize(one, 0, None)
        else:
            waiting += 1
            yield _waiting(one, at, now)


def _waiting(one: ReplicaSetState, at: BlueGreenState, now: datetime) -> TargetSize:
    """A replaced version. It follows a change of `spec.replicas` while it waits; without a delay it stays."""
    delay = at.strategy.scale_down_delay()
    if one.scale_down_at is None:
        return TargetSize(one, one.desired, now + delay if delay > timedelta() else None)
    return TargetSize(one, at.replicas if one.scale_down_at > now else 0, one.scale_down_at)
