"""How many pods each version has, and until when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.bluegreen.stage import NOW, RULES, acted, at, cluster, new, stable
from tests.unit.canary.stage import replica_set
from tidegate.bluegreen.reconcile import converged, requeue_at
from tidegate.manifests.steps import PodTemplateMetadata
from tidegate.rollouts.actions import DeleteReplicaSet, MarkPromoted, ScaleReplicaSet, SetMetadata, SetScaleDownDeadline
from tidegate.rollouts.replica_sets import ReplicaSetState

LATER, EARLIER = NOW + timedelta(seconds=30), NOW - timedelta(seconds=1)


def old(name: str, pods: int = 4, until: datetime | None = None) -> ReplicaSetState:
    return replica_set(name, pods, scale_down_at=until)


@pytest.mark.parametrize(
    ("count", "turns", "active", "size"),
    [
        (1, {}, "S", 1),
        (0, {}, "S", 0),
        (6, {}, "S", 6),
        (-1, {}, "S", 0),
        (1, {"promoting": True}, "S", 4),
        (1, {"stable_hash": ""}, "", 4),
        (1, {"stable_hash": "N"}, "N", 4),
    ],
)
def test_a_preview_has_its_count_until_the_promotion_is_decided(
    count: int, turns: dict[str, Any], active: str, size: int
) -> None:
    where = at(strategy={"previewReplicaCount": count}, **turns)
    beside = () if "stable_hash" in turns else (stable(),)
    assert acted(where, cluster(new(2, promoted_at=NOW), *beside, active=active)) == ScaleReplicaSet("shop-N", size)


def test_a_change_of_replicas_leaves_a_preview_of_its_own_count() -> None:
    where = at(replicas=6, strategy={"previewReplicaCount": 1})
    assert acted(where, cluster(new(1), stable(4))) == ScaleReplicaSet("shop-S", 6)
    assert converged(where, cluster(new(1), stable(6)), RULES, NOW)


def test_a_replaced_version_waits_follows_the_replicas_and_goes() -> None:
    done = at(stable_hash="N", replicas=5)
    whole = new(5, promoted_at=NOW)
    assert acted(done, cluster(whole, old("O"), active="N")) == SetScaleDownDeadline("shop-O", LATER)
    assert acted(done, cluster(whole, old("O", 4, LATER), active="N")) == ScaleReplicaSet("shop-O", 5)
    assert acted(done, cluster(whole, old("O", 5, LATER), active="N")) is None
    assert acted(done, cluster(whole, old("O", 5, NOW), active="N")) == ScaleReplicaSet("shop-O", 0)


def test_without_a_delay_replaced_pods_stay_for_ever() -> None:
    done = at(stable_hash="N", strategy={"scaleDownDelaySeconds": 0})
    assert acted(done, cluster(new(4, promoted_at=NOW), old("O"), active="N")) is None


@pytest.mark.parametrize(("limit", "action"), [(1, ScaleReplicaSet("shop-P", 0)), (2, None), (None, None)])
def test_no_more_than_the_limit_wait(limit: int | None, action: Any) -> None:
    done = at(stable_hash="N", strategy={} if limit is None else {"scaleDownDelayRevisionLimit": limit})
    seen = cluster(new(4, promoted_at=NOW), old("O", 4, LATER), old("P", 4, LATER), active="N")
    assert acted(done, seen) == action


def test_what_a_service_selects_stays_whatever_its_deadline() -> None:
    seen = cluster(new(4), old("O", 4, EARLIER), stable(), active="O")
    assert acted(at(), seen) == SetScaleDownDeadline("shop-O", None)


def test_while_the_last_gate_is_open_no_older_version_goes_unless_a_delay_is_written() -> None:
    gate: dict[str, Any] = {"postPromotionAnalysis": {"templates": [{"templateName": "t"}]}}
    seen = cluster(new(4), stable(), old("O", 4, EARLIER), active="N")
    where = at(promoting=True, strategy=gate)
    assert acted(where, seen) is None
    assert requeue_at(where, seen) is None
    written = {**gate, "scaleDownDelaySeconds": 30}
    assert acted(at(promoting=True, strategy=written), seen) == ScaleReplicaSet("shop-O", 0)
    assert acted(at(promoting=True, undecided=True, strategy=written), seen) is None
    before = cluster(new(4), stable(), old("O", 4, EARLIER))
    assert acted(at(strategy=gate), before) == ScaleReplicaSet("shop-O", 0), "it opens with the promotion"


@pytest.mark.parametrize("until", [None, EARLIER])
def test_an_inconclusive_analysis_holds_older_versions_until_it_is_decided(until: datetime | None) -> None:
    seen = cluster(new(4), stable(), old("O", 4, until))
    assert acted(at(undecided=True), seen) is None
    assert requeue_at(at(undecided=True), seen) is None
    assert acted(at(), seen) == (ScaleReplicaSet("shop-O", 0) if until else SetScaleDownDeadline("shop-O", LATER))
    assert acted(at(aborted=True, undecided=True), seen) is not None


@pytest.mark.parametrize("active", ["S", "N"])
def test_an_aborted_version_goes_after_its_delay_and_never_while_it_serves(active: str) -> None:
    back = at(aborted=True)
    assert acted(back, cluster(new(4, scale_down_at=EARLIER), stable(4, 0), active=active)) in (
        None,
        SetScaleDownDeadline("shop-N", None),
    )
    if active == "S":
        assert acted(back, cluster(new(4), stable())) == SetScaleDownDeadline("shop-N", LATER)
        gone = acted(back, cluster(new(4, scale_down_at=EARLIER), stable()))
        assert gone == ScaleReplicaSet("shop-N", 0, keeps_deadline=True)
        assert acted(back, cluster(new(0, scale_down_at=EARLIER), stable())) is None


def test_with_an_abort_delay_of_zero_its_pods_stay_for_ever() -> None:
    back = at(aborted=True, strategy={"abortScaleDownDelaySeconds": 0})
    seen = cluster(new(4), stable())
    assert acted(back, seen) is None
    assert converged(back, seen, RULES, NOW)


def test_a_version_that_is_tried_again_loses_its_deadline_and_comes_back() -> None:
    seen = cluster(new(0, scale_down_at=EARLIER), stable())
    assert acted(at(), seen) == SetScaleDownDeadline("shop-N", None)
    assert acted(at(), cluster(new(0), stable())) == ScaleReplicaSet("shop-N", 4)


def test_a_promotion_is_marked_and_old_sets_beyond_the_history_go() -> None:
    done = at(stable_hash="N")
    assert acted(done, cluster(new(4), active="N")) == MarkPromoted("shop-N")
    many = [old(name, 0) for name in "OPQ"]
    assert acted(done, cluster(new(4, promoted_at=NOW), *many, active="N")) == DeleteReplicaSet("shop-Q")


def test_pods_have_the_metadata_of_the_role_of_their_version() -> None:
    roles: dict[str, Any] = {"activeMetadata": {"labels": {"role": "a"}}, "previewMetadata": {"labels": {"role": "p"}}}
    active, preview = (PodTemplateMetadata(labels={"role": role}) for role in "ap")
    seen = cluster(new(4), stable(ephemeral=active))
    assert acted(at(promoting=True, strategy=roles), seen) == SetMetadata("shop-N", preview)
    done = cluster(new(4, ephemeral=preview, promoted_at=NOW), active="N")
    assert acted(at(stable_hash="N", strategy=roles), done) == SetMetadata("shop-N", active)
