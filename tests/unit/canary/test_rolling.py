"""Without a router: the numbers that approximate a weight, and what may be scaled now."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.canary.stage import position, sets
from tidegate.canary.limits import RollingLimits, rolling_limits
from tidegate.canary.rolling import Shares, shares
from tidegate.canary.scaling import at_desired, goal, next_sizes
from tidegate.manifests.rollout import Canary
from tidegate.rollouts.replica_sets import Sizes

ONE_EACH = {"maxSurge": 1, "maxUnavailable": 1}
SURGE_ONLY = {"maxSurge": 1, "maxUnavailable": 0}


@pytest.mark.parametrize(
    ("weight", "replicas", "surge", "canary", "stable"),
    [
        (10, 10, 0, 1, 9),
        (1, 10, 0, 1, 9),
        (1, 10, 1, 1, 10),  # one more pod comes closer
        (18, 10, 1, 2, 9),
        (25, 10, 0, 3, 7),  # a tie goes to the canary
        (99, 10, 0, 9, 1),  # neither side is empty
        (99, 10, 1, 10, 1),
        (100, 10, 1, 10, 0),
        (0, 10, 1, 0, 10),
        (50, 3, 1, 2, 2),
        (5, 1, 1, 1, 1),
        (50, 1, 0, 1, 0),  # one pod cannot be two
        (49, 1, 0, 0, 1),
        (50, 0, 1, 0, 0),
    ],
)
def test_a_weight_is_approximated_by_numbers(weight: int, replicas: int, surge: int, canary: int, stable: int) -> None:
    assert shares(weight, replicas, surge) == Shares(canary, stable)


@pytest.mark.parametrize(("weight", "replicas"), [(75, 2), (90, 5), (95, 10), (98, 25), (99, 50)])
def test_a_tie_that_would_empty_stable_leaves_it_one_pod(weight: int, replicas: int) -> None:
    assert shares(weight, replicas, surge=0) == Shares(replicas - 1, 1)


@pytest.mark.parametrize(
    ("fields", "replicas", "surge", "unavailable"),
    [
        ({}, 10, 3, 2),
        ({}, 1, 1, 0),
        ({"maxSurge": "10%", "maxUnavailable": "10%"}, 5, 1, 0),
        ({"maxSurge": 0, "maxUnavailable": "10%"}, 5, 0, 1),  # or nothing could move
        ({"maxSurge": "many", "maxUnavailable": "0%"}, 5, 0, 1),
        ({"maxSurge": 2, "maxUnavailable": 9}, 5, 2, 5),
        ({"maxSurge": 2, "maxUnavailable": 9}, 0, 2, 0),
    ],
)
def test_limits_are_numbers_of_pods(fields: dict[str, Any], replicas: int, surge: int, unavailable: int) -> None:
    assert rolling_limits(Canary.model_validate(fields), replicas) == RollingLimits(surge, unavailable)


def test_the_canary_takes_the_place_of_a_stable_pod() -> None:
    assert next_sizes(position(ONE_EACH, 10), sets(0, 10)) == Sizes(1, 9)


def test_without_surge_stable_makes_room_first() -> None:
    strategy = {"maxSurge": 0, "maxUnavailable": 1}
    assert next_sizes(position(strategy, 50), sets(0, 10)) == Sizes(0, 9)
    assert next_sizes(position(strategy, 50), sets(0, 9)) == Sizes(1, 9)


def test_stable_waits_for_pods_of_the_canary_that_are_not_available() -> None:
    assert next_sizes(position(SURGE_ONLY, 50), sets((5, 0), 6)) == Sizes(5, 6)
    assert next_sizes(position(SURGE_ONLY, 50), sets(5, 6)) == Sizes(5, 5)


def test_stable_grows_before_the_canary() -> None:
    assert next_sizes(position({"maxSurge": 3, "maxUnavailable": 0}, 50), sets(2, 3)) == Sizes(5, 5)
    assert next_sizes(position({"maxSurge": 3, "maxUnavailable": 0}, 50), sets(7, 3)) == Sizes(7, 5)


def test_after_an_abort_the_canary_goes_as_stable_comes() -> None:
    at = position(ONE_EACH, 50, aborted=True)
    assert next_sizes(at, sets(5, 5)) == Sizes(4, 6)
    assert next_sizes(at, sets((5, 0), 5)) == Sizes(4, 6)  # available or not


def test_a_broken_stable_makes_room_for_a_good_canary() -> None:
    assert next_sizes(position(ONE_EACH, 100), sets(5, (5, 0))) == Sizes(6, 4)


def test_older_versions_go_before_either_side_shrinks() -> None:
    at = position(ONE_EACH, 50)
    assert next_sizes(at, sets(0, 8, 3)) == Sizes(0, 8, (1,))
    assert next_sizes(at, sets(0, 8, (3, 1))) == Sizes(0, 8, (1,))  # broken ones freely
    assert next_sizes(at, sets(0, (8, 6), 2, 1)) == Sizes(0, 8, (2, 1))  # as far as enough stays available


def test_without_a_stable_the_new_version_gets_everything() -> None:
    assert next_sizes(position(ONE_EACH, 10, stable_hash=""), sets(0, None)) == Sizes(10, 0)
    promoted = position(ONE_EACH, 10, stable_hash="C", index=1)
    assert next_sizes(promoted, sets(12, None)) == Sizes(10, 0)


def test_replicas_that_were_lowered_are_followed_down() -> None:
    assert next_sizes(position(ONE_EACH, 50, replicas=4), sets(5, 5)) == Sizes(2, 3)


def test_the_pods_of_a_step_stand_when_both_sides_are_as_wanted_and_no_older_pod_serves() -> None:
    at = position(ONE_EACH, 50)
    assert goal(at, sets(5, 5)) == Sizes(5, 5)
    assert at_desired(at, sets(5, 5))
    assert not at_desired(at, sets((5, 4), 5))
    assert not at_desired(at, sets(5, 6))
    assert not at_desired(at, sets(5, 5, 1))
    assert at_desired(at, sets(5, 5, (1, 0)))
    assert not at_desired(at, sets(5, None))


def test_what_is_stuck_does_not_stand() -> None:
    at = position({"maxSurge": 0, "maxUnavailable": 1}, 50)
    blocked = sets(0, 8, (2, 0))
    assert next_sizes(at, blocked).canary == 0
    assert not at_desired(at, blocked)
