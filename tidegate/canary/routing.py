"""The weight that a router may be given now.

Source: argo-rollouts, rollout/trafficrouting. Tidegate's laws hold on top: no weight without the pods for it, and a
weight goes down before the pods do.
"""

from __future__ import annotations

from tidegate.canary.position import CanaryState
from tidegate.canary.scaling import at_desired, goal
from tidegate.canary.weights import weight_carried
from tidegate.rollouts.replica_sets import ReplicaSets, ReplicaSetState


def weight_to_route(at: CanaryState, sets: ReplicaSets) -> int:
    """Weight of the canary that may be written to the router now, out of `CanaryState.maximum`.

    An abort sends everything to stable at once; with dynamicStableScale as far as stable has pods, one setWeight after
    the other in reverse. After a promotion nothing is left for the canary's side. Without an available pod the canary
    gets nothing. Otherwise the step's weight goes out when its pods stand, or at once where it is no more than before;
    until then the weight of the step before holds. No weight changes while stable lacks available pods for its share.
    """
    if at.fully_promoted:
        return _after_promotion(at, sets)
    if at.aborted:
        return _after_abort(at, sets)
    if sets.canary is None or sets.canary.available == 0:
        return 0 if _carried_by_stable(at, sets, 0) else _in_force(at)
    leaves = goal(at, sets).canary == 0
    if leaves and not at.dynamic:
        return 0
    weight = 0 if leaves else _forward(at, sets, sets.canary)
    return weight if _carried_by_stable(at, sets, weight) else _in_force(at)


def _forward(at: CanaryState, sets: ReplicaSets, canary: ReplicaSetState) -> int:
    if at.promoted_in_full:
        # Stable is switched to the new version when that is complete, so that no weight has to move before.
        return weight_carried(canary.available, at.replicas, at.maximum) if at.dynamic else _in_force(at)
    if at.index is None:
        return 0
    wanted = at.set_weight()
    if at_desired(at, sets) or (wanted <= _in_force(at) and _carried(at, canary, wanted)):
        return wanted
    held = min(at.previous_weight(), wanted)
    return held if held <= _in_force(at) or _carried(at, canary, held) else _in_force(at)


def _after_promotion(at: CanaryState, sets: ReplicaSets) -> int:
    """Nothing; but where dynamicStableScale took pods from stable, a return to stable waits until it has them back."""
    if not at.dynamic or at.weights is None or at.weights.canary_hash == at.desired_hash:
        return 0
    whole = sets.stable is not None and sets.stable.available >= at.replicas
    return 0 if whole else at.weights.canary


def _after_abort(at: CanaryState, sets: ReplicaSets) -> int:
    if not at.dynamic:
        return 0
    too_much = at.maximum - weight_carried(sets.stable.available if sets.stable else 0, at.replicas, at.maximum)
    rungs = [0, *(step.set_weight for step in at.strategy.steps if step.set_weight is not None)]
    weight = min((step_weight for step_weight in rungs if step_weight >= too_much), default=too_much)
    return weight if at.weights is None else min(weight, at.weights.canary)


def _carried(at: CanaryState, canary: ReplicaSetState, weight: int) -> bool:
    return canary.available >= at.pods_for(weight)


def _in_force(at: CanaryState) -> int:
    return 0 if at.weights is None else at.weights.canary


def pods_of_the_rest(at: CanaryState, sets: ReplicaSets, weight: int) -> int:
    """Available pods that stable must have when the canary gets `weight`.

    Rounded down as Argo rounds here; up with dynamicStableScale, where stable has no pod more than its traffic takes.
    Where replicaProgressThreshold can do with those that are there, they are the number. A stable that has all of its
    pods anyway is better than a canary that has none, however many of them are available.
    """
    rest, available = at.maximum - weight, sets.stable.available if sets.stable else 0
    if weight == 0 and not at.dynamic and not _answers(at, sets):
        return 0
    wanted = at.pods_for(rest) if at.dynamic else rest * at.replicas // at.maximum
    return min(wanted, available) if at.enough(available, wanted) else wanted


def _carried_by_stable(at: CanaryState, sets: ReplicaSets, weight: int) -> bool:
    return (sets.stable.available if sets.stable else 0) >= pods_of_the_rest(at, sets, weight)


def _answers(at: CanaryState, sets: ReplicaSets) -> bool:
    """True when the version that the canary's share goes to has an available pod."""
    hash_ = at.weights.canary_hash if at.weights is not None and at.weights.canary_hash else at.desired_hash
    return any(each.hash == hash_ and each.available for each in sets)
