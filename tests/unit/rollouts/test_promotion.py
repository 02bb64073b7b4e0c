"""Why a version becomes the stable one."""

from __future__ import annotations

import pytest

from tidegate.rollouts.promotion import promotion_reason


@pytest.mark.parametrize(
    ("holds", "reason"),
    [
        ({"is_first", "in_full", "in_window"}, "Initial deploy"),
        ({"in_full", "is_stable", "in_window"}, "Full promotion requested"),
        ({"is_stable"}, "Already the stable version"),
        ({"in_window", "is_fast", "skipped"}, "Rollback within window"),
        ({"is_fast", "skipped"}, "Fast rollback"),
        ({"skipped"}, "Skipped to the end of 2 canary steps"),
        (set[str](), "Completed all 2 canary steps"),
    ],
)
def test_the_strongest_reason_is_named(holds: set[str], reason: str) -> None:
    names = ("is_first", "is_stable", "in_full", "skipped", "in_window", "is_fast")
    assert promotion_reason(steps=2, **{name: name in holds for name in names}) == reason


@pytest.mark.parametrize(
    ("steps", "reason"), [(0, "Completed all 0 canary steps"), (None, "Completed blue-green update")]
)
def test_all_that_there_is_is_completed(steps: int | None, reason: str) -> None:
    no = {"is_first": False, "is_stable": False, "in_full": False, "skipped": False, "in_window": False}
    assert promotion_reason(steps=steps, **no) == reason
