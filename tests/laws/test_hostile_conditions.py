"""A hostile condition or result is refused: it can neither hang a worker, nor fill its memory, nor break it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from tests.unit.analysis.conditions.outcome import outcome
from tidegate.analysis.conditions import ConditionError, compile_condition
from tidegate.analysis.expressions.limits import MAX_DEPTH, MAX_STEPS


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


HOSTILE = {
    "long text": "result < 1 " + " " * 20_000,
    "many operators": "true" + " && true" * 4_000,
    "deep unary": "!" * 5_000 + "true",
    "deep power": "**".join(["2"] * 2_000) + " > 1",
    "deep parentheses over operators": "(1+" * 1_000 + "1" + ")" * 1_000 + " > 1",
    "deep predicates": "all([1], " * 100 + "true" + ")" * 100,
    "deep groups": "'a' matches '" + "(" * 500 + "a" + ")" * 500 + "'",
    "deep lists": "[" * 3_000 + "]" * 3_000 + " == []",
    "deep chained comparisons": "(1 < " * 200 + "1" + " < 2)" * 200,
    "huge range": "len(1..9000000000) > 0",
    "many ranges": "all(1..1000, len(1..1000) > 0)",
    "endless loops": "all(1..1000, all(1..1000, all(1..1000, true)))",
    "doubling string": "len(reduce(1..60, #acc + #acc, 'x')) > 0",
    "doubling list": "len(reduce(1..60, concat(#acc, #acc), [1])) > 0",
    "doubling tree": "len(flatten(reduce(1..60, [#acc, #acc], [1]))) > 0",
    "printed tree": "string(reduce(1..60, [#acc, #acc], [1])) != ''",
    "json tree": "toJSON(reduce(1..60, [#acc, #acc], [1])) != ''",
    "compared trees": "let t = reduce(1..60, [#acc, #acc], [1]); let u = reduce(1..60, [#acc, #acc], [1]); t == u",
    "compared maps": "let t = reduce(1..60, {a: #acc, b: #acc}, {a: 1}); "
    "let u = reduce(1..60, {a: #acc, b: #acc}, {a: 1}); t == u",
    "deep value": "flatten(reduce(1..5000, [#acc], [])) == []",
    "deep equality": "let t = reduce(1..5000, [#acc], []); let u = reduce(1..5000, [#acc], []); t == u",
    "summed tree": "max(reduce(1..60, [#acc, #acc], [1])) > 0",
    "repeat": "len(repeat('x', 100000000)) > 0",
    "replace": "len(replace(repeat('x', 900000), 'x', repeat('y', 900000))) > 0",
    "join": "len(join(map(1..1000, repeat('x', 900000)))) > 0",
    "unique": "len(uniq(1..100000)) > 0",
    "deep json": "fromJSON(repeat('[', 100000)) == nil",
    "long json": "fromJSON(repeat('1', 900000)) == nil",
    "many patterns": "any(1..100, 'x' matches ('(a{900}){9}' + string(#)))",
    "pattern over a long text": "repeat('a', 900000) matches '(a|a)*b'",
}


@pytest.mark.parametrize("condition", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_condition_is_refused(condition: str) -> None:
    with pytest.raises(ConditionError):
        compile_condition(condition).evaluate(1.0)


@pytest.mark.parametrize(
    ("condition", "result"),
    [
        ("result == result", {"x": nested(150)}),
        ("len(result) > 0", list(range(300_000))),
        ("result matches '(a+)+$'", "a" * 1_000_000 + "!"),
    ],
    ids=["deep", "long", "text"],
)
def test_a_hostile_result_is_refused(condition: str, result: Any) -> None:
    with pytest.raises(ConditionError):
        compile_condition(condition).evaluate(result)


def test_what_people_write_is_far_inside_the_limits() -> None:
    chained = " || ".join(f"result == {number}" for number in range(MAX_DEPTH - 10))

    assert compile_condition(chained).evaluate(7) is True
    assert compile_condition("all(result, # >= 0)").evaluate([float(number) for number in range(10_000)]) is True
    assert MAX_STEPS > 10 * 10_000


DEEPEST = {
    "operators": "(1 + " * 115 + "1" + ")" * 115 + " > 1",
    "predicates": "all([1], " * 22 + "# > 0" + ")" * 22,
    "negations": "!" * 116 + "true",
    "conditionals": "true ? " * 100 + "true" + " : false" * 100,
    "bindings": "".join(f"let x{number} = 1; " for number in range(100)) + "x99 == 1",
    "lists": "flatten(" + "[" * 90 + "]" * 90 + ") == []",
    "equal lists": "let t = reduce(1..90, [#acc], []); t == t",
    "groups": "'a' matches '" + "(" * 39 + "a" + ")" * 39 + "'",
}


def far_down(condition: str, frames: int) -> bool:
    """Evaluate where a workflow would: with other people's frames below."""
    if frames:
        return far_down(condition, frames - 1)
    return compile_condition(condition).evaluate(1.0)


@pytest.mark.parametrize("condition", DEEPEST.values(), ids=DEEPEST.keys())
def test_the_deepest_condition_that_is_allowed_fits_on_the_stack(condition: str) -> None:
    assert far_down(condition, 250) is True


RESULTS = st.sampled_from([1.0, None, [1.0], {"a": [1, "x"]}])
WORDS = """
result 1 0.5 'a' # #acc . ?. [ ] ( ) { } , ; : ? ?? | + - * / % ** < == in not and || .. all filter map reduce len let
if else nil true $env ::
"""


@given(st.text(max_size=40), RESULTS)
def test_any_text_is_a_condition_or_is_refused(text: str, result: JsonValue) -> None:
    assert outcome(text, result) in (True, False, None)


@given(st.lists(st.sampled_from(WORDS.split()), max_size=12), RESULTS)
def test_any_row_of_words_is_a_condition_or_is_refused(words: list[str], result: JsonValue) -> None:
    assert outcome(" ".join(words), result) in (True, False, None)
