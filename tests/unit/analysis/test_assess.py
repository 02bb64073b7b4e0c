"""What a reading means: verdict, Argo's message, and the sentence for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tidegate.analysis.assess import NO_DATA, assess, judged_with_secrets, measured
from tidegate.analysis.metric import MetricRules
from tidegate.analysis.reading import Reading, Verdict
from tidegate.analysis.status import Phase
from tidegate.manifests.analysis_template import Metric

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOW, HIGH = "result < 0.01", "result >= 0.05"


def rules(success: str = "", failure: str = "", **fields: Any) -> MetricRules:
    document = {"name": "m", "successCondition": success, "failureCondition": failure, **fields}
    return MetricRules.of(Metric.model_validate(document))


def reading(result: Any = None, **fields: Any) -> Reading:
    value = "" if result is None else str(result)
    given = {"metric": "m", "result": result, "value": value, "started_at": NOW, "finished_at": NOW, **fields}
    return Reading.model_validate(given)


@pytest.mark.parametrize(
    ("success", "failure", "result", "phase", "reason"),
    [
        (LOW, HIGH, 0.001, Phase.SUCCESSFUL, "0.001 meets success `result < 0.01`"),
        (LOW, HIGH, 0.07, Phase.FAILED, "0.07 meets failure `result >= 0.05`"),
        (LOW, HIGH, 0.034, Phase.INCONCLUSIVE, "0.034 is between success `result < 0.01` and failure `result >= 0.05`"),
        (LOW, "", 0.034, Phase.FAILED, "0.034 does not meet success `result < 0.01`"),
        ("", HIGH, 0.034, Phase.SUCCESSFUL, "0.034 does not meet failure `result >= 0.05`"),
        ("", "", 0.034, Phase.SUCCESSFUL, "there is no condition, so whatever was read is a success"),
        ("true", "true", 0.034, Phase.FAILED, "0.034 meets failure `true`"),
    ],
)
def test_all_combinations_of_conditions(success: str, failure: str, result: float, phase: Phase, reason: str) -> None:
    assert assess(rules(success, failure), reading(result)) == Verdict(phase=phase, reason=reason)


@pytest.mark.parametrize(
    ("success", "failure", "phase"),
    [
        (LOW, HIGH, Phase.INCONCLUSIVE),
        (LOW, "", Phase.INCONCLUSIVE),
        ("", "", Phase.INCONCLUSIVE),
        ("default(result, 0) < 0.01", HIGH, Phase.INCONCLUSIVE),
        ("default(result, 0) < 0.01", "", Phase.SUCCESSFUL),
        ("(result ?? 1) < 0.01", "default(result, 1) > 0.05", Phase.FAILED),
        ("result <", "", Phase.ERROR),
    ],
)
def test_no_data_under_the_patient_rule(success: str, failure: str, phase: Phase) -> None:
    verdict = assess(rules(success, failure), reading(no_data=True))
    assert verdict.phase is phase
    assert "no data" in verdict.reason or phase is Phase.ERROR


def test_no_data_under_argos_rule() -> None:
    verdict = assess(rules(LOW, HIGH, inconclusiveLimit=0), reading(no_data=True))
    assert verdict.phase is Phase.ERROR
    assert verdict.message == f'could not evaluate successCondition "{LOW}": {NO_DATA}'


@pytest.mark.parametrize(("limit", "phase"), [({}, Phase.INCONCLUSIVE), ({"inconclusiveLimit": 0}, Phase.ERROR)])
def test_a_list_without_elements_is_no_data_where_the_condition_needs_one(limit: dict[str, int], phase: Phase) -> None:
    assert assess(rules("result[0] < 1", **limit), reading([])).phase is phase
    assert assess(rules("len(result) == 0", **limit), reading([])).phase is Phase.SUCCESSFUL


@pytest.mark.parametrize(
    ("success", "failure", "patient", "argo"),
    [
        ("all(result, # < 1)", "", Phase.INCONCLUSIVE, Phase.SUCCESSFUL),
        ("", "any(result, # > 1)", Phase.INCONCLUSIVE, Phase.SUCCESSFUL),
        ("", "", Phase.INCONCLUSIVE, Phase.SUCCESSFUL),
        ("result[0] < 1", "", Phase.INCONCLUSIVE, Phase.ERROR),
        ("len(result) == 0 || result[0] < 1", "", Phase.SUCCESSFUL, Phase.SUCCESSFUL),
        ("len(result) == 0 || result[0] < 1", "result[0] > 5", Phase.INCONCLUSIVE, Phase.ERROR),
        ("len(result) > 0 && result[0] < 1", "", Phase.FAILED, Phase.FAILED),
    ],
)
def test_no_series_is_a_success_only_where_the_conditions_say_so(
    success: str, failure: str, patient: Phase, argo: Phase
) -> None:
    none = reading([], no_data=True)
    assert assess(rules(success, failure), none).phase is patient
    assert assess(rules(success, failure, inconclusiveLimit=0), none).phase is argo


def test_an_error_in_one_condition_beats_the_other() -> None:
    verdict = assess(rules("true", "missing == 1"), reading(0.5))
    assert verdict.phase is Phase.ERROR
    assert verdict.message == 'could not evaluate failureCondition "missing == 1": unknown name missing'


def test_a_provider_that_could_not_answer_is_an_error() -> None:
    verdict = assess(rules(), reading(error="401 who are you"))
    assert (verdict.phase, verdict.message) == (Phase.ERROR, "401 who are you")


def test_a_measurement_says_what_was_assumed() -> None:
    told = reading(0.0, query="q", notes=("errors has no series while hits has data: taken as 0",), metadata={"a": "b"})
    measurement = measured(rules(LOW), told)
    assert measurement.reason.endswith("; errors has no series while hits has data: taken as 0")
    assert (measurement.query, measurement.metadata, measurement.value) == ("q", {"a": "b"}, "0.0")


def test_a_condition_with_a_secret_is_judged_beside_the_provider() -> None:
    metric = {"name": "m", "successCondition": "result < {{args.max}}"}
    judged = judged_with_secrets(metric, {**metric, "successCondition": "result < 1234"}, reading(5.0))
    assert judged.verdict == Verdict(phase=Phase.SUCCESSFUL, reason="5.0 meets success `result < {{args.max}}`")
    # The run knows the placeholder only, and takes the verdict as it is.
    assert assess(rules(metric["successCondition"]), judged) == judged.verdict


@pytest.mark.parametrize("condition", ["result < 'hunter2'", "result < hun%ter2", "result == p@ss-hunter2"])
def test_what_fails_in_a_condition_with_a_secret_does_not_show_any_of_it(condition: str) -> None:
    metric = {"name": "m", "successCondition": "result < {{args.max}}"}
    judged = judged_with_secrets(metric, {**metric, "successCondition": condition}, reading(5.0))
    assert judged.verdict is not None
    assert judged.verdict.phase is Phase.ERROR
    assert judged.verdict.message.startswith('could not evaluate successCondition "result < {{args.max}}": the cause')
    shown = judged.verdict.model_dump_json()
    assert not any(part in shown for part in ("hun", "ter2", "p@ss", "hunter2"))


@pytest.mark.parametrize("told", [reading(5.0), reading(error="boom")])
def test_other_readings_are_left_to_the_run(told: Reading) -> None:
    plain = {"name": "m", "successCondition": "result < 1"}
    assert judged_with_secrets(plain, plain, told) is told
