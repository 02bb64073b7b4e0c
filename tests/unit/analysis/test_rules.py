"""What an AnalysisRun's spec may say beside arguments from Secrets, and which of its rules names a metric."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.analysis.scripted import metric
from tidegate.analysis.arguments import SpecError
from tidegate.analysis.metric import MetricRules
from tidegate.analysis.rules import RunRules

SECRET = {"name": "token", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}}


def read(*arguments: dict[str, Any], **fields: Any) -> MetricRules:
    (found,) = RunRules.of({"metrics": [metric(**fields)], "args": list(arguments)}).metrics
    return found


def test_a_value_that_looks_like_a_placeholder_stays_as_it_is() -> None:
    braces = {"name": "text", "value": "{{args.token}}"}
    assert read(braces, name="{{args.text}}").name == "{{args.token}}"


def test_a_value_may_not_ask_for_a_secret() -> None:
    with pytest.raises(SpecError, match=r"args\.text: '\{\{args\.token\}\}'.*no value may hold"):
        read({"name": "text", "value": "{{args.token}}"}, SECRET)


@pytest.mark.parametrize("field", ["name", "interval", "count", "failureLimit"])
def test_a_secret_may_not_stand_where_the_run_has_to_read_it(field: str) -> None:
    with pytest.raises(SpecError, match=rf"metrics\[0\]\.{field}: .* may only stand in failureCondition, provider"):
        read(SECRET, **{field: "{{args.token}}"})


@pytest.mark.parametrize("field", ["successCondition", "failureCondition"])
def test_a_secret_may_stand_in_a_condition(field: str) -> None:
    rules = read(SECRET, **{field: "result < {{args.token}}"})
    assert "{{args.token}}" in rules.success + rules.failure


def test_the_first_rule_that_names_a_metric_counts() -> None:
    kept = [{"metricName": "^m$", "limit": 2}, {"metricName": ".*", "limit": 7}]
    rules = RunRules.of({"metrics": [metric(), metric("n")], "measurementRetention": kept})
    assert rules.retention == {"m": 2, "n": 7}
