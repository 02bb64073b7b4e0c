"""When a version becomes the stable one, and why."""

from __future__ import annotations

from typing import Any

from tests.unit.canary.stage import ROUTED, position, sets
from tidegate.canary.promotion import promotion_reason


def test_the_first_version_is_stable_from_its_first_moment() -> None:
    assert promotion_reason(position(ROUTED, 20, stable_hash=""), sets(None, None)) == "Initial deploy"


def test_all_pods_and_all_steps_are_needed() -> None:
    assert promotion_reason(position(ROUTED, 20, 50, index=1), sets(10, 10)) == ""
    assert promotion_reason(position(ROUTED, 20, 50, index=2), sets((10, 9), 10)) == ""
    assert promotion_reason(position(ROUTED, 20, 50, index=2), sets(10, 10)) == "Completed all 2 canary steps"
    assert promotion_reason(position(ROUTED, 20, 50, index=2), sets(12, 10)) == "Completed all 2 canary steps"
    assert promotion_reason(position(ROUTED, index=None), sets(10, 10)) == "Completed all 0 canary steps"
    assert promotion_reason(position(ROUTED, index=None), sets(None, 10)) == ""


def test_a_threshold_may_do_with_fewer() -> None:
    easy: dict[str, Any] = {**ROUTED, "replicaProgressThreshold": {"type": "Percent", "value": 90}}
    assert promotion_reason(position(easy, 20, index=1), sets((10, 9), 10)) != ""


def test_steps_may_be_skipped_but_not_pods() -> None:
    full = position(ROUTED, 20, promoted_in_full=True)
    assert promotion_reason(full, sets((10, 9), 10)) == ""
    assert promotion_reason(full, sets(10, 10)) == "Full promotion requested"
    assert promotion_reason(position(ROUTED, 20), sets(10, 10), fast_rollback=True) == "Rollback within window"


def test_what_was_aborted_is_not_promoted() -> None:
    assert promotion_reason(position(ROUTED, 20, index=1, aborted=True), sets(10, 10)) == ""
