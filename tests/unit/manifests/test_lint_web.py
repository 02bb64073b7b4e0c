"""Lint of metrics of the provider web: each bad setting is found at its field, and no secret is shown."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.analysis.conditions import compile_condition
from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import Finding, Severity
from tidegate.manifests.lint import lint

AT = "spec.metrics[0].provider.web"
SOUND = {
    "url": "https://checks.internal/{{args.app}}",
    "method": "POST",
    "jsonBody": {"app": "{{args.app}}"},
    "jsonPath": "{$.data.ratio}",
    "timeoutSeconds": 20,
    "headers": [{"key": "Authorization", "value": "Bearer {{args.token}}"}],
}


def found(web: dict[str, Any]) -> list[Finding]:
    metric = {"name": "m", "successCondition": "result < 1", "provider": {"web": web}}
    template = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "t"},
        "spec": {"metrics": [metric], "args": [{"name": "app"}, {"name": "token"}]},
    }
    return lint(from_objects([template]), compile_condition=compile_condition)


def test_a_sound_metric_needs_no_comment() -> None:
    assert found(SOUND) == []


@pytest.mark.parametrize(
    ("change", "severity", "path", "message"),
    [
        ({"url": ""}, Severity.ERROR, "url", "url is required"),
        ({"url": "http://["}, Severity.ERROR, "url", "no URL of a server"),
        ({"url": "checks"}, Severity.ERROR, "url", "no URL of a server"),
        ({"method": "HEAD"}, Severity.ERROR, "method", "'HEAD' is none of GET, POST, PUT"),
        ({"method": "GET"}, Severity.ERROR, "method", "Body/JSONBody can only be used with POST or PUT"),
        ({"body": "x"}, Severity.ERROR, "jsonBody", "use either Body or JSONBody"),
        ({"jsonPath": "$.data"}, Severity.ERROR, "jsonPath", "unexpected at column 1"),
        (
            {"authentication": {"oauth2": {"tokenUrl": "https://idp"}}},
            Severity.ERROR,
            "authentication.oauth2",
            "tokenUrl needs clientId and clientSecret",
        ),
        (
            {"authentication": {"sigv4": {"region": "eu"}}},
            Severity.ERROR,
            "authentication.sigv4",
            "not supported by Tidegate: authentication.sigv4",
        ),
        (
            {"authentication": {"basicAuth": {"username": "ana", "password": "s3cret"}}, "headers": []},
            Severity.WARNING,
            "authentication.basicAuth.password",
            "a secret in a manifest is kept in every history",
        ),
        ({"timeoutSeconds": 300}, Severity.WARNING, "timeoutSeconds", "a measurement ends after 100 s"),
        (
            {"headers": [{"key": "authorization", "value": "s3cret"}]},
            Severity.WARNING,
            "headers[0].value",
            "a secret in a manifest is kept in every history",
        ),
    ],
)
def test_each_bad_setting_is_found_at_its_field(
    change: dict[str, Any], severity: Severity, path: str, message: str
) -> None:
    findings = [each for each in found(SOUND | change) if each.severity is severity]
    assert [each.path for each in findings] == [f"{AT}.{path}"]
    assert findings[0].message.startswith(message)
    assert "s3cret" not in str(findings[0])
