"""Templates and a Rollout's analysis block, merged into the spec of one run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.analysis.scripted import metric
from tidegate.analysis.spec import SpecError, build_run_spec

ROLLOUT = {"metadata": {"name": "checkout", "namespace": "pay"}}


def template(name: str, *metrics: dict[str, Any], cluster: bool = False, **spec: Any) -> dict[str, Any]:
    kind = "ClusterAnalysisTemplate" if cluster else "AnalysisTemplate"
    spec = {"metrics": list(metrics), **spec}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def reference(name: str, *, cluster: bool = False) -> dict[str, Any]:
    return {"templateName": name, "clusterScope": True} if cluster else {"templateName": name}


def build(*templates: dict[str, Any], use: list[dict[str, Any]], **analysis: Any) -> dict[str, Any]:
    block = {"templates": use, **analysis}
    return build_run_spec(analysis=block, templates=templates, rollout=ROLLOUT, stable_hash="old", latest_hash="new")


def names(spec: dict[str, Any]) -> list[str]:
    return [each["name"] for each in spec["metrics"]]


def test_namespaced_templates_come_first_and_each_once() -> None:
    spec = build(
        template("wide", metric("w"), cluster=True),
        template("a", metric("a"), templates=[reference("b"), reference("a"), reference("wide", cluster=True)]),
        template("b", metric("b")),
        use=[reference("wide", cluster=True), reference("a"), reference("b")],
    )
    assert names(spec) == ["a", "b", "w"]


def test_one_name_may_stand_for_two_templates() -> None:
    both = [template("t", metric("mine")), template("t", metric("ours"), cluster=True)]
    assert names(build(*both, use=[reference("t", cluster=True), reference("t")])) == ["mine", "ours"]


def test_arguments_are_bound_and_metrics_left_as_they_are() -> None:
    asking = metric(provider={"datadog": {"query": "hits{hash:{{args.hash}},v:{{args.v}}}"}})
    spec = build(
        template("t", asking, args=[{"name": "hash"}, {"name": "v", "value": "1"}]),
        use=[reference("t")],
        args=[{"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}, {"name": "unknown", "value": "x"}],
        startingStep=2,
    )
    assert spec == {"metrics": [asking], "args": [{"name": "hash", "value": "new"}, {"name": "v", "value": "1"}]}


def test_rules_of_the_rollout_come_before_those_of_templates() -> None:
    spec = build(
        template("t", metric("a"), metric("b"), dryRun=[{"metricName": "b"}]),
        use=[reference("t")],
        dryRun=[{"metricName": "a"}],
        measurementRetention=[{"metricName": ".*", "limit": 3}],
    )
    assert spec["dryRun"] == [{"metricName": "a"}, {"metricName": "b"}]
    assert spec["measurementRetention"] == [{"metricName": ".*", "limit": 3}]


@pytest.mark.parametrize(
    ("templates", "analysis", "said"),
    [
        ([], {}, "AnalysisTemplate 't' not found"),
        ([template("t", templates=[reference("deep", cluster=True)])], {}, "ClusterAnalysisTemplate 'deep' not found"),
        ([template("t", metric(), metric())], {}, "two metrics have the same name 'm'"),
        ([template("t", metric(), args=[{"name": "x"}])], {}, "args.x was not resolved"),
        ([template("t")], {}, "Analysis spec invalid: no metrics specified"),
        ([template("t", metric(interval="5x"))], {}, "Analysis spec invalid: metrics[0]: invalid interval string"),
        ([template("t", metric("{{args.y}}"))], {}, "Unable to resolve metric arguments: failed to resolve {{args.y}}"),
        (
            [template("t", metric(), dryRun=[{"metricName": "m"}])],
            {"dryRun": [{"metricName": "m"}]},
            "two Dry-Run metric rules have the same name 'm'",
        ),
        (
            [template("t", metric(), args=[{"name": "x"}])],
            {"args": [{"name": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.nope"}}}]},
            "unsupported fieldPath: metadata.nope",
        ),
        ([template("t", metric(nmae="x"))], {}, "AnalysisTemplate/t: error: spec.metrics[0].nmae: unknown field"),
        ([template("t", metric())], {"args": [{"nme": "x"}]}, "analysis: error: args[0].nme: unknown field"),
    ],
)
def test_what_no_run_could_carry_out_is_refused(templates: list[Any], analysis: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        build(*templates, use=[reference("t")], **analysis)
    assert str(caught.value).startswith(said)
