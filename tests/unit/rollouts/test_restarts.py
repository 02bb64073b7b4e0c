"""Which pods a restart deletes now, and whether one is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegate.rollouts.restarts import OldPod, may_go, restart_due

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def pods(count: int, *, ready: bool = True) -> list[OldPod]:
    return [OldPod(f"{'r' if ready else 'b'}{age}", BEGAN + timedelta(minutes=age), ready) for age in range(count)]


@pytest.mark.parametrize(
    ("unavailable", "missing", "expected"),
    [(1, 0, ["r0"]), (2, 0, ["r0", "r1"]), (2, 1, ["r0"]), (0, 0, ["r0"]), (0, 1, []), (2, 9, [])],
)
def test_never_more_than_max_unavailable_are_missing(unavailable: int, missing: int, expected: list[str]) -> None:
    assert [pod.uid for pod in may_go(reversed(pods(4)), missing, unavailable)] == expected


def test_a_pod_that_serves_nobody_may_always_go() -> None:
    going = may_go([*pods(2), *pods(1, ready=False)], 1, 1)
    assert [pod.uid for pod in going] == ["b0"]


@pytest.mark.parametrize(
    ("wanted", "done", "due"),
    [
        ("2026-01-01T01:00:00+01:00", None, BEGAN),
        ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", None),
        ("2026-01-01T00:00:00Z", "2025-12-31T00:00:00Z", BEGAN),
        ("2026-01-01T00:00:00Z", 7, BEGAN),
        ("2026-01-01T00:00:00", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_a_restart_is_due_until_one_as_late_was_done(wanted: Any, done: Any, due: datetime | None) -> None:
    assert restart_due({"spec": {"restartAt": wanted}, "status": {"restartedAt": done}}) == due
