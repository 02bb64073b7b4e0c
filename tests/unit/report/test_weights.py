"""The canary's weight as people read it: with the words for one that no router confirms."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.unit.report.accounts import release
from tidegate.cli.overview import overview
from tidegate.report import actual_weight, details


def test_a_weight_that_no_router_confirms_is_asked_and_not_verified() -> None:
    asked = release(actual_weight=20, set_weight=20, weight_verified=False)
    assert actual_weight(asked) == "20 % (asked, not verified)"
    assert "**20 % (asked, not verified)**" in details(asked)
    shown = [line.plain for line in overview(asked, None, datetime(2026, 1, 1, tzinfo=UTC))]
    assert any(line.split() == ["ActualWeight:", "20", "(asked,", "not", "verified)"] for line in shown)
    assert actual_weight(release(actual_weight=20)) == "20 %"
