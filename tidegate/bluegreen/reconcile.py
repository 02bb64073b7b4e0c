"""One pass over a cluster: what to do next so that it comes to look as a blue-green release asks for.

`activeService` follows pods that are available (law 1). Pods go only when it selects another version (law 2). On the
way back it goes first, whatever the new pods do (law 3). Source of the order: argo-rollouts, one reconciliation of a
blue-green strategy: the preview Service, pods, the active Service.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from tidegate.bluegreen.position import BlueGreenState
from tidegate.bluegreen.scaling import preview_size, wanted_sizes
from tidegate.rollouts import tidying
from tidegate.rollouts.actions import (
    Action,
    CreateReplicaSet,
    ScaleReplicaSet,
    SetScaleDownDeadline,
    SetSelector,
)
from tidegate.rollouts.cluster_state import ClusterState
from tidegate.rollouts.replica_sets import ReplicaSetState
from tidegate.rollouts.tidying import (
    is_to_create,
    metadata_actions,
    promotion_mark,
    released_selectors,
    surplus,
    workload_actions,
)


@dataclass(frozen=True)
class BlueGreenRules:
    """Rules of a Rollout for passes, beside its strategy: names of its Services, the preview's may be empty.

    `history` is how many old ReplicaSets are kept.
    """

    active: str
    preview: str
    history: int

    @property
    def selectors(self) -> tuple[str, ...]:
        """Names of the Services."""
        return tuple(filter(None, (self.active, self.preview)))


def next_action(at: BlueGreenState, cluster_state: ClusterState, rules: BlueGreenRules, now: datetime) -> Action | None:
    """The next thing to do; None when there is nothing to do but wait, or nothing at all."""
    return next(_actions(at, cluster_state, rules, now), None)


def converged(at: BlueGreenState, cluster_state: ClusterState, rules: BlueGreenRules, now: datetime) -> bool:
    """True when pods and Services are as the position asks for."""
    if not cluster_state.counted or next_action(at, cluster_state, rules, now) is not None:
        return False
    active = active_hash(cluster_state, rules)
    if at.given_up:
        stable = cluster_state.of(at.stable_hash)
        return _is_saturated(stable, at) and active in (None, at.stable_hash)
    new = cluster_state.of(at.desired_hash)
    if new is None:
        return at.aborted  # the first version, which could not be made: there is nothing
    if at.previews:
        size = preview_size(at, active or "")
        return new.desired == size == new.available
    return _is_saturated(new, at) and active == at.desired_hash


def active_hash(cluster_state: ClusterState, rules: BlueGreenRules) -> str | None:
    """The hash that `activeService` selects, empty for none; None where there is no such Service."""
    return cluster_state.selectors.get(rules.active)


def requeue_at(at: BlueGreenState, cluster_state: ClusterState) -> datetime | None:
    """When the next deadline on a ReplicaSet passes, None where none has one that counts."""
    return None if at.keeps_old_sets else tidying.requeue_at(cluster_state)


def _actions(at: BlueGreenState, cluster_state: ClusterState, rules: BlueGreenRules, now: datetime) -> Iterator[Action]:
    if at.given_up:  # nothing is in the way of an abort (law 3)
        yield from _switch(at, cluster_state, rules)
    if is_to_create(at, cluster_state):
        yield CreateReplicaSet()
        return
    yield from metadata_actions(at, cluster_state)
    if not (at.given_up or at.held):
        yield from _preview(at, cluster_state, rules)
        yield from _switch(at, cluster_state, rules)
    if cluster_state.counted:
        yield from _rest(at, cluster_state, rules, now)


def _preview(at: BlueGreenState, cluster_state: ClusterState, rules: BlueGreenRules) -> Iterator[Action]:
    """The action on `previewService`: it selects the new version at once, before its pods are there, as in Argo."""
    if cluster_state.selectors.get(rules.preview, at.desired_hash) != at.desired_hash:
        yield SetSelector(rules.preview, at.desired_hash)


def _switch(at: BlueGreenState, cluster_state: ClusterState, rules: BlueGreenRules) -> Iterator[Action]:
    """The action on `activeService`, where it exists."""
    active = active_hash(cluster_state, rules)
    if active is None or (target := _target(at, cluster_state, active)) is None:
        return
    if target != active:
        yield SetSelector(rules.active, target)


def _target(at: BlueGreenState, cluster_state: ClusterState, active: str) -> str | None:
    """The hash that `activeService` may select now; None: it stays as it is.

    On the way back one available pod of the stable version is enough: each of the new one may be bad. Before the
    promotion the Service stays where it is, on an earlier version that was not yet found good, too (argo-rollouts). It
    goes back to the stable version where its hash was taken away, or where it selects the new one too early.
    """
    stable = cluster_state.of(at.stable_hash)
    if at.gets_traffic:
        return at.desired_hash if _is_saturated(cluster_state.of(at.desired_hash), at) else None
    is_right = cluster_state.of(active) is not None and active != at.desired_hash and not at.given_up
    if is_right or stable is None:
        return None
    return stable.hash if stable.available or not at.replicas else None


def _is_saturated(one: ReplicaSetState | None, at: BlueGreenState) -> bool:
    """True when a version has the pods for all of the traffic."""
    return one is not None and one.counted and one.available >= at.replicas


def _rest(at: BlueGreenState, cluster_state: ClusterState, rules: BlueGreenRules, now: datetime) -> Iterator[Action]:
    """Actions that follow the Services, and the pods."""
    yield from promotion_mark(at, cluster_state, has_pods=_is_saturated(cluster_state.of(at.desired_hash), at))
    yield from released_selectors(at, cluster_state)
    wanted = list(wanted_sizes(at, cluster_state, active_hash(cluster_state, rules) or "", now))
    for one, size, deadline in wanted:
        if one.scale_down_at != deadline and (size or one.hash in (at.desired_hash, at.stable_hash)):
            yield SetScaleDownDeadline(one.name, deadline)
    for one, size, _ in wanted:
        if one.desired != size:
            yield ScaleReplicaSet(one.name, size, keeps_deadline=at.given_up and one.hash == at.desired_hash)
    yield from workload_actions(at, cluster_state)
    yield from surplus(at, cluster_state, rules.history)
