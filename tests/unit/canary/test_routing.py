"""The weight that a router may be given: after the pods on the way up, before them on the way down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.canary.stage import DYNAMIC, ROUTED, position, sets
from tidegate.canary.routing import weight_to_route
from tidegate.rollouts.cluster_state import Weights

PAUSE: dict[str, Any] = {"pause": {}}


def test_a_weight_goes_out_when_its_pods_are_available() -> None:
    assert weight_to_route(position(ROUTED, 20, sent=0), sets((2, 1), 10)) == 0
    assert weight_to_route(position(ROUTED, 20, sent=0), sets(2, 10)) == 20


def test_until_then_the_weight_before_stays() -> None:
    assert weight_to_route(position(ROUTED, 20, PAUSE, 60, index=2, sent=20), sets((6, 5), 10)) == 20
    assert weight_to_route(position(ROUTED, 20, PAUSE, index=1, sent=20), sets((2, 1), 10)) == 20
    assert weight_to_route(position(ROUTED, 20, PAUSE, index=2, sent=20), sets((10, 9), 10)) == 20


def test_after_the_last_step_everything_goes_to_the_complete_canary() -> None:
    assert weight_to_route(position(ROUTED, 20, index=1, sent=20), sets(10, 10)) == 100


def test_a_weight_that_was_never_in_force_is_not_made_up_for_without_its_pods() -> None:
    skipped = position(ROUTED, 20, 60, index=1, sent=0)
    assert weight_to_route(skipped, sets((6, 1), 10)) == 0
    assert weight_to_route(skipped, sets((6, 2), 10)) == 20


def test_a_weight_goes_down_before_the_pods_do() -> None:
    assert weight_to_route(position(ROUTED, 80, 20, index=1, sent=80), sets(8, 10)) == 20
    assert weight_to_route(position(DYNAMIC, 80, 20, index=1, sent=80), sets(8, (8, 2))) == 80
    assert weight_to_route(position(DYNAMIC, 80, 20, index=1, sent=80), sets(8, 8)) == 20
    nothing = {"setCanaryScale": {"replicas": 0}}
    assert weight_to_route(position(ROUTED, 50, nothing, index=1, sent=50), sets(5, 10)) == 0


def test_a_weight_that_went_down_stays_while_the_pods_follow() -> None:
    assert weight_to_route(position(ROUTED, 20, PAUSE, sent=50), sets(5, 10)) == 20
    assert weight_to_route(position(ROUTED, 20, PAUSE, sent=20), sets(5, 10)) == 20


def test_no_available_pod_gets_no_traffic() -> None:
    assert weight_to_route(position(ROUTED, 20, PAUSE, index=1, sent=20), sets((2, 0), 10)) == 0
    assert weight_to_route(position(ROUTED, 20, sent=20), sets(None, 10)) == 0


@pytest.mark.parametrize(("available", "weight"), [(8, 20), (7, 0)])
def test_no_weight_changes_while_stable_lacks_pods_for_its_share(available: int, weight: int) -> None:
    assert weight_to_route(position(ROUTED, 20, sent=0), sets(2, (10, available))) == weight


def test_a_threshold_counts_for_stable_too() -> None:
    easy = {**ROUTED, "replicaProgressThreshold": {"type": "Percent", "value": 80}}
    assert weight_to_route(position(easy, 20, sent=0), sets(2, (10, 7))) == 20


def test_without_steps_nothing_is_sent_before_the_promotion() -> None:
    assert weight_to_route(position(ROUTED, index=None, sent=0), sets(10, 10)) == 0


def test_promoted_in_full_the_weight_waits_for_the_switch_of_stable() -> None:
    assert weight_to_route(position(ROUTED, 20, 60, sent=20, promoted_in_full=True), sets(10, 10)) == 20
    moving = position(DYNAMIC, 20, 60, sent=20, promoted_in_full=True)
    assert weight_to_route(moving, sets((10, 7), 10)) == 70
    assert weight_to_route(moving, sets(12, 10)) == 100


def test_an_abort_sends_everything_to_stable_whatever_else_is_missing() -> None:
    assert weight_to_route(position(ROUTED, 50, aborted=True, sent=50), sets(5, (10, 3))) == 0


@pytest.mark.parametrize(
    ("available", "sent", "weight"),
    [(2, 80, 80), (4, 80, 80), (5, 80, 50), (7, 50, 50), (8, 50, 20), (10, 20, 0), (2, 20, 20), (0, 80, 80)],
)
def test_an_abort_with_a_small_stable_steps_down_as_that_returns(available: int, sent: int, weight: int) -> None:
    at = position(DYNAMIC, 20, 50, 80, aborted=True, sent=sent)
    assert weight_to_route(at, sets(8, (10, available))) == weight


def test_an_abort_does_not_wait_for_pods_that_nobody_wants() -> None:
    assert weight_to_route(position(DYNAMIC, 50, replicas=0, aborted=True, sent=50), sets(0, 0)) == 0
    assert weight_to_route(position(DYNAMIC, 50, aborted=True), sets(5, 10)) == 0
    floor = {**DYNAMIC, "minPodsPerReplicaSet": 3}
    assert weight_to_route(position(floor, 5, 50, aborted=True, sent=5), sets(3, 10)) == 0


def test_after_a_promotion_nothing_is_left_to_the_side_of_the_canary() -> None:
    assert weight_to_route(position(ROUTED, 20, index=1, stable_hash="C", sent=100), sets(10, 10)) == 0


def test_back_to_a_small_stable_the_weight_waits_until_it_is_whole() -> None:
    back = replace(position(DYNAMIC, 60, index=1, stable_hash="C"), weights=Weights(60, 40, "B"))
    assert weight_to_route(back, sets(None, (10, 4), 6)) == 60
    assert weight_to_route(back, sets(None, 10, 6)) == 0
