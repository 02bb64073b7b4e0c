"""The plugin `tidegate/compare`: what users write, its defaults, and each setting that nothing can be compared with."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.analysis.compare.models import GUARD, Margin, OnUnfair
from tidegate.analysis.compare.settings import ComparisonSettingsError, automatic_margins, comparison_of
from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import Finding, ManifestError, Severity
from tidegate.manifests.lint import check_release, lint
from tidegate.manifests.providers.compare import KEY, Compare

AT = f"spec.metrics[0].provider.plugin['{KEY}']"
DATADOG = {"service": "{{args.service-name}}", "operation": "http.request"}
PROMETHEUS = {"address": "http://p:9090", "requests": "istio_requests_total", "errors": 'code=~"5.."'}
OWN = {"name": "declined", "bad": "sum:a{*}", "of": "sum:b{*}", "times": 1.1, "plus": "0.2%"}


def template(settings: dict[str, Any], **fields: Any) -> dict[str, Any]:
    metric = {"name": "as-good-as-stable", "provider": {"plugin": {KEY: settings}}, **fields}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "compare", "namespace": "payments"},
        "spec": {"metrics": [metric], "args": [{"name": "service-name"}, {"name": "x"}]},
    }


def found(settings: dict[str, Any], **fields: Any) -> list[Finding]:
    return lint(from_objects([template(settings, **fields)]))


def asked(**changes: Any) -> Compare:
    return Compare.model_validate({"datadog": {"service": "checkout", "operation": "http.request"}, **changes})


def test_the_least_that_one_can_write_needs_no_comment_and_has_the_plugins_defaults() -> None:
    assert found({"datadog": DATADOG}) == []
    wanted = comparison_of(asked())
    assert [(each.name, each.margin) for each in wanted.events] == [
        ("errors", Margin(times=1.25, plus=0.001)),
        ("slow90", Margin(times=1.5, plus=0)),
        ("slow99", Margin(times=2, plus=0)),
        ("stuck", Margin(times=2, plus=0.002)),
    ]
    assert [each.early for each in wanted.events[:2]] == [
        (Margin(times=2, plus=0.02), Margin(times=1.5, plus=0.005)),
        (Margin(times=2.5, plus=0.05), Margin(times=2, plus=0.02)),
    ]
    assert (wanted.false_promotion, wanted.false_abort, wanted.bucket, wanted.warm_up) == (0.05, 0.01, 10, 60)
    assert (wanted.settle, wanted.min_bake, wanted.max_wait) == (60, 600, 3600)
    assert (wanted.guard, wanted.on_unfair) == (GUARD, OnUnfair.HOLD)


def test_everything_that_one_can_write_arrives() -> None:
    early = [{"times": 2.1, "plus": 0.022}]
    wanted = comparison_of(
        asked(
            events=[{"name": "errors", "plus": "0.002"}, {**OWN, "weight": "1", "early": early}],
            falsePromotion=0.1,
            falseAbort="2%",
            bucket="1m",
            warmUp="90s",
            settle="2m",
            minBake="15m",
            maxWait="1h30m",
            guard={"times": 3},
            onUnfair="ignore",
        ),
        metrics=2,
    )
    errors, own = wanted.events
    assert errors.margin == Margin(times=1.25, plus=0.002)
    assert (own.margin, own.weight, own.early) == (Margin(times=1.1, plus=0.002), 1, (Margin(times=2.1, plus=0.022),))
    assert (wanted.false_promotion, wanted.false_abort, wanted.bucket, wanted.warm_up) == (0.1, 0.01, 60, 90)
    assert (wanted.settle, wanted.min_bake, wanted.max_wait) == (120, 900, 5400)
    assert (wanted.guard, wanted.on_unfair) == (Margin(times=3, plus=GUARD.plus), OnUnfair.IGNORE)


def test_an_event_of_ones_own_has_wider_margins_first() -> None:
    [own] = comparison_of(asked(events=[OWN])).events
    assert [(round(each.times, 9), round(each.plus, 9)) for each in own.early] == [(2.1, 0.022), (1.6, 0.007)]


def test_null_is_no_guard_and_survives_the_wire() -> None:
    settings = asked(guard=None)
    assert comparison_of(settings).guard is None
    assert comparison_of(Compare.model_validate(settings.to_wire())).guard is None
    assert comparison_of(asked(bucket=None)).bucket == 10, "every other null is absent"


def test_an_automatic_margin_is_what_was_chosen_for_it() -> None:
    settings = asked(events=[{"name": "errors", "plus": "auto"}, {"name": "slow90"}], warmUp="auto")
    assert automatic_margins(settings) == ("errors",)
    assert comparison_of(settings, plus={"errors": 0.004}).events[0].margin.plus == 0.004
    assert comparison_of(settings).events[0].margin.plus == 0.02
    assert comparison_of(settings).warm_up == 60


def test_without_a_histogram_only_errors_are_compared() -> None:
    settings = Compare.model_validate({"prometheus": PROMETHEUS})
    assert [each.name for each in comparison_of(settings).events] == ["errors"]
    settings = Compare.model_validate({"prometheus": {**PROMETHEUS, "latency": "http_request_duration_seconds"}})
    assert len(comparison_of(settings).events) == 4


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"prometheus": PROMETHEUS}, "", "needs exactly one of datadog and prometheus"),
        ({"datadog": None}, "", "needs exactly one of datadog and prometheus"),
        ({"datadog": {"operation": "o"}}, ".datadog.service", "service is required"),
        ({"datadog": {"service": "s"}}, ".datadog.operation", "operation is required"),
        ({"datadog": {**DATADOG, "versionTag": " "}}, ".datadog.versionTag", "must not be empty"),
        ({"datadog": {**DATADOG, "versionTag": "build"}}, ".datadog.versionTag", "do not say the values of this tag"),
        ({"datadog": None, "prometheus": {"errors": "x"}}, ".prometheus.requests", "requests is required"),
        ({"datadog": None, "prometheus": {"requests": "x"}}, ".prometheus.errors", "errors is required"),
        ({"datadog": None, "prometheus": {**PROMETHEUS, "podLabel": ""}}, ".prometheus.podLabel", "must not be empty"),
        ({"datadog": None, "prometheus": {**PROMETHEUS, "address": "p:9090"}}, ".prometheus.address", "is not is url"),
        (
            {"datadog": None, "prometheus": PROMETHEUS, "events": [{"name": "stuck"}]},
            ".events[0].name",
            "needs prometheus.latency",
        ),
        (
            {"datadog": None, "prometheus": PROMETHEUS, "versions": {"canary": "a", "stable": "b"}},
            ".versions",
            "tells versions apart by their pods",
        ),
        ({"versions": {"canary": "a"}}, ".versions", "canary and stable belong together"),
        ({"versions": {"canary": "a", "stable": "a"}}, ".versions", "cannot be told apart"),
        ({"falsePromotion": "5"}, ".falsePromotion", "must be between 0 and 1"),
        ({"falsePromotion": 0}, ".falsePromotion", "must be above 0"),
        ({"falseAbort": "x%"}, ".falseAbort", "is no number"),
        ({"falseAbort": "nan"}, ".falseAbort", "is no number"),
        ({"bucket": "5s"}, ".bucket", "between 10s and 5m"),
        ({"bucket": "10500ms"}, ".bucket", "whole seconds"),
        ({"bucket": "10"}, ".bucket", "missing unit in duration"),
        ({"settle": "6m"}, ".settle", "at most 5m"),
        ({"warmUp": "-1s"}, ".warmUp", "must not be negative"),
        ({"maxWait": "0"}, ".maxWait", "must be longer than 0"),
        ({"minBake": "soon"}, ".minBake", "invalid duration"),
        ({"onUnfair": "abort"}, ".onUnfair", "must be hold or ignore"),
        ({"guard": {"times": 0.5}}, ".guard.times", "must be 1 or more"),
        ({"guard": {"plus": "auto"}}, ".guard.plus", "is no number"),
        ({"events": [{"times": 2}]}, ".events[0].name", "an event needs a name"),
        ({"events": [{"name": "errors"}, {"name": "errors"}]}, ".events[1].name", "two events have the name 'errors'"),
        ({"events": [{"name": "mine", "times": 2}]}, ".events[0]", "needs bad and of"),
        ({"events": [{"name": "errors", "bad": "x"}]}, ".events[0]", "is counted without bad and of"),
        ({"events": [{"name": "errors", "times": 0.9}]}, ".events[0].times", "must be 1 or more"),
        ({"events": [{"name": "errors", "times": -1}]}, ".events[0].times", "must not be negative"),
        ({"events": [{"name": "errors", "times": 1, "plus": 0}]}, ".events[0]", "can never be proven"),
        ({"events": [{"name": "errors", "plus": "2"}]}, ".events[0].plus", "must be between 0 and 1"),
        ({"events": [{"name": "errors", "weight": 0}]}, ".events[0].weight", "must be above 0"),
        ({"events": [{"name": "errors", "weight": "x"}]}, ".events[0].weight", "is no number"),
        (
            {"events": [{"name": "errors", "early": [{"times": 2, "plus": "auto"}]}]},
            ".events[0].early[0].plus",
            "is no number",
        ),
    ],
)
def test_a_setting_that_nothing_can_be_compared_with_is_an_error_at_its_field(
    change: dict[str, Any], path: str, message: str
) -> None:
    settings = {key: value for key, value in {"datadog": DATADOG, **change}.items() if value is not None}
    errors = [each for each in found(settings) if each.severity is Severity.ERROR]
    assert [each.path for each in errors] == [f"{AT}{path}"]
    assert message in errors[0].message
    if "address" not in path:  # which the client of the provider judges
        with pytest.raises(ComparisonSettingsError, match=r"provider\.plugin\['tidegate/compare'\]"):
            comparison_of(Compare.model_validate(settings))


@pytest.mark.parametrize(
    ("settings", "path", "remedy"),
    [
        ({"datadg": DATADOG}, ".datadg", "did you mean datadog?"),
        ({"datadog": {**DATADOG, "versiontag": "v"}}, ".datadog.versiontag", "did you mean versionTag?"),
        ({"datadog": DATADOG, "guard": {"tims": 2}}, ".guard.tims", "did you mean times?"),
        ({"datadog": DATADOG, "events": [{"nme": "errors"}]}, ".events[0].nme", "did you mean name?"),
    ],
)
def test_an_unknown_field_is_an_error_with_the_nearest_known_name(
    settings: dict[str, Any], path: str, remedy: str
) -> None:
    with pytest.raises(ManifestError) as refused:
        found(settings)
    [error] = refused.value.findings
    assert (error.code, error.path, error.remedy) == ("unknown-field", f"{AT}{path}", remedy)


@pytest.mark.parametrize("value", [True, [1], {"a": 1}])
def test_a_number_is_a_number_or_text(value: object) -> None:
    with pytest.raises(ManifestError, match="must be a number or text"):
        found({"datadog": DATADOG, "falseAbort": value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", 5),
        ("interval", "60s"),
        ("successCondition", "result < 1"),
        ("failureCondition", "result > 1"),
        ("consecutiveSuccessLimit", 2),
    ],
)
def test_what_would_end_or_judge_it_has_no_say(field: str, value: object) -> None:
    errors = [each for each in found({"datadog": DATADOG}, **{field: value}) if each.severity is Severity.ERROR]
    assert (f"spec.metrics[0].{field}", "the comparison ends when it is decided") in [
        (each.path, each.message) for each in errors
    ]


def test_argos_limits_hold() -> None:
    limits = {"initialDelay": "1m", "failureLimit": 1, "inconclusiveLimit": 2, "consecutiveErrorLimit": 3}
    assert found({"datadog": DATADOG}, **limits) == []


def test_arguments_may_stand_in_every_text() -> None:
    settings = {
        "datadog": {"service": "{{args.x}}", "operation": "{{args.x}}", "versionTag": "{{args.x}}"},
        "falseAbort": "{{args.x}}",
        "bucket": "{{args.x}}",
        "onUnfair": "{{args.x}}",
        "events": [{"name": "errors", "times": "{{args.x}}", "plus": "{{args.x}}", "weight": "{{args.x}}"}],
    }
    assert found(settings) == []
    with pytest.raises(ComparisonSettingsError, match=r"\{\{args\.x\}\} is no value"):
        comparison_of(Compare.model_validate(settings))


def test_other_plugins_stay_refused_by_name() -> None:
    document = template({"datadog": DATADOG})
    document["spec"]["metrics"][0]["provider"] = {"plugin": {"tidegate.io/compare": {}}}
    [error] = [each for each in lint(from_objects([document])) if each.severity is Severity.ERROR]
    assert (error.code, error.message) == ("unsupported", "not supported by Tidegate: provider plugin")
    assert KEY in error.remedy


def test_two_plugins_are_two_providers() -> None:
    document = template({"datadog": DATADOG})
    document["spec"]["metrics"][0]["provider"]["plugin"]["a/b"] = {}
    assert "provider" in {each.code for each in lint(from_objects([document]))}


def test_a_tag_of_pods_has_no_latencies() -> None:
    tag = "kube_pod_label_rollouts_pod_template_hash"
    [warning] = found({"datadog": {**DATADOG, "versionTag": tag}})
    assert (warning.severity, warning.code) == (Severity.WARNING, "version-tag")
    assert "slow90, slow99, stuck get no data" in warning.message
    assert found({"datadog": {**DATADOG, "versionTag": tag}, "events": [{"name": "errors"}]}) == []


def test_a_services_own_counters_are_noted() -> None:
    assert found({"prometheus": PROMETHEUS}) == []
    [note] = found({"prometheus": {**PROMETHEUS, "requests": "http_requests_total"}})
    assert (note.severity, note.code) == (Severity.NOTE, "own-counters")


def test_a_secret_in_the_manifest_is_warned_of() -> None:
    authentication = {"basicAuth": {"username": "u", "password": "p"}}
    [warning] = found({"prometheus": {**PROMETHEUS, "authentication": authentication}})
    assert warning.severity is Severity.WARNING
    assert "kept in every history" in warning.message


def rollout(
    *steps: dict[str, Any], background: bool = False, labels: dict[str, str] | None = None, variable: str = ""
) -> dict[str, Any]:
    env = [{"name": "DD_VERSION", "value": variable}] if variable else []
    analysis = {"analysis": analysis_of()} if background else {}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "checkout", "namespace": "payments"},
        "spec": {
            "selector": {"matchLabels": {"app": "checkout"}},
            "template": {
                "metadata": {"labels": {"app": "checkout", **(labels or {})}},
                "spec": {"containers": [{"name": "c", "image": "i", "env": env}]},
            },
            "strategy": {"canary": {"steps": list(steps), **analysis}},
        },
    }


def analysis_of() -> dict[str, Any]:
    args = [{"name": "service-name", "value": "checkout"}, {"name": "x", "value": "1"}]
    return {"templates": [{"templateName": "compare"}], "args": args}


LABEL = {"tags.datadoghq.com/version": "2"}
GATE = {"analysis": analysis_of()}


def warnings(document: dict[str, Any], settings: dict[str, Any] | None = None) -> list[Finding]:
    manifests = from_objects([document, template(settings or {"datadog": DATADOG})])
    return [each for each in lint(manifests) if each.code in ("unproven-full-traffic", "version-tag")]


@pytest.mark.parametrize(
    "document",
    [
        rollout({"setWeight": 10}, {"setWeight": 50}, {"pause": {"duration": "1m"}}, background=True, labels=LABEL),
        rollout({"setWeight": 10}, {"setWeight": 50}, GATE, {"setWeight": 100}, labels=LABEL),
        rollout({"setWeight": 10}, GATE, labels=LABEL),
    ],
    ids=["background", "last weight", "one weight"],
)
def test_a_proof_at_the_last_weight_needs_no_comment(document: dict[str, Any]) -> None:
    assert warnings(document) == []


def test_full_traffic_after_a_proof_of_less_is_warned_of() -> None:
    document = rollout({"setWeight": 10}, GATE, {"setWeight": 50}, {"pause": {"duration": "1m"}}, labels=LABEL)
    [warning] = warnings(document)
    assert (warning.code, warning.path) == ("unproven-full-traffic", "spec.strategy.canary.steps[2]")
    assert "(50 %, step 2)" in warning.message


def test_a_gate_after_full_traffic_is_none_before_it() -> None:
    document = rollout({"setWeight": 50}, {"setWeight": 100}, GATE, labels=LABEL)
    assert [each.code for each in warnings(document)] == ["unproven-full-traffic"]


def test_a_template_that_does_not_say_its_version_is_warned_of() -> None:
    [warning] = warnings(rollout({"setWeight": 10}, GATE))
    assert (warning.code, warning.path) == ("version-tag", "spec.template.metadata.labels")
    assert warnings(rollout({"setWeight": 10}, GATE, variable="2")) == []
    given = {"datadog": DATADOG, "versions": {"canary": "2", "stable": "1"}}
    assert warnings(rollout({"setWeight": 10}, GATE), given) == []
    assert warnings(rollout({"setWeight": 10}, GATE), {"prometheus": PROMETHEUS}) == []


@pytest.mark.parametrize(("there", "expected"), [("2", ["version-tag"]), ("1", [])])
def test_a_version_that_all_pods_have_already_is_warned_of_at_start(there: str, expected: list[str]) -> None:
    document = rollout({"setWeight": 10}, GATE, labels=LABEL)
    pods = {"checkout-1": {"app": "checkout", "tags.datadoghq.com/version": there}}
    findings = check_release(document, [template({"datadog": DATADOG})], {}, {}, standing=pods)
    assert [each.code for each in findings if each.code == "version-tag"] == expected


def test_a_comparison_watches_until_the_release_ends() -> None:
    document = rollout(
        {"setWeight": 10}, {"pause": {}}, {"setWeight": 50}, {"pause": {"duration": "1h"}}, background=True
    )
    codes = {each.code for each in lint(from_objects([document, template({"datadog": DATADOG})]))}
    assert not codes & {"background-ends", "unwatched-weight", "no-condition", "analysis"}
