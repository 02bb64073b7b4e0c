"""What a condition promises to those who use it: a place and a hint for errors, no data, time, sharing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from tests.unit.analysis.conditions.outcome import outcome
from tidegate.analysis.conditions import ConditionError, compile_condition

ERRORS = [
    ("", 1.0, "the condition is empty", None, "result < 0.01"),
    ("result = 5", 1.0, "unexpected '='", 8, "=="),
    ("result <", 1.0, "the condition ends too early", 9, "missing"),
    ("result < 1 & true", 1.0, "unexpected '&'", 12, "&&"),
    ("resutl < 1", 1.0, "unknown name resutl", 1, "did you mean result?"),
    ("result < 'a'", 1.0, "invalid operation: < (mismatched types float64 and string)", 8, "asFloat"),
    ("result < 1", [0.5], "invalid operation: < (mismatched types []float64 and int)", 8, "all(result, # < 1)"),
    ("result < 0.05", None, "invalid operation: < (mismatched types unknown and float64)", 8, "default(result, 0)"),
    ("len(result) == 0", None, "invalid argument for len (type unknown)", 1, "default(result, [])"),
    ("isNaN(result)", None, "cannot use nil as argument (type float64) to call isNaN", 1, "default(result, 0)"),
    ("result[0] < 1", 0.5, "type float64[int] is undefined", 7, "one number, not a list"),
    ("result.value < 1", None, "type nil has no field value", 8, "default(...)"),
    ("result", 1.0, "expected bool, but got float64", None, "compare it"),
    ("result.x", {"x": 1}, "expected bool, but got float64", None, "compare it"),
    ("result[3] > 0", [1.0], "index out of range: 3 (array length is 1)", 7, ""),
    ("result.a.b == 1", {}, "cannot fetch b from <nil>", 10, "?."),
    ("all(result, # + 1)", [1.0], "the predicate of all should return boolean (got float64)", 15, "# < 1"),
    ("all(result) ", [1.0], "all needs a predicate", 1, "# is one element"),
    ("# > 1", 1.0, "# outside of a predicate", 1, "all(result, # < 1)"),
    ("result ?? 0 < 1", 1.0, "operator < and ?? cannot be mixed", 13, "(result ?? 0) < 1"),
    ("asInt(result) == 1", "1.5", 'asInt: parsing "1.5": invalid syntax', 1, "asFloat"),
    ("result matches '(a'", "a", "error parsing regexp: an end is missing in `(a`", 16, ""),
    ("let result = 1; true", 1.0, "cannot redeclare result", 5, "another name"),
    ("asFloat == 1", 1.0, "invalid operation: == (mismatched types func(interface {}) float64 and int)", 9, ""),
    ("len < 1", 1.0, "len is a function", 1, "len(result)"),
    ("now() > date('2026-01-01')", 1.0, "now() has no time here: a verdict must be the same whenever it is", 1, ""),
]


@pytest.mark.parametrize(("condition", "result", "message", "column", "hint"), ERRORS)
def test_an_error_says_what_is_wrong_where_and_what_to_write(
    condition: str, result: JsonValue, message: str, column: int | None, hint: str
) -> None:
    with pytest.raises(ConditionError) as caught:
        compile_condition(condition).evaluate(result)

    error = caught.value
    assert error.message.startswith(message)
    assert error.column == column
    assert hint in error.hint
    assert error.message in str(error)


def test_a_condition_is_read_once_and_keeps_its_text() -> None:
    condition = compile_condition("result < 0.01")

    assert condition is compile_condition("result < 0.01")
    assert condition.text == "result < 0.01"


def test_types_are_checked_against_each_result_anew() -> None:
    condition = compile_condition("result < 1")

    assert condition.evaluate(0.5) is True
    with pytest.raises(ConditionError):
        condition.evaluate("0.5")
    with pytest.raises(ConditionError):
        condition.evaluate("0.5")
    assert condition.evaluate(2) is False


@pytest.mark.parametrize(
    ("condition", "provided"),
    [
        ("result < 0.01", False),
        ("default(result, 0) < 0.01", True),
        ("(result ?? 0) < 0.01", True),
        ("isNil(result)", True),
        ("result == nil", True),
        ("result?.errors == nil", False),
        ("default(result, nil) < 0.01", False),
        ("isNil(result) || result < 0.01", False),
        ("!isNil(result) && result < 0.01", False),
        ("len(result) == 0", False),
        ("all(default(result, []), # < 1)", True),
        ("true", False),
    ],
)
def test_no_data_is_provided_for_when_it_is_asked_for_and_answered(condition: str, provided: bool) -> None:
    assert compile_condition(condition).handles_no_data is provided


@pytest.mark.parametrize(
    ("condition", "provided"),
    [
        ("len(result) == 0 || result[0] < 1", True),
        ("len(result) > 0 && all(result, # < 1)", True),
        ("all(result, # < 1)", False),
        ("result[len(result) - 1] < 1", False),
        ("true", False),
    ],
)
def test_an_empty_list_is_provided_for_when_its_length_is_asked_for(condition: str, provided: bool) -> None:
    assert compile_condition(condition).handles_no_elements is provided


def test_now_is_the_time_that_the_evaluation_is_given() -> None:
    condition = compile_condition("now() - duration('1h') > date('2026-01-01')")

    assert condition.evaluate(1.0, now=datetime(2026, 1, 2, tzinfo=UTC)) is True
    assert condition.evaluate(1.0, now=datetime(2026, 1, 1, tzinfo=UTC)) is False


@given(st.floats(), st.floats(allow_nan=False))
def test_a_number_is_below_a_limit_or_not_and_nan_is_neither(value: float, limit: float) -> None:
    below = compile_condition(f"result < asFloat('{limit!r}')").evaluate(value)
    at_least = compile_condition(f"result >= asFloat('{limit!r}')").evaluate(value)

    assert below is (value < limit)
    assert at_least is (value >= limit)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(_JSON)
def test_a_document_survives_being_written_and_read(document: JsonValue) -> None:
    assert compile_condition("fromJSON(toJSON(result.x)) == result.x").evaluate({"x": document}) is True


@given(_JSON)
def test_whatever_the_result_is_the_answer_is_a_boolean_or_an_error(document: JsonValue) -> None:
    for text in ("result < 1", "len(result) > 0", "all(result, # < 1)", "result.a[0] == 'x'"):
        assert outcome(text, document) in (True, False, None)
    assert outcome("string(result) != ''", document) is (document != "")
