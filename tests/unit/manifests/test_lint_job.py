"""Lint of metrics that a Kubernetes Job measures: each bad setting is found at its field."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.analysis.conditions import compile_condition
from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import Finding, ManifestError, Severity
from tidegate.manifests.lint import lint

AT = "spec.metrics[0].provider.job"
CONTAINER = {
    "name": "smoke",
    "image": "{{args.image}}",
    "args": ["--url", "http://{{args.service}}"],
    "resources": {"limits": {"cpu": "{{args.cpu}}"}},
    "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "smoke"}}}],
}
TOKEN = {"name": "token", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "smoke"}}}
ARGS = [TOKEN, {"name": "image"}, {"name": "service"}, {"name": "cpu"}]


def template(**pod: Any) -> dict[str, Any]:
    return {"spec": {"restartPolicy": "Never", "containers": [CONTAINER], **pod}}


def found(job: dict[str, Any], **metric: Any) -> list[Finding]:
    analysis = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "t"},
        "spec": {"args": ARGS, "metrics": [{"name": "m", "provider": {"job": job}, **metric}]},
    }
    return lint(from_objects([analysis]), compile_condition=compile_condition)


def with_spec(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": template(), "activeDeadlineSeconds": 600, **spec}}


def test_a_sound_job_needs_no_comment_and_no_condition() -> None:
    assert found({"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}, **with_spec(backoffLimit=1)}) == []
    assert found(with_spec(template=template(restartPolicy="OnFailure"), ttlSecondsAfterFinished=120)) == []


@pytest.mark.parametrize(
    ("job", "path", "message"),
    [
        (with_spec(backoffLimit=-1), "spec.backoffLimit", "-1: must be greater than or equal to 0"),
        (with_spec(suspend=True), "spec.suspend", "the Job starts no pod, and so it never ends"),
        (with_spec(parallelism=0), "spec.parallelism", "the Job starts no pod, and so it never ends"),
        (with_spec(template={}), "spec.template.spec.containers", "is required"),
        (
            with_spec(template=template(restartPolicy="Always")),
            "spec.template.spec.restartPolicy",
            'supported values: "Never", "OnFailure"',
        ),
        (
            with_spec(template=template(containers=[{**CONTAINER, "image": ""}])),
            "spec.template.spec.containers[0].image",
            "is required",
        ),
        (
            with_spec(template=template(containers=[{**CONTAINER, "args": "--all"}])),
            "spec.template.spec.containers[0].args",
            "must be a list",
        ),
    ],
)
def test_what_kubernetes_would_refuse_is_an_error(job: dict[str, Any], path: str, message: str) -> None:
    errors = [finding for finding in found(job) if finding.severity is Severity.ERROR]
    assert (f"{AT}.{path}", message) in [(finding.path, finding.message) for finding in errors]


def test_pods_of_a_job_must_say_how_they_are_restarted() -> None:
    pod = {"spec": {"containers": [CONTAINER]}}
    [finding] = found(with_spec(template=pod))
    assert (finding.path, finding.severity) == (f"{AT}.spec.template.spec.restartPolicy", Severity.ERROR)


@pytest.mark.parametrize(
    ("job", "path", "message"),
    [
        ({"spec": {"template": template()}}, "spec", "a Job that hangs holds the analysis without end"),
        (
            with_spec(ttlSecondsAfterFinished=0),
            "spec.ttlSecondsAfterFinished",
            "0: the Job is kept for 120 s, so that its end is seen",
        ),
        (
            with_spec(manualSelector=True),
            "spec.manualSelector",
            "each measurement has a Job of its own: with one selector they take each other's pods for theirs",
        ),
        (
            with_spec(selector={"matchLabels": {"a": "b"}}),
            "spec.selector",
            "each measurement has a Job of its own: with one selector they take each other's pods for theirs",
        ),
        (
            {"metadata": {"name": "mine"}, **with_spec()},
            "metadata.name",
            "not used: each measurement has a Job of its own, of which labels and annotations are given",
        ),
    ],
)
def test_what_is_not_as_it_seems_is_a_warning(job: dict[str, Any], path: str, message: str) -> None:
    [finding] = found(job)
    assert (finding.path, finding.message, finding.severity) == (f"{AT}.{path}", message, Severity.WARNING)


@pytest.mark.parametrize("name", ["successCondition", "failureCondition"])
def test_conditions_of_a_job_are_not_asked(name: str) -> None:
    [finding] = found(with_spec(), **{name: "result > 1"})
    assert (finding.path, finding.severity) == (f"spec.metrics[0].{name}", Severity.WARNING)


@pytest.mark.parametrize("text", ["{{args.token}}", "Bearer {{ args.token }}"])
def test_a_secret_in_a_job_is_refused_and_where_to_put_it_is_said(text: str) -> None:
    [finding] = found(with_spec(template=template(containers=[{**CONTAINER, "args": [text]}])))
    assert (finding.path, finding.severity) == (AT, Severity.ERROR)
    assert finding.message.startswith("args.token: an argument from a Secret would stand in the Job")
    assert finding.remedy == "let the container's env take it by valueFrom.secretKeyRef"


def test_an_unknown_field_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(ManifestError) as caught:
        found({"spec": {"activeDeadlineSecond": 3}})
    [finding] = caught.value.findings
    assert (finding.path, finding.remedy) == (f"{AT}.spec.activeDeadlineSecond", "did you mean activeDeadlineSeconds?")
