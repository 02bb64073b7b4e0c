"""Blue-green in manifests: what it refuses, and what it says of settings that are not what they seem."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import Severity
from tidegate.manifests.lint import lint

GATE = {"templates": [{"templateName": "t"}]}
COMPARING = {
    "plugin": {"tidegate/compare": {"prometheus": {"address": "http://p:9090", "requests": "istio_requests_total"}}}
}


def said(provider: dict[str, Any] | None = None, **strategy: Any) -> dict[str, tuple[Severity, str]]:
    """What lint says of a strategy, by the last part of the field."""
    spec = {
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
        "strategy": {"blueGreen": {"activeService": "a", "previewService": "p", **strategy}},
    }
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "r"}, "spec": spec}
    metric = {"name": "m", "provider": provider or {"web": {"url": "http://x", "jsonPath": "{$.a}"}}}
    template = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "t"},
        "spec": {"metrics": [metric]},
    }
    services = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {"app": "x", "rollouts-pod-template-hash": "h"}},
        }
        for name in ("a", "p")
    ]
    found = lint(from_objects([rollout, template, *services]), complete=True)
    return {each.path.rpartition(".")[2]: (each.severity, each.message) for each in found if "blueGreen" in each.path}


def test_nothing_is_said_of_a_sound_one() -> None:
    assert said(prePromotionAnalysis=GATE) == {}


@pytest.mark.parametrize(
    ("strategy", "field", "severity", "words"),
    [
        ({}, "blueGreen", Severity.WARNING, "no analysis"),
        ({"activeService": ""}, "activeService", Severity.ERROR, "no version ever gets the traffic"),
        ({"scaleDownDelaySeconds": 0}, "scaleDownDelaySeconds", Severity.WARNING, "never scaled down"),
        ({"abortScaleDownDelaySeconds": 0}, "abortScaleDownDelaySeconds", Severity.WARNING, "never scaled down"),
        ({"previewReplicaCount": -1}, "previewReplicaCount", Severity.WARNING, "below 0 counts as 0"),
        ({"maxUnavailable": 1}, "maxUnavailable", Severity.WARNING, "changes nothing"),
        (
            {"autoPromotionEnabled": False, "autoPromotionSeconds": 5},
            "autoPromotionSeconds",
            Severity.WARNING,
            "only an operator promotes",
        ),
        ({"antiAffinity": {}}, "antiAffinity", Severity.ERROR, "not supported by Tidegate: antiAffinity"),
        ({"previewMetadata": {"labels": {"app": "y"}}}, "labels", Severity.ERROR, "would not belong"),
    ],
)
def test_what_is_not_as_it_seems_is_named(strategy: dict[str, Any], field: str, severity: Severity, words: str) -> None:
    found = said(**strategy)[field]
    assert found[0] is severity
    assert words in found[1]


def test_before_the_switch_a_comparison_has_nothing_to_look_at_and_after_it_the_errors() -> None:
    severity, message = said(COMPARING, prePromotionAnalysis=GATE)["templates"]
    assert severity is Severity.WARNING
    assert "no traffic that could be compared" in message
    assert "templates" not in said(COMPARING, postPromotionAnalysis=GATE)
    settings: dict[str, Any] = COMPARING["plugin"]["tidegate/compare"]
    slow: dict[str, Any] = {"plugin": {"tidegate/compare": {**settings, "events": [{"name": "slow90"}]}}}
    assert "one without the event errors is left out" in said(slow, postPromotionAnalysis=GATE)["templates"][1]


@pytest.mark.parametrize(("role", "name"), [("activeService", "a"), ("previewService", "p")])
def test_a_rollout_without_its_service_is_refused_by_name(role: str, name: str) -> None:
    severity, message = said(**{role: f"{name}{name}", "prePromotionAnalysis": GATE})[role]
    assert (severity, message) == (Severity.ERROR, f'service "{name}{name}" not found')
