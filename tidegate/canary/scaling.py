"""The size of every ReplicaSet of a release, and whether the pods that a step asks for stand.

Source: argo-rollouts, utils/replicaset and rollout/canary. Tidegate's laws hold on top: what receives traffic keeps the
pods for it until the weight was read back.
"""

from __future__ import annotations

from datetime import timedelta

from tidegate.canary.limits import enough_available, rolling_limits
from tidegate.canary.position import CanaryState
from tidegate.canary.rolling import Shares, roll, shares
from tidegate.manifests.rollout import Canary
from tidegate.rollouts.replica_sets import ReplicaSets, ReplicaSetState, Sizes


def goal(at: CanaryState, sets: ReplicaSets) -> Sizes:
    """Sizes that the step under way asks for, however many rounds it takes to get there.

    With a router the canary has the pods of its weight, rounded up, and stable all of the replicas (with
    dynamicStableScale the pods of the rest, never fewer than its traffic takes). Without one both share the replicas.
    """
    if not at.routed:
        wanted = _shared(at, sets)
        return Sizes(wanted.canary, wanted.stable, (0,) * len(sets.others))
    others = tuple(_kept(other, at, sets) for other in sets.others)
    return Sizes(_canary_pods(at, sets), _stable_pods(at, sets), others)


def next_sizes(at: CanaryState, sets: ReplicaSets, *, ramp: bool = False) -> Sizes:
    """Sizes that may be written now, all at once; repeated as pods become available they lead to the goal.

    With a router a size is the goal, but no ReplicaSet loses pods that its traffic takes or that are `kept`. `ramp`
    lets the canary grow by at most maxSurge unavailable pods at a time instead of all at once.
    """
    if not at.routed:
        return roll(_shared(at, sets), sets, at.replicas, rolling_limits(at.strategy, at.replicas))
    wanted = goal(at, sets)
    canary = wanted.canary
    if sets.canary is not None:
        if ramp and not at.aborted:
            canary = _ramped(canary, sets.canary, at)
        canary = max(canary, min(sets.canary.desired, _needed_by_canary(at, sets, sets.canary)))
    stable = wanted.stable
    if sets.beside is not None:
        stable = max(stable, min(sets.beside.desired, _needed_by_stable(at, sets, sets.beside)))
    return Sizes(canary, stable, wanted.others)


def at_desired(at: CanaryState, sets: ReplicaSets) -> bool:
    """True when the pods of the step under way stand: this ends a setCanaryScale, and lets a setWeight take effect.

    The canary has exactly the pods of the goal and they are available (or as many as replicaProgressThreshold asks);
    stable has all of its pods created, available or not; without a router no other version has an available pod. With
    dynamicStableScale stable is not looked at, for it follows the traffic. Without a stable version there is no step.
    """
    wanted = goal(at, sets)
    if not _stands(sets.canary, wanted.canary, at.strategy):
        return False
    if not at.dynamic and not _created(sets.beside, wanted.stable):
        return False
    return at.routed or not any(other.available for other in sets.others)


def abort_delay(strategy: Canary) -> timedelta:
    """How long the canary's pods stay after an abort once stable is complete; zero: they go as the sizes say.

    Only with a router, 30 seconds unless abortScaleDownDelaySeconds says otherwise. With dynamicStableScale the canary
    goes as its weight does, unless a delay was asked for.
    """
    if strategy.traffic_routing is None:
        return timedelta()
    if strategy.dynamic_stable_scale and strategy.abort_scale_down_delay_seconds is None:
        return timedelta()
    return strategy.abort_scale_down_delay()


def abort_delay_may_start(at: CanaryState, sets: ReplicaSets) -> bool:
    """True when an aborted canary is not needed any more: it gets no traffic, and stable is fully available."""
    if not at.aborted or sets.stable is None or (at.weights is not None and at.weights.canary > 0):
        return False
    return sets.stable.available >= at.replicas


def _shared(at: CanaryState, sets: ReplicaSets) -> Shares:
    if sets.beside is None:
        return Shares(at.replicas, 0)
    surge = rolling_limits(at.strategy, at.replicas).surge
    return shares(at.canary_size(sets).weight, at.replicas, surge)


def _canary_pods(at: CanaryState, sets: ReplicaSets) -> int:
    size = at.canary_size(sets)
    if size.pods is not None and not at.dynamic:
        return size.pods
    pods = _at_least(at.pods_for(size.weight) if size.pods is None else size.pods, at)
    if at.dynamic and at.aborted and at.weights is not None:
        pods = max(pods, _at_least(at.pods_for(at.weights.canary), at))
    return pods


def _stable_pods(at: CanaryState, sets: ReplicaSets) -> int:
    if not at.dynamic:
        return at.replicas
    share = at.canary_size(sets).weight if _holds_its_share(at, sets) else 0
    if at.canary_scale() is not None:
        # A canary that is larger than its weight takes no traffic from stable for that.
        share = min(share, at.set_weight())
    pods = at.pods_for(at.maximum - share)
    if at.weights is not None:
        pods = max(pods, at.pods_for(at.weights.stable))
    return _at_least(pods, at)


def _holds_its_share(at: CanaryState, sets: ReplicaSets) -> bool:
    """True when no traffic has to come back to stable before it can go where the steps send it.

    It has to from a version that was superseded, and from a canary without an available pod: no weight goes down before
    stable has the pods for all of it.
    """
    if at.fully_promoted or at.aborted or at.promoted_in_full or at.weights is None or not at.weights.canary:
        return True
    return at.weights.canary_hash in ("", at.desired_hash) and sets.canary is not None and sets.canary.available > 0


def _at_least(pods: int, at: CanaryState) -> int:
    """A number of pods raised to minPodsPerReplicaSet; none stays none."""
    return max(pods, at.least_pods()) if pods else 0


def _ramped(goal_: int, canary: ReplicaSetState, at: CanaryState) -> int:
    # One at a time at least, or a surge of nothing would never get anywhere.
    surge = max(1, rolling_limits(at.strategy, at.replicas).surge)
    return min(goal_, max(canary.desired, canary.available + surge))


def _needed_by_canary(at: CanaryState, sets: ReplicaSets, canary: ReplicaSetState) -> int:
    """Pods that the canary may not fall below: those of the traffic that it gets, or all of them where it is kept.

    A setCanaryScale says by itself what the traffic takes, but for the last pod.
    """
    if sets.keeps(canary):
        return canary.desired
    if at.weights is None or at.weights.canary_hash not in ("", canary.hash):
        return 0
    needed = at.pods_for(at.weights.canary)
    return needed if at.canary_scale() is None else min(1, needed)


def _needed_by_stable(at: CanaryState, sets: ReplicaSets, stable: ReplicaSetState) -> int:
    if sets.keeps(stable):
        return stable.desired
    return 0 if at.weights is None else at.pods_for(at.weights.stable)


def _kept(other: ReplicaSetState, at: CanaryState, sets: ReplicaSets) -> int:
    """Size of an older version with a router: it gets no traffic and goes, unless it is kept or still gets some."""
    served = at.weights is not None and at.weights.canary > 0 and at.weights.canary_hash == other.hash
    return other.desired if sets.keeps(other) or served else 0


def _stands(one: ReplicaSetState | None, wanted: int, strategy: Canary) -> bool:
    return (
        one is not None
        and one.desired == wanted
        and enough_available(one.available, wanted, strategy.replica_progress_threshold)
    )


def _created(one: ReplicaSetState | None, wanted: int) -> bool:
    return one is not None and one.desired == wanted and one.current == wanted
