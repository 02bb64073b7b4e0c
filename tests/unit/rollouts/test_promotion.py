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
        ({"in_window", "is_fast"}, "Rollback within window"),
        ({"is_fast"}, "Fast rollback"),
        (set[str](), "Completed all 2 canary steps"),
    ],
)
def test_the_strongest_reason_is_named(holds: set[str], reason: str) -> None:
    names = ("is_first", "is_stable", "in_full", "in_window", "is_fast")
    assert promotion_reason(completed="all 2 canary steps", **{name: name in holds for name in names}) == reason
