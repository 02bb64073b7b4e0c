"""With a router: sizes of a step, what may be written now, and whether its pods stand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.canary.stage import DYNAMIC, ROUTED, position, sets
from tidegate.canary.position import CanarySize, CanaryState
from tidegate.canary.scaling import abort_delay, abort_delay_may_start, at_desired, goal, next_sizes
from tidegate.manifests.rollout import Canary
from tidegate.rollouts.cluster_state import Weights
from tidegate.rollouts.replica_sets import Sizes

THREE = {"setCanaryScale": {"replicas": 3}}
HALF = {"setCanaryScale": {"weight": 50}}
BACK = {"setCanaryScale": {"matchTrafficWeight": True}}


@pytest.mark.parametrize(
    ("given", "index", "canary"),
    [
        ((10,), 0, 1),
        ((1,), 0, 1),
        ((33,), 0, 4),
        ((0,), 0, 0),
        ((10, {"pause": {}}), 1, 1),
        (({"pause": {}}, 10), 0, 0),  # no setWeight yet
        ((10, THREE), 1, 3),
        ((10, THREE, 50), 2, 3),  # the size stays when the weight moves
        ((10, HALF), 1, 5),
        ((10, HALF, THREE, BACK), 3, 1),
        ((10, THREE), 2, 10),  # past the last step
        (({"setCanaryScale": {"replicas": 50}},), 0, 50),
        (({"setCanaryScale": {}}, 20), 1, 2),  # nothing asked
    ],
)
def test_the_canary_has_the_pods_of_its_step_and_stable_has_all(given: Any, index: int, canary: int) -> None:
    assert goal(position(ROUTED, *given, index=index), sets(0, 10)) == Sizes(canary, 10)


@pytest.mark.parametrize("turns", [{"promoted_in_full": True}, {"stable_hash": ""}, {"stable_hash": "C"}])
def test_where_steps_do_not_count_the_version_gets_all_pods(turns: dict[str, Any]) -> None:
    at = position(ROUTED, THREE, 10, **turns)
    assert at.canary_size(sets(0, 10)) == CanarySize(100)
    assert goal(at, sets(0, 10)).canary == 10


@pytest.mark.parametrize(
    ("minimum", "given", "replicas", "canary"),
    [(3, 10, 10, 3), (3, 0, 10, 0), (3, 50, 10, 5), (3, 10, 2, 2), (3, {"setCanaryScale": {"replicas": 1}}, 10, 1)],
)
def test_no_side_has_fewer_pods_than_is_asked_for_every_side(
    minimum: int, given: Any, replicas: int, canary: int
) -> None:
    at = position({**ROUTED, "minPodsPerReplicaSet": minimum}, given, replicas=replicas)
    assert goal(at, sets(0, replicas)).canary == canary


def test_stable_gives_up_pods_only_after_its_traffic_is_gone() -> None:
    assert goal(position(DYNAMIC, 50, sent=0), sets(5, 10)) == Sizes(5, 10)
    assert goal(position(DYNAMIC, 50, sent=50), sets(5, 10)) == Sizes(5, 5)
    least = {**DYNAMIC, "minPodsPerReplicaSet": 2}
    assert goal(position(least, 90, sent=90), sets(9, 5)) == Sizes(9, 2)
    assert goal(position(least, {"setCanaryScale": {"replicas": 1}}, sent=0), sets(0, 10)) == Sizes(2, 10)


def test_a_canary_that_is_larger_than_its_weight_takes_no_pods_from_stable() -> None:
    assert goal(position(DYNAMIC, {"setCanaryScale": {"weight": 80}}, 20, index=1, sent=20), sets(8, 8)) == Sizes(8, 8)


def test_the_canary_keeps_the_pods_of_its_traffic_until_the_weight_is_down() -> None:
    down = position(DYNAMIC, 80, 20, index=1, sent=80)
    assert goal(down, sets(8, 2)) == Sizes(2, 8)
    assert next_sizes(down, sets(8, 2)) == Sizes(8, 8)
    assert next_sizes(position(DYNAMIC, 80, 20, index=1, sent=20), sets(8, 8)) == Sizes(2, 8)


def test_a_size_that_was_asked_for_may_be_smaller_than_the_traffic_but_not_nothing() -> None:
    one, nothing = ({"setCanaryScale": {"replicas": number}} for number in (1, 0))
    assert next_sizes(position(ROUTED, 50, one, index=1, sent=50), sets(5, 10)).canary == 1
    assert next_sizes(position(ROUTED, 50, nothing, index=1, sent=50), sets(5, 10)).canary == 1
    assert next_sizes(position(ROUTED, 50, nothing, index=1, sent=0), sets(5, 10)).canary == 0


def test_pods_go_after_an_abort_when_the_traffic_has_gone() -> None:
    assert next_sizes(position(ROUTED, 50, aborted=True, sent=50), sets(5, 10)) == Sizes(5, 10)
    assert next_sizes(position(ROUTED, 50, aborted=True, sent=0), sets(5, 10)) == Sizes(0, 10)
    kept = sets(5, 10, kept="C")
    assert next_sizes(position(ROUTED, 50, aborted=True, sent=0), kept) == Sizes(5, 10)


def test_an_abort_without_a_delay_leaves_a_first_step_of_scale_in_force() -> None:
    stays = {**ROUTED, "abortScaleDownDelaySeconds": 0}
    assert goal(position(stays, THREE, 10, aborted=True), sets(3, 10)).canary == 3
    assert goal(position(stays, 10, THREE, aborted=True), sets(3, 10)).canary == 0
    assert goal(position(ROUTED, THREE, 10, aborted=True), sets(3, 10)).canary == 0


def test_an_abort_walks_back_through_the_weights_as_stable_returns() -> None:
    def at(sent: int, strategy: dict[str, Any] = DYNAMIC) -> CanaryState:
        return position(strategy, 20, 50, 80, index=0, sent=sent, aborted=True)

    assert next_sizes(at(80), sets(8, (5, 2))) == Sizes(8, 5)  # to 50 next
    assert next_sizes(at(50), sets(8, 5)) == Sizes(5, 5)
    assert next_sizes(at(50), sets(5, 5)) == Sizes(5, 8)  # to 20 next
    assert next_sizes(at(20), sets(2, 8)) == Sizes(2, 10)
    assert next_sizes(at(0), sets(2, 10)) == Sizes(0, 10)
    slow = {**DYNAMIC, "abortScaleDownDelaySeconds": 30}
    assert goal(at(50, slow), sets(8, 5)) == Sizes(5, 8)


def test_what_gets_no_traffic_after_an_abort_does_not_stand_in_for_stable() -> None:
    at = position(DYNAMIC, 20, 50, aborted=True, sent=0)
    assert goal(at, sets(3, 10)) == Sizes(0, 10)
    assert goal(at, sets(0, (10, 6))) == Sizes(0, 10)  # pods of stable restart, the canary stays down


def test_an_abort_ends_however_many_pods_each_side_keeps() -> None:
    least = {**DYNAMIC, "minPodsPerReplicaSet": 3}
    at = position(least, 5, 50, aborted=True, sent=5)
    assert goal(at, sets(3, 10)) == Sizes(3, 10)  # not 5 % of the pods for ever
    assert goal(replace(at, weights=Weights(0, 100, "C")), sets(3, 10)) == Sizes(0, 10)


def test_older_versions_go_unless_they_are_kept_or_get_traffic() -> None:
    stand = sets(1, 10, 4, 3, kept=["O1"])
    assert next_sizes(position(ROUTED, 10), stand).others == (0, 3)
    served = replace(position(ROUTED, 10), weights=Weights(40, 60, "O0"))
    assert next_sizes(served, stand).others == (4, 3)
    # The traffic is not the canary's own, so that it keeps no pods for it.
    assert next_sizes(served, sets(9, 10, 4, 3, kept=["O1"])).canary == 1


def test_a_ramp_adds_no_more_than_the_surge_at_a_time() -> None:
    at = position({**ROUTED, "maxSurge": 2}, 80)
    assert next_sizes(at, sets(0, 10)).canary == 8
    assert next_sizes(at, sets(0, 10), ramp=True).canary == 2
    assert next_sizes(at, sets((2, 1), 10), ramp=True).canary == 3
    assert next_sizes(at, sets((5, 0), 10), ramp=True).canary == 5  # what was asked for is not taken back
    assert next_sizes(at, sets(7, 10), ramp=True).canary == 8
    assert next_sizes(position({**ROUTED, "maxSurge": 0}, 80), sets(3, 10), ramp=True).canary == 4


@pytest.mark.parametrize(
    ("threshold", "stands"),
    [
        (None, False),
        ({"type": "Percent", "value": 80}, True),
        ({"type": "Percent", "value": 81}, False),
        ({"type": "Pods", "value": 4}, True),
        ({"type": "Pods", "value": 5}, False),
    ],
)
def test_a_threshold_may_do_with_fewer_pods(threshold: Any, stands: bool) -> None:
    at = position({**ROUTED, **({"replicaProgressThreshold": threshold} if threshold else {})}, 50)
    assert at_desired(at, sets((5, 4), 10)) is stands
    assert at_desired(at, sets(5, 10))


def test_a_threshold_of_more_pods_than_there_are_to_be_asks_for_all() -> None:
    assert at_desired(position({**ROUTED, "replicaProgressThreshold": {"type": "Pods", "value": 9}}, 50), sets(5, 10))


def test_stable_must_be_there_but_not_available() -> None:
    at = position(ROUTED, 50)
    assert at_desired(at, sets(5, (10, 0)))
    assert not at_desired(at, sets(5, 9))
    assert not at_desired(at, sets(None, 10))
    assert not at_desired(at, sets(4, 10))
    assert at_desired(position(DYNAMIC, 50), sets(5, 9))
    assert at_desired(at, sets(5, 10, 3))  # an older version gets no traffic


@pytest.mark.parametrize(
    ("strategy", "seconds"),
    [
        ({}, 0),
        (ROUTED, 30),
        ({**ROUTED, "abortScaleDownDelaySeconds": 60}, 60),
        ({**ROUTED, "abortScaleDownDelaySeconds": 0}, 0),
        (DYNAMIC, 0),
        ({**DYNAMIC, "abortScaleDownDelaySeconds": 60}, 60),
    ],
)
def test_pods_stay_for_a_while_after_an_abort(strategy: dict[str, Any], seconds: int) -> None:
    assert abort_delay(Canary.model_validate(strategy)) == timedelta(seconds=seconds)


def test_the_delay_of_an_abort_starts_when_stable_has_everything() -> None:
    assert abort_delay_may_start(position(ROUTED, 50, aborted=True, sent=0), sets(5, 10))
    assert not abort_delay_may_start(position(ROUTED, 50, aborted=True, sent=10), sets(5, 10))
    assert not abort_delay_may_start(position(ROUTED, 50, aborted=True, sent=0), sets(5, (10, 9)))
    assert not abort_delay_may_start(position(ROUTED, 50, sent=0), sets(5, 10))
