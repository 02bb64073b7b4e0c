"""Templates that cannot say what they seem to: each with field, value and what to write instead."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tidegate.analysis.conditions import compile_condition
from tidegate.analysis.rules import is_meant
from tidegate.canary.limits import rolling_limits
from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import Finding, Severity
from tidegate.manifests.lint import check_release, lint
from tidegate.manifests.rollout import Rollout

ERROR, WARNING = Severity.ERROR, Severity.WARNING
WEB = {"web": {"url": "http://127.0.0.1/ok"}}


def template(metric: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    given = {"name": "m", "successCondition": "true", "provider": WEB, **(metric or {})}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "t"},
        "spec": {"metrics": [given], **spec},
    }


def rollout(step: bool = False, **analysis: Any) -> dict[str, Any]:
    block = {"templates": [{"templateName": "t"}], **analysis}
    canary = {"steps": [{"analysis": block}]} if step else {"analysis": block}
    pods = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"app": "x"}}, "template": pods, "strategy": {"canary": canary}}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "r"}, "spec": spec}


def found(code: str, *objects: dict[str, Any]) -> list[Finding]:
    every = lint(from_objects(objects), compile_condition=compile_condition, matches=is_meant)
    return [each for each in every if each.code == code]


def datadog(**asked: Any) -> dict[str, Any]:
    return template({"successCondition": "default(result, 0) < 10", "provider": {"datadog": asked}})


@pytest.mark.parametrize(
    "query",
    [
        "sum:hits{version:{{args.h}},status:5*}.as_count() / sum:hits{version:{{args.h}}}.as_count() * 100",
        "sum:a{x:y} - sum:b{*}",
        "100*sum:a{x}",
        "abs(sum:a{x} - sum:b{x})",
        "(sum:a{x}+sum:b{x})",
    ],
)
def test_arithmetic_belongs_into_a_formula(query: str) -> None:
    for asked, path in (({"query": query}, "query"), ({"queries": {"a": query}}, "queries.a")):
        [finding] = found("datadog", datadog(apiVersion="v2", interval="1m", **asked))
        assert (finding.severity, finding.path) == (ERROR, f"spec.metrics[0].provider.datadog.{path}")
        assert "formula" in finding.remedy
    assert found("datadog", datadog(apiVersion="v1", interval="1m", query=query)) == []


@pytest.mark.parametrize(
    "query",
    [
        "sum:trace.http.request.hits{service:a-b,version:x/y,status:5*} by {host}.as_count()",
        "avg:system.cpu.user{env:prod AND (host:a-* OR host:b/*)}.rollup(avg, 60)",
        "timeshift(avg:a.b{*}, -3600)",
        "top(avg:a.b{*} by {host}, 10, 'mean', 'desc')",
        "{{args.query-of-today}}",
        "p95:trace.{{args.op-name}}{version:{{args.h}}}",
    ],
)
def test_a_query_without_arithmetic_is_one(query: str) -> None:
    given = datadog(apiVersion="v2", interval="1m", query=query)
    given["spec"]["args"] = [{"name": name} for name in ("h", "op-name", "query-of-today")]
    assert found("datadog", given) == []


@pytest.mark.parametrize(
    "query", ['logs("service:shop status:error").index("*").rollup("count")', 'rum("x").rollup("count")']
)
def test_a_query_of_other_data_is_none_of_metrics(query: str) -> None:
    [finding] = found("not-metrics", datadog(interval="5m", query=query))
    assert (finding.severity, finding.path) == (WARNING, "spec.metrics[0].provider.datadog.query")
    assert "default(result, ...) judges no data" in finding.message
    assert found("not-metrics", datadog(interval="5m", query='sum:logs.count{source:"logs(x)"}')) == []


def test_a_placeholder_in_the_value_of_an_argument_is_not_filled_in() -> None:
    value = 'up{env="{{ args.env }}"}'
    [finding] = found("argument", template(args=[{"name": "q", "value": value}]))
    assert (finding.severity, finding.path) == (ERROR, "spec.args[0].value")
    [finding] = found("argument", template(args=[{"name": "q"}]), rollout(args=[{"name": "q", "value": value}]))
    assert (finding.severity, finding.path) == (ERROR, "spec.strategy.canary.analysis.args[0].value")
    [finding] = found("argument", template(args=[{"name": "q", "value": "{{ user }}"}]))
    assert finding.severity is WARNING


def test_an_argument_with_value_and_source_says_which_counts() -> None:
    both = {"name": "x", "value": "1", "valueFrom": {"podTemplateHashValue": "Latest"}}
    [finding] = found("argument", template(args=[{"name": "x"}]), rollout(args=[both]))
    assert (finding.severity, finding.path) == (WARNING, "spec.strategy.canary.analysis.args[0]")
    secret = {"name": "x", "value": "1", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    [finding] = found("argument", template(args=[secret]), rollout())
    assert finding.severity is WARNING
    [finding] = found("analysis", template(args=[secret]), rollout(step=True))
    assert finding.message == "AnalysisTemplate t: arg 'x' has both Value and ValueFrom fields"


@pytest.mark.parametrize(
    ("field", "rules", "text"),
    [
        (
            "measurementRetention",
            [{"metricName": ".*", "limit": 5}, {"metricName": ".*", "limit": 7}],
            "two Measurement Retention metric rules",
        ),
        ("dryRun", [{"metricName": "m"}, {"metricName": "m"}], "two Dry-Run metric rules"),
    ],
)
def test_two_rules_of_one_name_are_refused(field: str, rules: list[dict[str, Any]], text: str) -> None:
    [finding] = found("rule-twice", template(**{field: rules}))
    assert (finding.severity, finding.path) == (ERROR, f"spec.{field}[1].metricName")
    assert finding.message.startswith(text)
    [finding] = found("rule-twice", template(), rollout(**{field: rules}))
    assert finding.path == f"spec.strategy.canary.analysis.{field}[1].metricName"


@pytest.mark.parametrize(
    ("condition", "remedy"),
    [
        ("result < 5", "write result[0] < 5: "),
        ("result >= 0.5 && result < 5", "write result[0] >= 0.5 && result[0] < 5: "),
        ("result[0] < args.limit", "write {{args.limit}}: "),
        ("result < {{args.limit}}", "write result[0] < {{args.limit}}: "),
        ("result contains 'a'", "the result of this metric is a list of numbers"),
    ],
)
def test_a_condition_that_cannot_be_put_to_the_result_says_what_could(condition: str, remedy: str) -> None:
    asked = {"prometheus": {"address": "http://127.0.0.1:9090", "query": 'sum(up{pod="{{args.limit}}"}) by (pod)'}}
    given = template({"successCondition": condition, "provider": asked}, args=[{"name": "limit", "value": "5"}])
    [finding] = found("condition", given)
    assert (finding.severity, finding.path) == (ERROR, "spec.metrics[0].successCondition")
    assert finding.remedy.startswith(remedy)


def test_a_text_in_quotes_is_no_argument() -> None:
    [finding] = found("condition", template({"successCondition": 'results == "args.x"'}))
    assert "{{" not in finding.remedy


def test_a_placeholder_without_an_end_is_named_where_it_stands() -> None:
    given = template({"successCondition": "result < {{args.limit", "failureCondition": "}}"}, args=[{"name": "limit"}])
    [finding, *_] = found("placeholder", given)
    assert finding.path == "spec.metrics[0].successCondition"
    assert 'starting from "args.limit"' in finding.message


def test_a_background_analysis_is_not_started_with_what_a_run_could_not_resolve() -> None:
    given, asking = template({"successCondition": "result < {{args.gone}}"}), rollout()
    [finding] = found("analysis-run", given, asking)
    assert (finding.severity, finding.message) == (ERROR, "failed to resolve {{args.gone}}")
    assert [each.code for each in check_release(asking, [given], {}, {}) if each.severity is ERROR] == ["analysis-run"]
    rules = {"dryRun": [{"metricName": "m"}]}
    [finding] = found("analysis-run", template(**rules), rollout(**rules))
    assert finding.message == "two Dry-Run metric rules have the same name 'm'"


@pytest.mark.parametrize("field", ["maxSurge", "maxUnavailable"])
@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ("3", "3 without quotes, or a percentage such as 25%"),
        ("0", "a whole number without quotes, or a percentage such as 25%"),
        ("many", "a whole number without quotes, or a percentage such as 25%"),
        ("25 %", "a whole number without quotes, or a percentage such as 25%"),
        ("%", "a whole number without quotes, or a percentage such as 25%"),
    ],
)
def test_a_number_of_pods_in_quotes_counts_as_none(field: str, value: str, remedy: str) -> None:
    document = rollout()
    document["spec"]["strategy"]["canary"] |= {"maxSurge": 1, "maxUnavailable": 1, field: value}
    for every in (found("no-pods", document), check_release(document, [template()], {}, {})):
        [finding] = [each for each in every if each.code == "no-pods"]
        assert (finding.severity, finding.path) == (WARNING, f"spec.strategy.canary.{field}")
        assert (finding.value, finding.remedy) == (json.dumps(value), remedy)
        assert "counts as 0 pods" in finding.message
    canary = Rollout.model_validate(document).canary
    limits = rolling_limits(canary, 4)
    assert (limits.surge if field == "maxSurge" else limits.unavailable) == 0


@pytest.mark.parametrize("value", [3, 0, "25%", "0%", "150%"])
def test_a_number_or_a_percentage_of_pods_is_taken(value: Any) -> None:
    document = rollout()
    document["spec"]["strategy"]["canary"] |= {"maxSurge": value, "maxUnavailable": 1}
    assert found("no-pods", document) == []
