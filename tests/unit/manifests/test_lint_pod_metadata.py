"""Lint of the metadata of roles: what pods could not wear is said before a release starts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.manifests.test_lint import canary, changed
from tidegate.manifests.findings import Severity
from tidegate.manifests.lint import lint

FIELDS = ("canaryMetadata", "stableMetadata")


def found(field: str, **metadata: Any) -> list[tuple[Severity, str, str]]:
    """Severity, code and path of what lint says of the metadata of a role."""
    path = f"spec.strategy.canary.{field}"
    manifests = changed(lambda objects: canary(objects).update({field: metadata}))
    every = [each for each in lint(manifests, complete=True) if each.path.startswith(path)]
    return [(each.severity, each.code, each.path.removeprefix(path)) for each in every]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"labels": {"role": "canary", "example.com/role": ""}},
        {"annotations": {"example.com/note": "any text: of any form"}},
        {"labels": {"a" * 63: "b" * 63}},
    ],
)
def test_what_pods_can_wear_is_honoured(field: str, metadata: dict[str, Any]) -> None:
    assert found(field, **metadata) == []


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({"labels": {"role": "a b"}}, ".labels.role"),
        ({"labels": {"role": "b" * 64}}, ".labels.role"),
        ({"labels": {"_role": "canary"}}, ".labels._role"),
        ({"annotations": {"a/b/c": "text"}}, ".annotations['a/b/c']"),
        ({"labels": {"app": "other"}}, ".labels"),
        ({"labels": {"rollouts-pod-template-hash": "abc"}}, ".labels"),
    ],
)
def test_what_kubernetes_would_refuse_is_refused(field: str, metadata: dict[str, Any], path: str) -> None:
    errors = [each for each in found(field, **metadata) if each[0] is Severity.ERROR]
    assert errors == [(Severity.ERROR, "pod-metadata", path)]


def test_what_would_not_come_back_is_worth_a_warning() -> None:
    assert found("canaryMetadata", labels={"app": "checkout"}) == [
        (Severity.WARNING, "pod-metadata", ".labels.app"),
    ]
