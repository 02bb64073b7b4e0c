"""Stages of a version, and the ways past them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.bluegreen.stage import NOW, new, stable
from tests.unit.canary.stage import replica_set
from tidegate.bluegreen.phase import pending
from tidegate.bluegreen.rollback import is_fast_rollback
from tidegate.bluegreen.stages import stage_text, stages
from tidegate.manifests.rollout import BlueGreen

GATE = {"templates": [{"templateName": "t"}, {"templateName": "u"}]}


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({}, ["preview: all pods behind p", "active: all of a"]),
        ({"previewService": "", "previewReplicaCount": 2}, ["preview: 2 pods", "active: all of a"]),
        (
            {"autoPromotionEnabled": False, "autoPromotionSeconds": 9},
            ["preview: all pods behind p", "pause", "active: all of a"],
        ),
        ({"autoPromotionSeconds": 9}, ["preview: all pods behind p", "pause: 9s", "active: all of a"]),
        (
            {"prePromotionAnalysis": GATE, "postPromotionAnalysis": GATE},
            [
                "preview: all pods behind p",
                "prePromotionAnalysis: t, u",
                "active: all of a",
                "postPromotionAnalysis: t, u",
            ],
        ),
    ],
)
def test_a_version_takes_the_stages_that_the_strategy_asks_for(fields: dict[str, Any], lines: list[str]) -> None:
    strategy = BlueGreen.model_validate({"activeService": "a", "previewService": "p", **fields})
    assert [stage_text(stage, strategy) for stage in stages(strategy)] == lines


@pytest.mark.parametrize(
    ("change", "is_fast"),
    [
        ({}, True),
        ({"promoted_at": None}, False),
        ({"scale_down_at": None}, False),
        ({"scale_down_at": NOW}, False),
        ({"desired": 0}, False),
        ({"created_at": NOW + timedelta(hours=1)}, False),
        ({"created_at": None}, False),
    ],
)
def test_a_rollback_is_fast_while_the_pods_of_a_promoted_version_wait(change: dict[str, Any], is_fast: bool) -> None:
    waiting = stable(scale_down_at=NOW + timedelta(seconds=1)).model_copy(update=change)
    assert is_fast_rollback([new(4), waiting], "S", "N", NOW) is is_fast
    assert not is_fast_rollback([new(4)], "S", "N", NOW)
    assert not is_fast_rollback([replica_set("X", 4), waiting], "S", "N", NOW)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"updated": 1}, "more replicas need to be updated"),
        ({"available": 1}, "updated replicas are still becoming available"),
        ({}, "active service cutover pending"),
        ({"is_active": True}, "waiting for post-promotion verification to complete"),
        ({"is_active": True, "has_post_analysis": True}, "waiting for analysis to complete"),
        ({"is_active": True, "is_stable": True}, ""),
    ],
)
def test_the_first_thing_that_is_missing_is_said(fields: dict[str, Any], message: str) -> None:
    known = {"updated": 2, "available": 2, "wanted": 2, "is_active": False, "is_stable": False}
    assert next(pending(**(known | {"has_post_analysis": False} | fields)), "") == message
