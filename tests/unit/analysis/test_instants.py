"""Expressions with a time as value."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tidegate.analysis.instants import ConditionError, evaluate_instant

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("now()", "2026-01-02T03:04:05.678+00:00"),
        ('now() - duration("1h30m")', "2026-01-02T01:34:05.678+00:00"),
        ('date("2023-08-14 00:00:00", "2006-01-02 15:04:05", "UTC") - duration("1h")', "2023-08-13T23:00:00+00:00"),
        ('date("2023-08-14", "2006-01-02", "Europe/Berlin")', "2023-08-14T00:00:00+02:00"),
        ("now().Hour() > 2 ? now() : date('2023-08-14')", "2026-01-02T03:04:05.678+00:00"),
    ],
)
def test_an_expression_is_a_time(text: str, time: str) -> None:
    assert evaluate_instant(text, NOW) == datetime.fromisoformat(time)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('now() - duration("??")', 'time: invalid duration "??"'),
        ("1 + 1", "expected time.Time, but got int"),
        ('duration("5m")', "expected time.Time, but got time.Duration"),
        ("result", "expected time.Time, but got <nil>"),
        ("yesterday()", "unknown name yesterday"),
        ("now() -", "the condition ends too early"),
        ("", "the condition is empty"),
    ],
)
def test_what_is_no_time_is_an_error(text: str, message: str) -> None:
    with pytest.raises(ConditionError) as caught:
        evaluate_instant(text, NOW)
    assert caught.value.message.startswith(message)
