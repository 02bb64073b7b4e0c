"""Why a version becomes the stable one."""

from __future__ import annotations

import pytest

from tidegate.canary.promotion import promotion_reason


@pytest.mark.parametrize(
    ("holds", "reason"),
    [
        ({"is_first", "in_full", "in_window"}, "Initial deploy"),
        ({"in_full", "is_stable", "in_window"}, "Full promotion requested"),
        ({"is_stable"}, "Already the stable version"),
        ({"in_window"}, "Rollback within window"),
        ({"in_window", "skipped"}, "Rollback within window"),
        ({"skipped"}, "Skipped to the end of 2 canary steps"),
        (set[str](), "Completed all 2 canary steps"),
    ],
)
def test_the_strongest_reason_is_named(holds: set[str], reason: str) -> None:
    names = ("is_first", "is_stable", "in_full", "skipped", "in_window")
    assert promotion_reason(steps=2, **{name: name in holds for name in names}) == reason


def test_without_steps_all_of_them_are_completed() -> None:
    no = {"is_first": False, "is_stable": False, "in_full": False, "skipped": False, "in_window": False}
    done = promotion_reason(steps=0, **no)
    assert done == "Completed all 0 canary steps"
