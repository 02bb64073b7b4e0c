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
            "spec.metrics[0].provider.web.url",
            "failed to resolve {{args.app}}: no template here declares the argument",
        ),
        (
            lambda spec: spec["metrics"][0].update(successCondition="result < 1 // {{inputs.limit}}"),
            Severity.ERROR,
            "spec.metrics[0].successCondition",
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
            lambda spec: spec.update(measurementRetention=[{"metricName": "m", "limit": 101}]),
            Severity.WARNING,
            "spec.measurementRetention[0].limit",
            "no more than 100 measurements of a metric are kept",
        ),
        (
            lambda spec: spec["metrics"][0].update(provider={}),
            Severity.ERROR,
            "spec.metrics[0].provider",
            "no provider specified",
        ),
        (
            lambda spec: spec["metrics"][0]["provider"].update(prometheus={"query": 'up{version="canary"}'}),
            Severity.ERROR,
            "spec.metrics[0].provider",
            "multiple providers specified: prometheus, web",
        ),
        (
            lambda spec: spec["metrics"][0].update(provider={"wavefront": {"query": "{{args.app}}"}}),
            Severity.ERROR,
            "spec.metrics[0].provider.wavefront",
            "not supported by Tidegate: provider wavefront",
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


DATADOG = "avg:errors{service:{{args.app}},version:canary}"
PROMETHEUS = 'rate(errors{service="{{args.app}}",version="canary"}[1m])'


@pytest.mark.parametrize(
    ("provider", "condition", "what"),
    [
        ({"datadog": {"query": DATADOG}}, "result[0] < 1", "type float64[int] is undefined"),
        ({"datadog": {"query": DATADOG}}, "result == 'ok'", "mismatched types float64 and string"),
        (
            {"datadog": {"apiVersion": "v2", "query": f"{DATADOG} by {{pod}}"}},
            "result < 1",
            "mismatched types []float64",
        ),
        ({"prometheus": {"query": PROMETHEUS}}, "result < 1", "types []float64 and int"),
        ({"web": {"url": "https://a/{{args.app}}"}}, "len(result) < 1 && result < 1", "invalid argument for len"),
    ],
)
def test_a_condition_that_no_answer_of_its_provider_fits_is_an_error(
    provider: dict[str, Any], condition: str, what: str
) -> None:
    change = {"provider": provider, "successCondition": condition}
    [finding] = found(template(lambda spec: spec["metrics"][0].update(change)))
    assert (finding.severity, finding.path) == (Severity.ERROR, "spec.metrics[0].successCondition")
    assert what in finding.message
    assert ("the result of this metric is" in finding.remedy) == ("web" not in provider)


@pytest.mark.parametrize(
    ("provider", "condition"),
    [
        ({"datadog": {"query": DATADOG}}, "default(result, 0) < 1"),
        ({"datadog": {"query": f"{DATADOG} by {{pod}}"}}, "result < 1"),
        ({"datadog": {"apiVersion": "v2", "query": f"{DATADOG} by {{pod}}"}}, "all(result, # < 1)"),
        ({"prometheus": {"query": PROMETHEUS}}, "len(result) == 0 || result[0] < 1"),
        ({"prometheus": {"query": f"scalar({PROMETHEUS})"}}, "result < 1"),
        ({"prometheus": {"query": "{{args.app}}-canary"}}, "result < {{args.app}}"),
        ({"web": {"url": "https://a/{{args.app}}"}}, "result.ok && result.restarts < 1"),
    ],
)
def test_a_condition_that_some_answer_fits_is_none(provider: dict[str, Any], condition: str) -> None:
    change = {"provider": provider, "successCondition": condition}
    assert [
        each for each in found(template(lambda spec: spec["metrics"][0].update(change))) if each.code == "condition"
    ] == []


@pytest.mark.parametrize(
    "provider",
    [
        {"datadog": {"query": "avg:errors{service:{{args.app}}}"}},
        {"prometheus": {"query": 'errors{service="{{args.app}}"} < bool 1'}},
    ],
)
def test_a_query_whose_scope_its_arguments_decide_is_noted(provider: dict[str, Any]) -> None:
    change = {"provider": provider, "successCondition": "default(result, [])[0] < 1"}
    findings = found(template(lambda spec: spec["metrics"][0].update(change)))
    [finding] = [each for each in findings if each.code == "open-scope"]
    assert finding.severity is Severity.NOTE
    assert finding.message == "whether the query looks at the canary alone is decided by what is given for args.app"


def rollout(**analysis: Any) -> dict[str, Any]:
    named = [{"templateName": "t"}, {"templateName": "other"}]
    arguments = [{"name": "app", "value": "checkout"}]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "checkout"},
        "spec": {"strategy": {"canary": {"analysis": {"templates": named, "args": arguments, **analysis}}}},
    }


def unmatched(*objects: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each.object, each.path) for each in found(*objects) if each.code == "no-such-metric"]


def test_rules_find_metrics_of_all_templates_of_an_analysis() -> None:
    ruled = template(lambda spec: spec.update(dryRun=[{"metricName": "^theirs$"}]))
    other = template(lambda spec: spec.update(metrics=[metric("theirs")]), "other")
    assert unmatched(ruled, other) == [("AnalysisTemplate/t", "spec.dryRun[0].metricName")]
    assert unmatched(ruled, other, rollout()) == []


def test_a_rule_has_to_find_a_metric_in_each_analysis() -> None:
    ruled = template(lambda spec: spec.update(dryRun=[{"metricName": "^theirs$"}]))
    other = template(lambda spec: spec.update(metrics=[metric("theirs")]), "other")
    alone = rollout(templates=[{"templateName": "t"}])
    alone["metadata"]["name"] = "payments"
    assert unmatched(ruled, other, rollout(), alone) == [("AnalysisTemplate/t", "spec.dryRun[0].metricName")]


def test_rules_of_a_rollout_have_to_find_a_metric() -> None:
    templates = template(lambda spec: None), template(lambda spec: spec.update(metrics=[metric("theirs")]), "other")
    rules = {"dryRun": [{"metricName": "m"}, {"metricName": "x"}], "measurementRetention": [{"metricName": "*"}]}
    at = "spec.strategy.canary.analysis"
    assert unmatched(*templates, rollout(**rules)) == [
        ("Rollout/checkout", f"{at}.dryRun[1].metricName"),
        ("Rollout/checkout", f"{at}.measurementRetention[0].metricName"),
    ]
    # Of a template that is not among the files nobody knows the metrics.
    assert unmatched(templates[0], rollout(**rules)) == []
