"""One pass over a cluster: what to do next so that it comes to look as a release's position asks for.

Services and weights follow pods that are available (law 1); pods go only when nothing leads to them any more (law 2).
Source of the order: argo-rollouts, one reconciliation of a canary: Services, traffic, pods.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tidegate.canary.position import CanaryState
from tidegate.canary.routing import pods_of_the_rest, weight_to_route
from tidegate.canary.scaling import abort_delay, abort_delay_may_start, at_desired, goal, next_sizes
from tidegate.rollouts.actions import (
    Action,
    CreateReplicaSet,
    ScaleReplicaSet,
    SetScaleDownDeadline,
    SetSelector,
    SetWeight,
)
from tidegate.rollouts.cluster_state import ClusterState, Weights
from tidegate.rollouts.replica_sets import ReplicaSets, ReplicaSetState
from tidegate.rollouts.tidying import (
    is_to_create,
    metadata_actions,
    promotion_mark,
    released_selectors,
    surplus,
    workload_actions,
)


@dataclass(frozen=True)
class Rules:
    """Rules of a Rollout for passes, beside its strategy.

    `stable` and `canary` are the names of what selects the pods of each side: Services, and subsets. `history` is how
    many old ReplicaSets are kept; `ramp` lets a canary grow by no more than maxSurge at a time.
    """

    stable: tuple[str, ...]
    canary: tuple[str, ...]
    history: int
    ramp: bool = False

    @property
    def selectors(self) -> tuple[str, ...]:
        """Names of all selectors, each once."""
        return tuple(dict.fromkeys((*self.stable, *self.canary)))


def next_action(at: CanaryState, cluster_state: ClusterState, rules: Rules, now: datetime) -> Action | None:
    """The next thing to do; None when there is nothing to do but wait, or nothing at all.

    `at.weights` is not looked at: the shares are those of the scene, whose canary is what the canary Service selects.
    """
    return next(_actions(_seen(at, cluster_state), cluster_state, rules, now), None)


def converged(at: CanaryState, cluster_state: ClusterState, rules: Rules, now: datetime) -> bool:
    """True when pods, Services and weights are as the position asks for."""
    at = _seen(at, cluster_state)
    sets = roles(at, cluster_state, now)
    if not cluster_state.counted or next_action(at, cluster_state, rules, now) is not None:
        return False
    if at.aborted:
        kept = cluster_state.of(at.stable_hash or at.desired_hash)
        if kept is None and not at.stable_hash:  # the first version, which could not be made: there is nothing
            return not _share(at)
        return kept is not None and kept.available >= at.replicas and not _share(at)
    if not at.takes_steps:
        return _may_stand_alone(at, cluster_state, rules) and not (at.fully_promoted and _share(at))
    # A setCanaryScale may leave no pod for a weight that was in force: nothing goes there then. Without steps no weight
    # is given: the version gets its traffic with the promotion.
    share = at.set_weight() if goal(at, sets).canary and at.index is not None else 0
    shared = at.weights is None or at.replicas == 0 or at.weights.canary == share
    return at_desired(at, sets) and shared


def _may_stand_alone(at: CanaryState, cluster_state: ClusterState, rules: Rules) -> bool:
    """True when the version has the pods to carry everything: all, or as many as replicaProgressThreshold asks.

    Those of a first version are not enough before they are all there and its Services lead to them.
    """
    canary = cluster_state.of(at.desired_hash)
    if canary is None or not at.enough(canary.available, at.replicas):
        return False
    stable = at.stable_hash or at.desired_hash
    is_selected = cluster_state.leads_to(rules.canary, at.desired_hash) and cluster_state.leads_to(rules.stable, stable)
    return canary.available >= at.replicas or is_selected


def roles(at: CanaryState, cluster_state: ClusterState, now: datetime) -> ReplicaSets:
    """The ReplicaSets by role, with what has to stay for a Service or until a deadline marked as kept."""
    canary, stable = cluster_state.of(at.desired_hash), cluster_state.of(at.stable_hash) if at.stable_hash else None
    others = tuple(each for each in cluster_state.sets if each is not canary and each is not stable)
    kept = {each.name for each in others if _stays(each, at, cluster_state, now)}
    waits = at.aborted and not at.fully_promoted and bool(abort_delay(at.strategy))
    if waits and canary is not None and not _is_due(canary, now):
        kept.add(canary.name)
    return ReplicaSets(canary, stable, others, frozenset(kept))


def _stays(one: ReplicaSetState, at: CanaryState, cluster_state: ClusterState, now: datetime) -> bool:
    """True when an older version keeps its pods: something leads to them, or the delay before they go is not over."""
    if cluster_state.selected(one.hash):
        return True
    if _is_beyond_limit(one, at, cluster_state):
        return False
    return one.scale_down_at > now if one.scale_down_at is not None else _delay(at) > timedelta()


def _is_beyond_limit(one: ReplicaSetState, at: CanaryState, cluster_state: ClusterState) -> bool:
    """True when newer versions take all the places for those that wait for their end (scaleDownDelayRevisionLimit)."""
    limit = at.strategy.scale_down_delay_revision_limit
    if limit is None:
        return False
    waiting = [
        each.hash for each in cluster_state.sets if each.desired and each.hash not in (at.desired_hash, at.stable_hash)
    ]
    return one.hash in waiting[limit:]


def _delay(at: CanaryState) -> timedelta:
    """How long older pods stay once a version is stable; with dynamicStableScale they went with the traffic."""
    if not at.fully_promoted or not at.routed or at.dynamic:
        return timedelta()
    return at.strategy.scale_down_delay()


def _is_due(one: ReplicaSetState, now: datetime) -> bool:
    return one.scale_down_at is not None and one.scale_down_at <= now


def _share(at: CanaryState) -> int:
    return 0 if at.weights is None else at.weights.canary


def _seen(at: CanaryState, cluster_state: ClusterState) -> CanaryState:
    """The position with the shares that stand, so that the rules see what the router was told last."""
    if cluster_state.weights == at.weights:
        return at
    return replace(at, weights=cluster_state.weights)


def _actions(at: CanaryState, cluster_state: ClusterState, rules: Rules, now: datetime) -> Iterator[Action]:
    if is_to_create(at, cluster_state):
        yield CreateReplicaSet()
        return
    sets = roles(at, cluster_state, now)
    if not at.aborted:
        yield from metadata_actions(at, cluster_state)
    yield from _selectors(at, cluster_state, rules)
    if cluster_state.counted or at.aborted:  # nothing is in the way of an abort (law 3)
        yield from _traffic(at, cluster_state, rules, sets)
    if cluster_state.counted:
        yield from _rest(at, cluster_state, rules, sets, now)
    if at.aborted:
        yield from metadata_actions(at, cluster_state)


def _rest(
    at: CanaryState, cluster_state: ClusterState, rules: Rules, sets: ReplicaSets, now: datetime
) -> Iterator[Action]:
    """Actions that follow the traffic, and the pods."""
    canary = cluster_state.of(at.desired_hash)
    has_pods = canary is not None and at.enough(canary.available, at.replicas)
    yield from promotion_mark(at, cluster_state, has_pods=has_pods)
    yield from released_selectors(at, cluster_state)
    yield from _deadlines(at, cluster_state, sets, now)
    yield from _pods(at, sets, ramp=rules.ramp)
    yield from workload_actions(at, cluster_state)
    yield from surplus(at, cluster_state, rules.history)


def _selectors(at: CanaryState, cluster_state: ClusterState, rules: Rules) -> Iterator[Action]:
    """Actions on selectors that do not select the pods that they should, where these exist."""
    stable = at.stable_hash or at.desired_hash
    weights, back = at.weights or Weights(0, 0), at.aborted and bool(at.stable_hash)
    sides = [(rules.stable, stable, weights.stable)]
    if not (back and _share(at)):  # the weight goes first: what leads to stable already must not lead back (law 3)
        sides.append((rules.canary, stable if back else at.desired_hash, weights.canary))
    for names, hash_, share in sides:
        beside = sum(
            other
            for selectors, _, other in sides
            if selectors != names and selectors and cluster_state.leads_to(selectors, hash_)
        )
        takes = share + beside if share else 0
        yield from (
            SetSelector(name, hash_) for name in names if _may_select(name, hash_, share, takes, at, cluster_state)
        )


def _may_select(name: str, hash_: str, share: int, takes: int, at: CanaryState, cluster_state: ClusterState) -> bool:
    """True when a selector through which `share` of the traffic comes is to be switched now.

    One that selected no hash so far serves pods that are not known here: only a complete version takes it over. Later
    the pods that the traffic `takes`, with what the version gets by the other side, are enough, one at least. What
    leads to the version that was promoted before is right in any case; only a dynamic stable has to have all of its
    pods back.
    """
    selected, target = cluster_state.selectors.get(name), cluster_state.of(hash_)
    if selected is None or selected == hash_ or target is None:
        return False
    if target.promoted and target.available:
        return not at.dynamic or not share or target.available >= at.replicas
    return target.complete if not selected else target.available >= max(1, at.pods_for(takes))


def _traffic(at: CanaryState, cluster_state: ClusterState, rules: Rules, sets: ReplicaSets) -> Iterator[Action]:
    if at.weights is None:
        return
    weight = weight_to_route(at, sets)
    grows = weight > at.weights.canary
    as_asked = at.weights.converged or not any(each.available for each in cluster_state.sets)
    same = weight == at.weights.canary and as_asked and not _shares_differ(at, cluster_state)
    if same or (grows and not cluster_state.leads_to(rules.canary, at.desired_hash)):
        return
    if (grows or at.fully_promoted) and not cluster_state.leads_to(rules.stable, at.stable_hash):
        return
    forward = not at.aborted and not at.fully_promoted
    yield SetWeight(
        weight,
        canary_pods=min(at.pods_for(weight), sets.canary.available) if weight and sets.canary else 0,
        stable_pods=pods_of_the_rest(at, sets, weight) if forward and weight < at.maximum else 0,
    )


def _shares_differ(at: CanaryState, cluster_state: ClusterState) -> bool:
    """True when an experiment's Service gets another share than it is to have; where none is known it gets none."""
    services = {*at.experiments, *cluster_state.experiments}
    return any(at.experiments.get(each, 0) != cluster_state.experiments.get(each, 0) for each in services)


def _deadlines(at: CanaryState, cluster_state: ClusterState, sets: ReplicaSets, now: datetime) -> Iterator[Action]:
    """Deadlines begin when nothing leads to the pods any more, and end when they are needed again."""
    for each in cluster_state.sets:
        wanted = _deadline(each, at, cluster_state, sets, now)
        if wanted != each.scale_down_at:
            yield SetScaleDownDeadline(each.name, wanted)


def _deadline(
    one: ReplicaSetState, at: CanaryState, cluster_state: ClusterState, sets: ReplicaSets, now: datetime
) -> datetime | None:
    if one.desired == 0:
        return one.scale_down_at  # it says nothing any more
    if one.hash == at.desired_hash:
        if not at.aborted or at.fully_promoted or not abort_delay(at.strategy):
            return None
        begins = abort_delay_may_start(at, sets) and not cluster_state.selected(one.hash)
        return one.scale_down_at or (now + abort_delay(at.strategy) if begins else None)
    if one.hash == at.stable_hash:
        return None
    begins = _delay(at) > timedelta() and not cluster_state.selected(one.hash) and _share(at) == 0
    return one.scale_down_at or (now + _delay(at) if begins else None)


def _pods(at: CanaryState, sets: ReplicaSets, *, ramp: bool) -> Iterator[Action]:
    sizes = next_sizes(at, sets, ramp=ramp)
    pairs = [(sets.canary, sizes.canary), (sets.beside, sizes.stable), *zip(sets.others, sizes.others, strict=True)]
    for one, size in pairs:
        if one is not None and one.desired != size:
            yield ScaleReplicaSet(one.name, size)
