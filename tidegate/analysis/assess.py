"""What the conditions say of one reading, and why, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.analysis.conditions import ConditionError, compile_condition
from tidegate.analysis.metric import MetricRules
from tidegate.analysis.reading import Reading
from tidegate.analysis.status import Measurement, Phase

NO_DATA = "metric result is nil or empty: no data returned from the metric provider"


@dataclass(frozen=True)
class Verdict:
    """Phase of a measurement, Argo's message where there is one, and a sentence for people."""

    phase: Phase
    message: str
    reason: str


def assess(rules: MetricRules, reading: Reading) -> Verdict:
    """Judge a reading: success first, then failure, failure winning; what cannot be evaluated is an Error.

    A reading without data that the conditions do not provide for is Inconclusive under the patient rule and an Error
    under Argo's; it is never a success.
    """
    if reading.error:
        return Verdict(Phase.ERROR, reading.error, f"no reading: {reading.error}")
    if reading.no_data and rules.patient and (rules.success or rules.failure) and not _provides_for_no_data(rules):
        return Verdict(Phase.INCONCLUSIVE, "", "no data, and the conditions do not say what that means")
    try:
        success = _holds("successCondition", rules.success, reading)
        failure = _holds("failureCondition", rules.failure, reading)
    except ConditionError as error:
        return Verdict(Phase.ERROR, error.message, error.message)
    return _verdict(rules, reading.value, success, failure)


def measured(rules: MetricRules, reading: Reading) -> Measurement:
    """The measurement that a reading makes."""
    verdict = assess(rules, reading)
    notes = [note for note in reading.notes if note]
    return Measurement(
        phase=verdict.phase,
        value=reading.value,
        message=verdict.message,
        reason="; ".join([verdict.reason, *notes]),
        query=reading.query,
        started_at=reading.started_at,
        finished_at=reading.finished_at,
        metadata=reading.metadata,
    )


def _provides_for_no_data(rules: MetricRules) -> bool:
    try:
        return all(compile_condition(text).handles_no_data for text in (rules.success, rules.failure) if text)
    except ConditionError:
        return True  # the evaluation says what is wrong with it


def _holds(field: str, condition: str, reading: Reading) -> bool | None:
    if not condition:
        return None
    try:
        return compile_condition(condition).evaluate(reading.result)
    except ConditionError as error:
        cause = NO_DATA if reading.result is None or reading.result == [] else error.message
        raise ConditionError(f'could not evaluate {field} "{condition}": {cause}') from error


def _verdict(rules: MetricRules, value: str, success: bool | None, failure: bool | None) -> Verdict:
    if success is None and failure is None:
        return Verdict(Phase.SUCCESSFUL, "", "there is no condition, so whatever was read is a success")
    if failure:
        return Verdict(Phase.FAILED, "", f"{value} meets failure `{rules.failure}`")
    if success:
        return Verdict(Phase.SUCCESSFUL, "", f"{value} meets success `{rules.success}`")
    if success is None:
        return Verdict(Phase.SUCCESSFUL, "", f"{value} does not meet failure `{rules.failure}`")
    if failure is None:
        return Verdict(Phase.FAILED, "", f"{value} does not meet success `{rules.success}`")
    between = f"{value} is between success `{rules.success}` and failure `{rules.failure}`"
    return Verdict(Phase.INCONCLUSIVE, "", between)
