"""Lint of metrics that Prometheus measures: each bad setting is found at its field, and no secret is shown."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.analysis.conditions import compile_condition
from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import Finding, ManifestError, Severity
from tidegate.manifests.lint import lint

AT = "spec.metrics[0].provider.prometheus"
ARGUMENTS = ("ca", "canary-hash", "secret", "token", "window")
SOUND = {
    "address": "http://prometheus:9090",
    "query": 'sum(rate(errors{hash="{{args.canary-hash}}"}[5m]))',
    "timeout": 40,
    "headers": [{"key": "X-Scope-OrgID", "value": "a"}],
    "authentication": {
        "oauth2": {"tokenUrl": "https://idp", "clientId": "i", "clientSecret": "{{args.secret}}", "scopes": ["s"]}
    },
    "rangeQuery": {"start": 'now() - duration("{{args.window}}")', "end": "now()", "step": "1m"},
}


def found(prometheus: dict[str, Any]) -> list[Finding]:
    metric = {"name": "m", "successCondition": "result[0] < 1", "provider": {"prometheus": prometheus}}
    template = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "t"},
        "spec": {"metrics": [metric], "args": [{"name": name} for name in ARGUMENTS]},
    }
    return lint(from_objects([template]), compile_condition=compile_condition)


def test_a_sound_metric_needs_no_comment() -> None:
    assert found(SOUND) == []
    assert found({"query": 'x{app="checkout-canary"}'}) == []


@pytest.mark.parametrize(
    ("change", "code", "path", "message"),
    [
        ({"query": " "}, "prometheus", "query", "query is required"),
        ({"address": "prometheus:9090"}, "prometheus", "address", "prometheus address is not is url format"),
        ({"address": "http://["}, "prometheus", "address", "prometheus address is not is url format"),
        ({"timeout": 0}, "prometheus", "timeout", "timeout must be longer than 0"),
        ({"timeout": -1}, "prometheus", "timeout", "timeout must be longer than 0"),
        (
            {"authentication": {"oauth2": {"tokenUrl": "https://idp", "clientId": "i"}}},
            "prometheus",
            "authentication.oauth2",
            "tokenUrl needs clientId and clientSecret",
        ),
        (
            {"authentication": {"basicAuth": {"username": "i"}}},
            "prometheus",
            "authentication.basicAuth",
            "username and password belong together",
        ),
        (
            {"authentication": {"sigv4": {"region": "eu-west-1"}}},
            "unsupported",
            "authentication.sigv4",
            "not supported by Tidegate: authentication.sigv4",
        ),
        (
            {"authentication": {"google": {}}},
            "unsupported",
            "authentication.google",
            "not supported by Tidegate: authentication.google",
        ),
        (
            {"rangeQuery": {"start": "now( -", "end": "now()", "step": "1m"}},
            "prometheus",
            "rangeQuery.start",
            "",
        ),
        ({"rangeQuery": {"start": "now()", "end": "", "step": "1m"}}, "prometheus", "rangeQuery.end", ""),
        (
            {"rangeQuery": {"start": "now()", "end": "now()", "step": "1x"}},
            "prometheus",
            "rangeQuery.step",
            'time: unknown unit "x" in duration "1x"',
        ),
        (
            {"rangeQuery": {"start": "now()", "end": "now()", "step": "0s"}},
            "prometheus",
            "rangeQuery.step",
            "step must be longer than 0",
        ),
    ],
)
def test_what_cannot_be_measured_with_is_an_error(change: dict[str, Any], code: str, path: str, message: str) -> None:
    [finding] = [each for each in found({**SOUND, **change}) if each.severity is Severity.ERROR]
    assert (finding.code, finding.path) == (code, f"{AT}.{path}")
    assert finding.message.startswith(message)


AUTHORIZATION = [{"key": "authorization", "value": "{{args.token}}"}]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"timeout": 101}, "timeout"),
        ({"insecure": True, "caCert": "{{args.ca}}"}, "caCert"),
        ({"headers": AUTHORIZATION}, "headers[0]"),
        (
            {"authentication": {"basicAuth": {"username": "u", "password": "hunter2"}}},
            "authentication.basicAuth.password",
        ),
        (
            {"authentication": {"oauth2": {"tokenUrl": "https://idp", "clientId": "i", "clientSecret": "hunter2"}}},
            "authentication.oauth2.clientSecret",
        ),
        ({"authentication": {}, "headers": [{"key": "Authorization", "value": "Bearer hunter2"}]}, "headers[0].value"),
        ({"query": "sum(rate(errors[5m]))"}, "query"),
    ],
)
def test_a_surprise_is_a_warning(change: dict[str, Any], path: str) -> None:
    [finding] = found({**SOUND, **change})
    assert (finding.severity, finding.path) == (Severity.WARNING, f"{AT}.{path}")
    assert "hunter2" not in str(finding)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"querry": "x"}, "querry"),
        ({"timeout": "30"}, "timeout"),
        ({"headers": [{"name": "a"}]}, "headers[0].name"),
        ({"rangeQuery": {"begin": "now()"}}, "rangeQuery.begin"),
        ({"authentication": {"oAuth2": {}}}, "authentication.oAuth2"),
    ],
)
def test_a_field_that_does_not_exist_is_refused(change: dict[str, Any], path: str) -> None:
    with pytest.raises(ManifestError) as caught:
        found({**SOUND, **change})
    assert [finding.path for finding in caught.value.findings] == [f"{AT}.{path}"]
