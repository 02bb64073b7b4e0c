"""The window within which a rollback skips the steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.canary.stage import replica_set
from tidegate.rollouts.rollback import within_window

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MADE = [
    replica_set(f"v{day}", 0, created_at=BEGIN + timedelta(days=day), promoted_at=BEGIN + timedelta(days=day, hours=1))
    for day in range(1, 5)
]


@pytest.mark.parametrize(
    ("desired", "revisions", "within"),
    [("v3", 1, True), ("v2", 1, False), ("v2", 2, True), ("v1", 2, False), ("v1", 3, True)],
)
def test_fewer_versions_than_the_window_lie_between(desired: str, revisions: int, within: bool) -> None:
    assert within_window(MADE, desired, "v4", revisions) is within


def test_a_newer_version_is_no_rollback() -> None:
    assert not within_window(MADE, "v4", "v2", 5)


def test_a_version_that_was_never_promoted_takes_its_steps() -> None:
    made = [replica_set("v1", 0, created_at=BEGIN), *MADE[1:]]
    assert not within_window(made, "v1", "v2", 5)


def test_a_version_without_a_replica_set_is_none() -> None:
    assert not within_window(MADE, "v9", "v4", 5)
