"""Canary without a router: two versions share the replicas, and pods come and go within maxSurge and maxUnavailable.

Source: argo-rollouts, basic canary (utils/replicaset), which extends Kubernetes' rolling update.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tidegate.canary.limits import RollingLimits
from tidegate.manifests.rollout import MAX_WEIGHT
from tidegate.rollouts.replica_sets import ReplicaSets, ReplicaSetState, Sizes


@dataclass(frozen=True)
class Shares:
    """Pods of each version that approximate a weight."""

    canary: int
    stable: int


def shares(weight: int, replicas: int, surge: int) -> Shares:
    """Numbers of pods whose ratio is closest to `weight` percent.

    They add up to `replicas`, or to one more where `surge` allows it and that is closer. Of two equally close ones the
    larger canary is taken. For weights from 1 to 99 and two or more pods, the surge counted in, neither side is 0.
    """
    if replicas == 0:
        return Shares(0, 0)
    candidates = list(_candidates(weight, replicas, surge))
    if not candidates:
        # A tie whose larger half would leave stable without a pod: the smaller one is all that is left.
        candidates = [Shares(replicas * weight // MAX_WEIGHT, replicas - replicas * weight // MAX_WEIGHT)]
    return min(candidates, key=lambda each: _distance(each, weight))


def _candidates(weight: int, replicas: int, surge: int) -> Iterator[Shares]:
    down = replicas * weight // MAX_WEIGHT
    up = -(-replicas * weight // MAX_WEIGHT)
    one_side_may_be_empty = weight in (0, MAX_WEIGHT) or (replicas == 1 and surge == 0)
    for total in (replicas, replicas + 1) if surge > 0 else (replicas,):
        if up < replicas or total > replicas or one_side_may_be_empty:
            yield Shares(up, total - up)
        tied = total * weight % MAX_WEIGHT * 2 == MAX_WEIGHT
        if not tied and (down > 0 or one_side_may_be_empty):
            yield Shares(down, total - down)


def _distance(each: Shares, weight: int) -> Fraction:
    total = each.canary + each.stable
    return Fraction(abs(each.canary * MAX_WEIGHT - weight * total), total)


def roll(goal: Shares, sets: ReplicaSets, replicas: int, limits: RollingLimits) -> Sizes:
    """Sizes that bring the ReplicaSets closer to `goal` and may be written now, all at once.

    Never more than `replicas` + surge pods are wanted, and no available pod goes that `replicas` - unavailable need.
    Stable grows before the canary. While older versions have pods only they shrink. Of the side that shrinks, pods that
    are not available count as though they served: a broken version makes room step by step instead of never.
    """
    most, least = replicas + limits.surge, replicas - limits.unavailable
    sizes = _grow(goal, sets, most - sum(each.desired for each in sets))
    if any(other.desired for other in sets.others):
        spare = sum(each.standing for each in sets) - least
        return Sizes(sizes.canary, sizes.stable, tuple(_shrink_others(sets.others, spare)))
    return _shrink(goal, sets, sizes, most, least)


def _grow(goal: Shares, sets: ReplicaSets, room: int) -> Sizes:
    stable, room = _grown(sets.beside, goal.stable, room)
    canary, _ = _grown(sets.canary, goal.canary, room)
    return Sizes(canary, stable, tuple(other.desired for other in sets.others))


def _grown(one: ReplicaSetState | None, goal: int, room: int) -> tuple[int, int]:
    """Size of a ReplicaSet that may take up to `room` more pods, and the room that is left."""
    if one is None:
        return 0, room
    more = max(0, min(goal - one.desired, room))
    return one.desired + more, room - more


def _shrink_others(others: Sequence[ReplicaSetState], spare: int) -> Iterator[int]:
    """Sizes of older versions when `spare` available pods may go: broken pods first, then the newest version's."""
    for other in others:
        gone = max(0, min(other.standing, spare))
        spare -= gone
        yield other.standing - gone


def _shrink(goal: Shares, sets: ReplicaSets, sizes: Sizes, most: int, least: int) -> Sizes:
    canary, stable = sets.canary, sets.beside
    # The side that is to lose pods may lose broken ones, too; of the other side only available pods count.
    growing = canary is None or goal.canary >= canary.desired
    spare = _counted(canary, broken=not growing) + _counted(stable, broken=growing) - least
    if spare <= 0:
        return sizes
    if not growing:
        less = _drained(canary, goal.canary, spare, sizes.canary)
        new_canary, new_stable = _within(canary, stable, less, sizes.stable, most, least)
        return Sizes(new_canary, new_stable, sizes.others)
    if stable is None:
        return sizes
    less = _drained(stable, goal.stable, spare, sizes.stable)
    new_stable, new_canary = _within(stable, canary, less, sizes.canary, most, least)
    return Sizes(new_canary, new_stable, sizes.others)


def _counted(one: ReplicaSetState | None, *, broken: bool) -> int:
    """Pods of a ReplicaSet that count as serving, `broken` ones with them or not; those on their way out never do."""
    if one is None:
        return 0
    return one.desired if broken else one.standing


def _drained(one: ReplicaSetState | None, goal: int, spare: int, size: int) -> int:
    """Size of the shrinking side when `spare` pods may go; `size` where it has none too many."""
    return max(goal, one.desired - spare) if one is not None and one.desired > goal else size


def _within(
    draining: ReplicaSetState | None, staying: ReplicaSetState | None, drained: int, stayed: int, most: int, least: int
) -> tuple[int, int]:
    """Both sizes brought within the limits: pods beyond `most` go from the side that stays, as far as `least` allows.

    That side has too many when the replicas were lowered meanwhile. What it has to keep to stay above `least` goes from
    the draining side.
    """
    if staying is None:
        return drained, stayed
    stayed -= max(0, drained + stayed - most)
    available = (min(draining.available, drained) if draining else 0) + min(staying.available, stayed)
    missing = max(0, least - available)
    stayed += min(max(0, staying.available - stayed), missing)
    return drained - max(0, drained + stayed - most), stayed
