"""Numbers in sentences are short, and stay on their side of every limit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.analysis.figures import rounded, shortened

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12).map(
    lambda number: Decimal(repr(number))
)


@pytest.mark.parametrize(
    ("value", "condition", "shown"),
    [
        ("0.05238095238095238", "result < 0.05", "0.05238"),
        ("0.049999871", "result < 0.05", "0.0499999"),
        ("0.05", "result < 0.05", "0.05"),
        ("123456.789012345", "result < 100", "123457"),
        ("99999.96", "result < 100000", "99999.96"),
        ("0.000012345678", "", "0.00001235"),
        ("[0.123456789,2]", "result[0] < 0.2", "[0.1235,2]"),
        ('{"ratio":0.3333333333333333}', "result.ratio < 1", '{"ratio":0.3333}'),
        ("v1.23456789.0", "", "v1.23456789.0"),
        ("12345678", "", "12345678"),
        ("-0.33333333333", "result > -0.5", "-0.3333"),
        ("3.3333333333333e-21", "", "0.000000000000000000003333"),
        ("1.23456e999999", "", "1.23456e999999"),
        ("1.5e99999999999999999999", "result < 1e99999999999999999999", "1.5e99999999999999999999"),
        ("no series", "result < 1", "no series"),
    ],
)
def test_a_value_is_shown_in_few_figures(value: str, condition: str, shown: str) -> None:
    assert shortened(value, condition) == shown


@given(NUMBERS, st.lists(NUMBERS, max_size=3))
def test_no_limit_is_met_or_missed_by_rounding(number: Decimal, limits: list[Decimal]) -> None:
    short = rounded(number, limits)
    assert [short.compare(limit) for limit in limits] == [number.compare(limit) for limit in limits]


@given(NUMBERS)
def test_what_is_rounded_is_near(number: Decimal) -> None:
    assert abs(rounded(number, []) - number) <= abs(number) / 2000
