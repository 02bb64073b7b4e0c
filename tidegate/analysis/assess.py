"""Judgement of one reading by the conditions, and its reason in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tidegate.analysis.arguments import has_placeholder
from tidegate.analysis.conditions import ConditionError, compile_condition
from tidegate.analysis.figures import shortened
from tidegate.analysis.metric import MetricRules
from tidegate.analysis.reading import Reading, Verdict
from tidegate.analysis.status import Measurement, Phase
from tidegate.manifests.analysis_template import Metric
from tidegate.manifests.decode import decode_object

NO_DATA: Final = "metric result is nil or empty: no data returned from the metric provider"
_NOT_SHOWN: Final = "the cause would show a part of the secret that the condition holds"
_CONDITIONS: Final = ("successCondition", "failureCondition")
# A status travels in signals and stays in histories: what a provider or a manifest made too long is cut.
_LONGEST_VALUE: Final = 1_000
_LONGEST_TEXT: Final = 4_000
_LONGEST_METADATA: Final = 16_000


def assess(rules: MetricRules, reading: Reading) -> Verdict:
    """Judge a reading: success first, then failure, failure winning; what cannot be evaluated is an Error.

    A reading without data that the conditions do not provide for is Inconclusive under the patient rule and an Error
    under Argo's; under the patient rule no data without any condition is no success either.
    """
    return _assess(rules, rules, reading)


def _assess(rules: MetricRules, shown: MetricRules, reading: Reading) -> Verdict:
    """Judge by `rules`, and cite the conditions of `shown`."""
    if reading.error:
        return Verdict(phase=Phase.ERROR, message=reading.error, reason=f"no reading: {reading.error}")
    if reading.verdict is not None:
        return reading.verdict
    empty = reading.no_data or reading.result is None
    if empty and rules.patient and not _provides_for_no_data(rules, reading):
        return Verdict(phase=Phase.INCONCLUSIVE, reason="no data, and the conditions do not say what that means")
    try:
        success = _holds("successCondition", rules.success, shown.success, reading)
        failure = _holds("failureCondition", rules.failure, shown.failure, reading)
    except ConditionError as error:
        if rules.patient and reading.result == []:
            return Verdict(phase=Phase.INCONCLUSIVE, reason=f"no data: {error.message}")
        return Verdict(phase=Phase.ERROR, message=error.message, reason=error.message)
    return _verdict(shown, "no data" if empty else reading.value, success, failure)


def measured(rules: MetricRules, reading: Reading) -> Measurement:
    """The measurement that a reading makes; it is Running while the provider is still at work."""
    running = reading.resume_at is not None
    verdict = Verdict(phase=Phase.RUNNING) if running else assess(rules, reading)
    return Measurement(
        phase=verdict.phase,
        value=_cut(reading.value, _LONGEST_VALUE),
        message=_cut(verdict.message, _LONGEST_TEXT),
        reason=_cut("; ".join(filter(None, (verdict.reason, *reading.notes))), _LONGEST_TEXT),
        query=_cut(reading.query, _LONGEST_TEXT),
        started_at=reading.started_at,
        finished_at=None if running else reading.finished_at,
        resume_at=reading.resume_at,
        metadata={key: _cut(value, _LONGEST_METADATA) for key, value in reading.metadata.items()},
    )


def judged_with_secrets(metric: Mapping[str, Any], resolved: Mapping[str, Any], reading: Reading) -> Reading:
    """The reading with its verdict, when a condition of `metric` holds an argument from a Secret.

    For the provider's side, where `resolved` is the metric with the secret in place: not even a part of the secret
    reaches the run. The reading of a metric without such a condition stays as it is.
    """
    if reading.error or not any(has_placeholder(metric.get(field) or "") for field in _CONDITIONS):
        return reading
    rules, shown = (MetricRules.of(decode_object(Metric, each, reading.metric)) for each in (resolved, metric))
    return reading.model_copy(update={"verdict": _assess(rules, shown, reading)})


def _provides_for_no_data(rules: MetricRules, reading: Reading) -> bool:
    try:
        conditions = [compile_condition(text) for text in (rules.success, rules.failure) if text]
        provided = (each.handles_no_elements if reading.result == [] else each.handles_no_data for each in conditions)
        return bool(conditions) and all(provided)
    except ConditionError:
        return True  # the evaluation says what is wrong with it


def _holds(field: str, condition: str, shown: str, reading: Reading) -> bool | None:
    if not condition:
        return None
    try:
        return compile_condition(condition).evaluate(reading.result, now=reading.finished_at)
    except ConditionError as error:
        cause = error.message if shown == condition else _NOT_SHOWN
        if reading.result is None or reading.result == []:
            cause = NO_DATA
        raise ConditionError(f'could not evaluate {field} "{shown}": {cause}') from None


def _verdict(rules: MetricRules, value: str, success: bool | None, failure: bool | None) -> Verdict:
    value = shortened(_cut(value, _LONGEST_VALUE), rules.success, rules.failure)
    good, bad = f"success `{rules.success}`", f"failure `{rules.failure}`"
    if failure:
        return Verdict(phase=Phase.FAILED, reason=f"{value} meets {bad}")
    if success:
        return Verdict(phase=Phase.SUCCESSFUL, reason=f"{value} meets {good}")
    if success is None and failure is None:
        reason = "there is no condition, so whatever was read is a success"
        return Verdict(phase=Phase.SUCCESSFUL, reason=reason)
    if success is None:
        return Verdict(phase=Phase.SUCCESSFUL, reason=f"{value} does not meet {bad}")
    if failure is None:
        return Verdict(phase=Phase.FAILED, reason=f"{value} does not meet {good}")
    return Verdict(phase=Phase.INCONCLUSIVE, reason=f"{value} is between {good} and {bad}")


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
