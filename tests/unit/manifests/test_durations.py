"""Durations are Go's: what is read, what is refused and with which words, and that writing loses nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.manifests.durations import format_duration, int_or_zero, parse_duration, pause_seconds, percent_or_int

durations = st.timedeltas(timedelta(days=-9000), timedelta(days=9000))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        (".5m", 30),
        ("1.s", 1),
        ("300ms", 0.3),
        ("5us", 0.000005),
        ("5µs", 0.000005),
        ("-5s", -5),
        ("+5s", 5),
        ("0", 0),
        (0, 0),
        ("-0", 0),
        ("1m1m", 120),
    ],
)
def test_reads_what_go_reads(text: str | int, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5x", 'time: unknown unit "x" in duration "5x"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("60s-typo", 'time: unknown unit "s-typo" in duration "60s-typo"'),
        ("5", 'time: missing unit in duration "5"'),
        (5, 'time: missing unit in duration "5"'),
        ("", 'time: invalid duration ""'),
        (".s", 'time: invalid duration ".s"'),
        ("soon", 'time: invalid duration "soon"'),
        ("9999999999h", 'time: invalid duration "9999999999h"'),
    ],
)
def test_refuses_with_the_words_of_go(text: str | int, message: str) -> None:
    with pytest.raises(ValueError, match="time:") as caught:
        parse_duration(text)
    assert str(caught.value) == message


@given(durations)
def test_reading_undoes_writing(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(), "0s"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(hours=2), "2h"),
        (timedelta(seconds=1.5), "1.5s"),
        (timedelta(seconds=-5), "-5s"),
    ],
)
def test_writes_the_shortest_form(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


@given(st.integers(-(2**31) + 1, 2**31 - 1))
def test_a_pause_without_unit_is_seconds(seconds: int) -> None:
    assert pause_seconds(seconds) == pause_seconds(str(seconds)) == seconds


@given(st.text(max_size=12))
def test_any_text_has_a_pause_or_is_refused(text: str) -> None:
    assert isinstance(pause_seconds(text), int)
    assert isinstance(int_or_zero(text), int)
    assert isinstance(percent_or_int(text), int)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("3", 3),
        ("{{args.n}}", 0),
        (None, 0),
        (4, 4),
        ("1.5", 0),
        ("9" * 30, 2**63 - 1),
        ("-" + "9" * 200, -(2**63)),
        ("0" * 200 + "5", 5),
    ],
)
def test_text_that_is_no_number_counts_as_nothing(value: str | int | None, number: int) -> None:
    assert int_or_zero(value) == number


@pytest.mark.parametrize(("value", "number"), [("25%", 25), ("0%", 0), (2, 2), ("2", 0), ("x%", 0), (None, 0)])
def test_surge_is_a_number_or_a_percentage(value: str | int | None, number: int) -> None:
    assert percent_or_int(value) == number
