"""Whether a condition answers, without caring why it does not."""

from __future__ import annotations

from pydantic import JsonValue

from tidegate.analysis.conditions import ConditionError, compile_condition


def outcome(condition: str, result: JsonValue) -> bool | None:
    """Return the answer of a condition, None for an error; everything else that it could do fails the test."""
    try:
        answer = compile_condition(condition).evaluate(result)
    except ConditionError:
        return None
    assert isinstance(answer, bool)
    return answer
