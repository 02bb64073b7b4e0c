"""Laws of the pure parts of the Datadog provider: formulas, requests, responses."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.metrics.datadog.batch import PendingQuery, batches
from activities.metrics.datadog.formula import MAX_DEPTH, Formula, FormulaError, FormulaResult, NotComputableError
from activities.metrics.datadog.request import DatadogQuery, Window, scalar_request
from activities.metrics.datadog.response import plain_decimal, read_first, read_series, read_table
from activities.metrics.provider import ResponseError

NAMES = ("a", "b", "hits")
numbers = st.floats(min_value=0.001, max_value=1e6)
values = st.dictionaries(st.sampled_from(NAMES), numbers | st.none())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["data", "series", "x"]), inner),
    max_leaves=20,
)


@st.composite
def formulas(draw: st.DrawFn, depth: int = 3) -> str:
    """A formula in the syntax that Python and Datadog share."""
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from([*NAMES, "2", "0.5", "1e2"]))
    left, right = draw(formulas(depth=depth - 1)), draw(formulas(depth=depth - 1))
    return draw(st.sampled_from([f"({left} {op} {right})" for op in "+-*/"] + [f"-{left}"]))


# -------------------------------------------------------------------------------------------------------------- formula


@given(formulas(), st.fixed_dictionaries(dict.fromkeys(NAMES, numbers)))
def test_arithmetic_is_ordinary_arithmetic(text: str, given_values: dict[str, float]) -> None:
    try:
        expected = eval(text, {"__builtins__": {}}, given_values)  # noqa: S307  the oracle, on generated arithmetic
    except ZeroDivisionError:
        expected = None
    found = Formula(text).evaluate(given_values)
    assert found == expected if expected is None or found is None else math.isclose(found, expected, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1 - 2 - 3", -4), ("8 / 4 / 2", 1), ("1 + 2 * 3", 7), ("-2 * -3", 6), ("+.5", 0.5), ("default_zero(a) + 1", 1)],
)
def test_operators_bind_as_usual(text: str, value: float) -> None:
    assert Formula(text).evaluate({}) == value


@given(formulas(), values)
def test_a_ratio_never_makes_data_out_of_a_denominator_without_data(text: str, found: dict[str, float | None]) -> None:
    ratio = Formula(f"({text}) / hits").evaluate_ratio(found | {"hits": None})
    assert ratio == FormulaResult(None)


@given(numbers, numbers)
def test_a_numerator_without_data_is_zero_only_beside_a_denominator_with_data(hits: float, other: float) -> None:
    assert Formula("a / hits * 100").evaluate_ratio({"hits": hits}) == FormulaResult(0.0, frozenset({"a"}))
    assert Formula("a / (a + b)").evaluate_ratio({"b": other}) == FormulaResult(0.0, frozenset({"a"}))
    assert Formula("a / hits + b").evaluate_ratio({"hits": hits}) == FormulaResult(None)
    assert Formula("a * 1000").evaluate_ratio({}) == FormulaResult(None)
    assert Formula("a / hits").evaluate_ratio({"hits": 0.0}) == FormulaResult(None)


def test_renaming_touches_references_only() -> None:
    formula = Formula("moving_rollup(a, 60, 'a')  / (b+a) * a1")
    assert formula.rename({"a": "m0_a", "b": "m0_b"}) == "moving_rollup(m0_a, 60, 'a')  / (m0_b+m0_a) * a1"
    assert formula.queries == {"a", "b", "a1"}
    with pytest.raises(NotComputableError, match="moving_rollup"):
        formula.evaluate({"a": 1.0, "b": 1.0, "a1": 1.0})


@pytest.mark.parametrize(
    "text", ["", "a +", "a b", "a / ", "(a", "a; b", "a.b", "1e999999a", "-" * MAX_DEPTH + "a", "a" * 20_000]
)
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(FormulaError):
        Formula(text)


@given(st.text(alphabet="ab+-*/() 1.e'\"_,", max_size=40), values)
def test_any_text_is_refused_or_has_a_finite_value(text: str, found: dict[str, float | None]) -> None:
    try:
        value = Formula(text).evaluate(found)
    except (FormulaError, NotComputableError):
        return
    assert value is None or math.isfinite(value)


# ------------------------------------------------------------------------------------------------------------- requests


def question(text: str, formula: str = "", **more: Any) -> DatadogQuery:
    queries = {"a": text, "b": text} if formula else {"query": text}
    given_fields = {"aggregator": "last", "api_version": "v2"} | more
    return DatadogQuery(queries, formula, interval=timedelta(minutes=5), timeout=timedelta(seconds=10), **given_fields)


@given(st.lists(st.sampled_from(["", "a / b", "b * 2"]), min_size=1, max_size=6))
def test_every_metric_of_a_request_finds_its_own_columns(shapes: list[str]) -> None:
    questions = [question(f"q{index}", formula) for index, formula in enumerate(shapes)]
    request = scalar_request(questions, Window(0, 300))
    attributes: Any = request.body["data"]
    texts = {each["name"]: each["query"] for each in attributes["attributes"]["queries"]}
    assert len(texts) == sum(len(each.queries) for each in questions)
    for index, columns in enumerate(request.columns):
        for position in columns.queries.values():
            assert texts[request.labels[position]] == f"q{index}"
        referred = Formula(request.labels[columns.value]).queries
        assert {texts[name] for name in referred} == {f"q{index}"}


def test_a_batch_agrees_on_everything_that_one_request_shares() -> None:
    questions = [
        question("a{*}"),
        question("b{*}"),
        question("c{*} by {pod}"),
        question("d{*}", api_version="v1"),
        question("e{*}", api_version="v1"),
        question("f{*}", "top(a, 5 by b)"),
    ]
    due = [PendingQuery(index, each, Window(0, 300), None) for index, each in enumerate(questions)]
    assert [[each.index for each in batch] for batch in batches(due)] == [[0, 1], [2], [3], [4], [5]]


@given(now=st.floats(1e9, 2e9), seconds=st.integers(1, 10_000), rollup=st.none() | st.integers(1, 3600))
def test_a_window_has_its_length_and_ends_in_the_past(now: float, seconds: int, rollup: int | None) -> None:
    text = f"sum:h{{*}}.rollup(sum, {rollup})" if rollup else "sum:h{*}"
    asked = DatadogQuery({"q": text}, "", "last", "v2", timedelta(seconds=seconds), timedelta(seconds=1))
    window = asked.window(now)
    assert window.end - window.start == seconds
    assert now - 1 - (rollup or 0) <= window.end <= now
    assert rollup is None or window.end % rollup == 0


# ------------------------------------------------------------------------------------------------------------ responses


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_stored_text_is_plain_and_exact(number: float) -> None:
    text = plain_decimal(number)
    assert float(text) == number
    assert "e" not in text.lower()
    assert Decimal(text) == Decimal(repr(number))
    assert not text.endswith(".")
    assert not text.partition(".")[2].endswith("0")


@given(json_values)
def test_any_json_is_a_value_or_a_refusal(document: Any) -> None:
    body = json.dumps(document).encode()
    for read in (lambda: read_series(body, 0), lambda: read_first(read_table(body))):
        try:
            value = read()
        except ResponseError:
            continue
        assert value.result is None or not isinstance(value.result, float) or math.isfinite(value.result)


@given(st.lists(st.none() | st.floats(-1e9, 1e9), max_size=5), st.booleans())
def test_a_column_is_its_values_without_nulls(column: list[float | None], grouped: bool) -> None:
    groups = [{"type": "group", "values": [[f"g{index}"] for index in range(len(column))]}] if grouped else []
    body = {"data": {"attributes": {"columns": [*groups, {"type": "number", "values": column}]}}}
    value = read_first(read_table(json.dumps(body).encode()))
    present = [each for each in column if each is not None]
    expected = (present if grouped else present[0]) if present else None
    assert value.result == expected
    assert value.text == "[]" or json.loads(value.text) == expected
