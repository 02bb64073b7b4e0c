"""Numbers that Kubernetes cannot hold are refused by field, at lint and at start."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from tests.unit.manifests.test_limits import rollout
from tests.workers.scripted_release import request
from tidegate.manifests.documents import from_objects, loads
from tidegate.manifests.findings import ManifestError, errors
from tidegate.manifests.lint import lint
from workflows.admission import read_manifest

BIG = [99999999999999999999, 10**12, 2**31, -(2**31) - 1]


def changed(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    document = rollout([{"setWeight": 20}, {"setCanaryScale": {"replicas": 1}}])
    document["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
    at: Any = document
    for part in path[:-1]:
        at = at.setdefault(part, {}) if isinstance(at, dict) else at[part]
    at[path[-1]] = value
    return document


FIELDS: list[tuple[str | int, ...]] = [
    ("spec", "replicas"),
    ("spec", "minReadySeconds"),
    ("spec", "revisionHistoryLimit"),
    ("spec", "progressDeadlineSeconds"),
    ("spec", "strategy", "canary", "maxSurge"),
    ("spec", "strategy", "canary", "scaleDownDelaySeconds"),
    ("spec", "strategy", "canary", "steps", 1, "setCanaryScale", "replicas"),
    ("spec", "template", "spec", "containers", 0, "ports", 0, "containerPort"),
    ("spec", "template", "spec", "priority"),
]


def found(document: dict[str, Any]) -> list[str]:
    try:
        findings = lint(from_objects([document]))
    except ManifestError as error:
        findings = list(error.findings)
    return [f"{each.path}: {each.message}" for each in errors(findings)]


@pytest.mark.parametrize("path", FIELDS)
@pytest.mark.parametrize("value", BIG)
def test_a_number_beyond_its_type_is_refused_by_field(path: tuple[str | int, ...], value: int) -> None:
    document = changed(path, value)
    last = str(path[-1])
    assert any(last in each and "must be between -2147483648 and 2147483647" in each for each in found(document))
    with pytest.raises(ApplicationError, match="must be between -2147483648 and 2147483647"):
        read_manifest(request(name="checkout", rollout=document))


def test_fields_of_64_bits_take_more() -> None:
    path = ("spec", "template", "spec", "terminationGracePeriodSeconds")
    assert not any("between" in each for each in found(changed(path, 2**40)))
    assert any("9223372036854775807" in each for each in found(changed(path, 2**63)))
    groups = changed(("spec", "template", "spec", "securityContext"), {"supplementalGroups": [2**40]})
    assert not any("between" in each for each in found(groups))


def test_a_file_with_such_a_number_is_refused_with_its_line() -> None:
    head = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: a}\n"
    text = f"{head}spec:\n  replicas: 99999999999999999999\n"
    with pytest.raises(ManifestError) as refused:
        loads(text, "rollout.yaml")
    [finding] = refused.value.findings
    assert (finding.line, finding.path) == (5, "spec.replicas")
