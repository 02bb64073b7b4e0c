"""When the Services are switched: the active one after the pods, and first of all on the way back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.bluegreen.stage import NOW, RULES, acted, at, cluster, new, stable
from tidegate.bluegreen.reconcile import converged
from tidegate.rollouts.actions import CreateReplicaSet, ScaleReplicaSet, SetSelector

TO_NEW, TO_STABLE = SetSelector("active", "N"), SetSelector("active", "S")


def test_the_preview_comes_before_its_pods() -> None:
    assert acted(at(), cluster(stable(), preview="S")) == CreateReplicaSet()
    assert acted(at(), cluster(new(0), stable(), preview="S")) == SetSelector("preview", "N")
    assert acted(at(), cluster(new(0), stable())) == ScaleReplicaSet("shop-N", 4)


@pytest.mark.parametrize(("available", "promoting", "action"), [(4, False, None), (3, True, None), (4, True, TO_NEW)])
def test_the_traffic_follows_the_decision_and_all_of_the_pods(available: int, promoting: bool, action: Any) -> None:
    where, seen = at(promoting=promoting), cluster(new(4, available), stable())
    assert acted(where, seen) == action
    assert converged(where, seen, RULES, NOW) is (not promoting and available == 4)


def test_a_version_without_its_whole_count_gets_nothing_after_a_preview_of_few() -> None:
    where = at(promoting=True, strategy={"previewReplicaCount": 1})
    assert acted(where, cluster(new(1), stable())) == ScaleReplicaSet("shop-N", 4)
    assert acted(where, cluster(new(4, 1), stable())) is None
    assert acted(where, cluster(new(4), stable())) == TO_NEW


@pytest.mark.parametrize("pods", [0, 1, 4])
def test_on_the_way_back_the_service_goes_first_whatever_the_new_pods_do(pods: int) -> None:
    seen = cluster(new(4, pods), stable(), active="N")
    assert acted(at(aborted=True), seen) == TO_STABLE
    assert acted(at(aborted=True), cluster(stable(), active="N")) == TO_STABLE  # also where its ReplicaSet is gone


def test_one_pod_of_the_stable_version_is_enough_to_go_back_to_and_none_is_not() -> None:
    assert acted(at(aborted=True), cluster(new(4), stable(4, 1), active="N")) == TO_STABLE
    seen = cluster(new(4), stable(4, 0), active="N")
    assert acted(at(aborted=True), seen) is None
    assert not converged(at(aborted=True), seen, RULES, NOW)


def test_an_aborted_version_keeps_the_preview() -> None:
    seen = cluster(new(4), stable(4, 3))
    assert acted(at(aborted=True), seen) is None
    assert acted(at(aborted=True), cluster(new(4), stable(4, 3), preview="S")) is None


@pytest.mark.parametrize("active", ["", "N", "gone"])
def test_a_service_that_somebody_moved_goes_back_to_stable_and_promotes_nobody(active: str) -> None:
    assert acted(at(), cluster(new(4), stable(), active=active)) == TO_STABLE


def test_a_version_in_the_middle_keeps_the_traffic_until_the_newest_is_promoted() -> None:
    middle = stable().model_copy(update={"name": "shop-M", "hash": "M", "promoted_at": None})
    seen = cluster(new(4), middle, stable(), active="M")
    assert acted(at(), seen) is None
    assert acted(at(promoting=True), seen) == TO_NEW
    assert acted(at(aborted=True), seen) == TO_STABLE


def test_a_first_version_takes_over_once_it_is_complete() -> None:
    where = at(stable_hash="")
    assert acted(where, cluster(new(4, 3), active="")) is None
    assert acted(where, cluster(new(4), active="")) == TO_NEW
    assert acted(at(stable_hash="", aborted=True), cluster(new(4), active="")) == TO_NEW  # as in Argo


def test_a_paused_rollout_has_its_pods_and_its_services_are_left_alone() -> None:
    seen = cluster(new(0), stable(), preview="S")
    assert acted(at(held=True), seen) == ScaleReplicaSet("shop-N", 4)
    assert acted(at(held=True), cluster(new(4), stable(), preview="S", active="")) is None


def test_without_an_active_service_nothing_is_ever_there() -> None:
    seen = cluster(new(4), stable(), active=None)
    assert acted(at(promoting=True), seen) is None
    assert not converged(at(promoting=True), seen, RULES, NOW)


def test_no_replicas_are_no_obstacle() -> None:
    seen = cluster(new(0), stable(0))
    assert acted(at(promoting=True, replicas=0), seen) == TO_NEW
    assert acted(at(aborted=True, replicas=0), cluster(new(0), stable(0), active="N")) == TO_STABLE
