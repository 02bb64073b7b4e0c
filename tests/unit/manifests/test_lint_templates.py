"""Lint of a template by itself: whatever would end a run before it began is found at its field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tidegate.analysis.conditions import compile_condition
from tidegate.analysis.rules import is_meant
from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import Finding, Severity
from tidegate.manifests.lint import lint

Change = Callable[[dict[str, Any]], object]


def metric(name: str = "m", **fields: Any) -> dict[str, Any]:
    web = {"url": "https://checks.internal/{{args.app}}"}
    return {
        "name": name,
        "interval": "10s",
        "count": 3,
        "successCondition": "result < 1",
        "provider": {"web": web},
        **fields,
    }


def template(change: Change, name: str = "t") -> dict[str, Any]:
    spec: dict[str, Any] = {"args": [{"name": "app"}], "metrics": [metric()]}
    change(spec)
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name},
        "spec": spec,
    }


def found(*templates: dict[str, Any]) -> list[Finding]:
    return lint(from_objects(templates), compile_condition=compile_condition, matches=is_meant)


def test_a_sound_template_needs_no_comment() -> None:
    assert found(template(lambda spec: None)) == []


@pytest.mark.parametrize(
    ("change", "severity", "path", "message"),
    [
        (
            lambda spec: spec["metrics"][0].update(successCondition="result + 1"),
            Severity.ERROR,
            "spec.metrics[0].successCondition",
            "expected bool, but got float64",
        ),
        (
            lambda spec: spec["metrics"][0].update(successCondition="", failureCondition="reslt < 1"),
            Severity.ERROR,
            "spec.metrics[0].failureCondition",
            "unknown name reslt (column 1); did you mean result?",
        ),
        (
            lambda spec: spec["args"].clear(),
            Severity.ERROR,
            "spec.metrics[0]",
            "failed to resolve {{args.app}}: no template here declares the argument",
        ),
        (
            lambda spec: spec["metrics"][0].update(successCondition="result < 1 // {{inputs.limit}}"),
            Severity.ERROR,
            "spec.metrics[0]",
            "failed to resolve {{inputs.limit}}",
        ),
        (
            lambda spec: spec["args"].append({"name": "app", "value": "x"}),
            Severity.ERROR,
            "spec.args[1]",
            "args.app is declared twice",
        ),
        (lambda spec: spec["args"].append({"value": "x"}), Severity.ERROR, "spec.args[1]", "an argument needs a name"),
        (
            lambda spec: spec["args"].append(
                {"name": "x", "value": "1", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}
            ),
            Severity.WARNING,
            "spec.args[1]",
            "args.x has a value and a valueFrom",
        ),
        (
            lambda spec: spec["metrics"][0].pop("interval"),
            Severity.ERROR,
            "spec.metrics[0].count",
            "interval must be specified when count > 1",
        ),
        (
            lambda spec: spec["metrics"][0].update(failureLimit=4),
            Severity.ERROR,
            "spec.metrics[0].count",
            "count (3) must be >= failureLimit + consecutiveSuccessLimit (4 + 0) if both >= 0",
        ),
        (
            lambda spec: spec["metrics"][0].update(consecutiveErrorLimit=-1),
            Severity.ERROR,
            "spec.metrics[0].consecutiveErrorLimit",
            "consecutiveErrorLimit must be >= 0",
        ),
        (
            lambda spec: spec["metrics"][0].update(failureLimit="two"),
            Severity.WARNING,
            "spec.metrics[0].failureLimit",
            "no whole number: it is read as 0, as Argo does",
        ),
        (
            lambda spec: spec["metrics"].append(metric("")),
            Severity.ERROR,
            "spec.metrics[1]",
            "a metric needs a name",
        ),
        (
            lambda spec: spec.update(dryRun=[{"metricName": "^x"}]),
            Severity.ERROR,
            "spec.dryRun[0].metricName",
            "the regular expression is found in no metric's name: a run would be an Error",
        ),
        (
            lambda spec: spec.update(measurementRetention=[{"metricName": "*", "limit": 1}]),
            Severity.ERROR,
            "spec.measurementRetention[0].metricName",
            "the regular expression is found in no metric's name: a run would be an Error",
        ),
        (
            lambda spec: spec.update(templates=[{"templateName": "t"}]),
            Severity.WARNING,
            "spec.templates",
            "the template refers to itself",
        ),
        (
            lambda spec: spec.update(templates=[{"templateName": "gone"}]),
            Severity.NOTE,
            "spec.templates",
            "AnalysisTemplate gone is not among the manifests",
        ),
    ],
)
def test_what_would_go_wrong_is_found_at_its_field(change: Change, severity: Severity, path: str, message: str) -> None:
    [finding] = found(template(change))
    assert (finding.severity, finding.path) == (severity, path)
    assert finding.message.startswith(message)


def test_metrics_of_one_name_are_found_in_templates_that_refer_to_each_other() -> None:
    outer = template(lambda spec: spec.update(templates=[{"templateName": "inner"}]))
    findings = found(outer, template(lambda spec: None, "inner"))
    assert [each.message for each in findings] == ["two metrics have the same name 'm'"]


def test_an_argument_may_be_declared_by_a_template_within() -> None:
    outer = template(lambda spec: spec.update(args=[], templates=[{"templateName": "inner"}], metrics=[metric("n")]))
    assert found(outer, template(lambda spec: None, "inner")) == []


def test_numbers_that_an_argument_gives_are_judged_when_a_run_starts() -> None:
    change = {"count": "{{args.app}}", "failureLimit": "{{ args.app }}", "interval": "{{args.app}}s"}
    assert found(template(lambda spec: spec["metrics"][0].update(change))) == []
