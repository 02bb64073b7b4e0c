"""expression and measurement: what conditions say of one result."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.cases.family import Answer, Family, Input
from tests.cases.results import result_of, rules_of
from tidegate.analysis.assess import assess
from tidegate.analysis.conditions import ConditionError, compile_condition
from tidegate.analysis.reading import Reading

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def expression(given: Input) -> Answer:
    try:
        return {
            "value": compile_condition(given["condition"]).evaluate(result_of(given["result"], given["result_type"]))
        }
    except ConditionError as error:
        return {"error": str(error)}


def same_value_or_both_errors(expected: Answer, actual: Answer) -> bool:
    return expected.get("value") == actual.get("value") and ("error" in expected) == ("error" in actual)


def measurement(given: Input) -> Answer:
    metric = {"name": "m", "successCondition": given["success"], "failureCondition": given["failure"]}
    result = result_of(given["result"], given["result_type"])
    verdict = assess(rules_of(metric), Reading(metric="m", result=result, started_at=NOW, finished_at=NOW))
    return {"phase": str(verdict.phase), "message": verdict.message}


def same_phase_and_message(expected: Answer, actual: Answer) -> bool:
    return bool(actual == {"message": ""} | expected)


FAMILIES = (
    Family("expression", expression, same_value_or_both_errors),
    Family("measurement", measurement, same_phase_and_message),
)
