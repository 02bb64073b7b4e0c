"""An AnalysisRun spec, read: what is refused, what is dry, what is kept, when it may be forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.analysis.scripted import metric
from tidegate.analysis.arguments import SpecError
from tidegate.analysis.rules import RunRules
from tidegate.analysis.status import Phase
from tidegate.analysis.ttl import expired
from tidegate.manifests.findings import ManifestError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = {"name": "token", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}


def rules(*metrics: dict[str, Any], **spec: Any) -> RunRules:
    return RunRules.of({"metrics": list(metrics), **spec})


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"consecutiveSuccessLimit": -1}, "consecutiveSuccessLimit must be >= 0"),
        ({"failureLimit": -2}, "failureLimit must be >= 0, or -1 to be disabled"),
        ({"failureLimit": -1}, "failureLimit and consecutiveSuccessLimit cannot both be disabled"),
        ({"inconclusiveLimit": -1}, "inconclusiveLimit must be >= 0"),
        ({"consecutiveErrorLimit": "-1"}, "consecutiveErrorLimit must be >= 0"),
        (
            {"count": 1, "failureLimit": 2},
            "count (1) must be >= failureLimit + consecutiveSuccessLimit (2 + 0) if both >= 0",
        ),
        ({"count": 1, "failureLimit": -1, "consecutiveSuccessLimit": 2}, "count must be >= consecutiveSuccessLimit"),
        ({"count": 1, "inconclusiveLimit": 2}, "count must be >= inconclusiveLimit"),
        ({"count": 2, "interval": ""}, "interval must be specified when count > 1"),
        ({"interval": "5x"}, 'invalid interval string: time: unknown unit "x" in duration "5x"'),
        ({"initialDelay": "5"}, 'invalid startDelay string: time: missing unit in duration "5"'),
        ({"provider": {}}, "no provider specified"),
        ({"provider": {"web": {}, "job": {}}}, "multiple providers specified"),
        ({"provider": {"plugin": {"a/b": {}, "c/d": {}}}}, "multiple providers specified"),
    ],
)
def test_a_metric_that_cannot_be_judged_is_refused(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        rules(metric("good"), metric(**fields))
    assert str(caught.value) == f"Analysis spec invalid: metrics[1]: {problem}"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, "no metrics specified"),
        ({"metrics": [metric(), metric()]}, "metrics[1]: duplicate name 'm'"),
        ({"metrics": [metric()], "dryRun": [{"metricName": "z"}]}, "dryRun[0]: Rule didn't match any metric name(s)"),
        ({"metrics": [metric()], "dryRun": [{"metricName": "*"}]}, "dryRun[0]: Rule didn't match any metric name(s)"),
        (
            {"metrics": [metric()], "measurementRetention": [{"metricName": "(", "limit": 1}]},
            "measurementRetention[0]: Rule didn't match any metric name(s)",
        ),
    ],
)
def test_a_spec_that_no_run_can_follow_is_refused(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        RunRules.of(spec)
    assert str(caught.value) == f"Analysis spec invalid: {said}"


def test_a_malformed_spec_is_refused_with_field_and_remedy() -> None:
    with pytest.raises(ManifestError, match=r"metrics\[0\]\.successCondtion: unknown field .*successCondition"):
        rules(metric(successCondtion="true"))


def test_arguments_that_cannot_be_put_in_are_refused() -> None:
    with pytest.raises(SpecError, match=r"Unable to resolve metric arguments: failed to resolve {{args\.z}}"):
        rules(metric(successCondition="result < {{args.z}}"))


def test_arguments_are_in_place_and_secrets_are_not() -> None:
    read = rules(
        metric("{{args.n}}", count="{{args.c}}", provider={"datadog": {"query": "{{args.n}}:{{args.token}}"}}),
        args=[{"name": "n", "value": "hits"}, {"name": "c", "value": "4"}, SECRET],
    )
    assert (read.metrics[0].name, read.metrics[0].count) == ("hits", 4)
    assert read.metrics[0].document["provider"] == {"datadog": {"query": "hits:{{args.token}}"}}
    assert read.secrets == {"token": {"name": "s", "key": "k"}}


def test_a_value_that_looks_like_a_placeholder_stays_as_it_is() -> None:
    braces = {"name": "text", "value": "{{args.token}}"}
    assert rules(metric("{{args.text}}"), args=[braces]).metrics[0].name == "{{args.token}}"


def test_a_value_may_not_ask_for_a_secret() -> None:
    with pytest.raises(SpecError, match=r"args\.text: '\{\{args\.token\}\}'.*no value may hold"):
        rules(metric(), args=[{"name": "text", "value": "{{args.token}}"}, SECRET])


@pytest.mark.parametrize("field", ["name", "interval", "count", "failureLimit"])
def test_a_secret_may_not_stand_where_the_run_has_to_read_it(field: str) -> None:
    with pytest.raises(SpecError, match=rf"metrics\[0\]\.{field}: .* may only stand in failureCondition, provider"):
        rules(metric(**{field: "{{args.token}}"}), args=[SECRET])


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"count": 3}, 3),
        ({"count": "3"}, 3),
        ({"count": "three"}, None),
        ({}, None),
        ({"count": 0}, None),
        ({"interval": ""}, 1),
        ({"interval": "", "count": 0}, 1),
    ],
)
def test_how_often_a_metric_is_measured(fields: dict[str, Any], count: int | None) -> None:
    assert rules(metric(**fields)).metrics[0].count == count


def test_rules_by_name_are_found_anywhere_and_the_first_one_counts() -> None:
    read = rules(
        metric("error-rate"),
        metric("latency"),
        dryRun=[{"metricName": "rate$"}],
        measurementRetention=[{"metricName": "lat", "limit": 3}, {"metricName": ".*", "limit": 7}],
    )
    assert read.dry_run == {"error-rate"}
    assert read.retention == {"latency": 3, "error-rate": 7}


@pytest.mark.parametrize(
    ("strategy", "phase", "seconds", "gone"),
    [
        ({"secondsAfterCompletion": 10}, Phase.SUCCESSFUL, 10.9, False),
        ({"secondsAfterCompletion": 10}, Phase.SUCCESSFUL, 11, True),
        ({"secondsAfterCompletion": 10, "secondsAfterSuccess": 99}, Phase.SUCCESSFUL, 50, False),
        ({"secondsAfterCompletion": 99, "secondsAfterFailure": 0}, Phase.FAILED, 1, True),
        ({"secondsAfterFailure": 1}, Phase.ERROR, 50, False),
        ({"secondsAfterCompletion": 1}, Phase.RUNNING, 50, False),
        ({}, Phase.FAILED, 10**9, False),
    ],
)
def test_when_a_run_may_be_forgotten(strategy: dict[str, int], phase: Phase, seconds: float, gone: bool) -> None:
    assert expired(strategy, phase, NOW - timedelta(seconds=seconds), NOW) == gone


def test_a_run_without_completion_time_is_never_forgotten() -> None:
    assert not expired({"secondsAfterCompletion": 1}, Phase.ERROR, None, NOW)
