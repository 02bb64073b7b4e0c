"""How many pods a Deployment keeps while a Rollout takes its place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.canary.stage import ROUTED, position, sets
from tidegate.rollouts.cluster_state import ClusterState, Workload
from tidegate.rollouts.workload import workload_size

AT = position(ROUTED, 50, stable_hash="")


def standing(canary: int | tuple[int, int], stable: int | None = None) -> ClusterState:
    return ClusterState(tuple(sets(canary, stable)))


@pytest.mark.parametrize(("available", "left"), [(0, 10), (3, 7), (10, 0)])
def test_progressively_one_goes_for_each_that_came(available: int, left: int) -> None:
    assert workload_size(AT, standing((10, available)), Workload("d", 10, "progressively")) == left


def test_pods_never_come_back_but_for_a_first_version_that_was_given_up() -> None:
    gone = Workload("d", 0, "progressively")
    assert workload_size(AT, standing((10, 2)), gone) == 0
    assert workload_size(replace(AT, aborted=True), standing((10, 2)), gone) == 10
    later = position(ROUTED, 50, aborted=True)
    assert workload_size(later, standing((10, 2), 10), gone) == 0


def test_on_success_all_go_once_the_version_is_stable_and_complete() -> None:
    deployment = Workload("d", 10, "onsuccess")
    stable = position(ROUTED, 50, stable_hash="C")
    assert workload_size(AT, standing(10), deployment) == 10
    assert workload_size(stable, standing((10, 9)), deployment) == 10
    assert workload_size(stable, standing(10), deployment) == 0
