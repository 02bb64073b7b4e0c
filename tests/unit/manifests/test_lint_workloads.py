"""A Rollout that leaves its pod template to a Deployment is judged with that template, wherever it is known."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import Finding, Severity
from tidegate.manifests.lint import check_release, lint

ROLLOUT: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "shop"},
    "spec": {
        "selector": {"matchLabels": {"app": "shop"}},
        "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "strategy": {
            "canary": {
                "canaryService": "shop-canary",
                "canaryMetadata": {"labels": {"role": "canary"}},
                "stableMetadata": {"labels": {"role": "stable"}},
                "steps": [{"setWeight": 50}, {"pause": {"duration": "10s"}}],
            }
        },
    },
}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "shop"},
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "shop"}},
        "template": {
            "metadata": {"labels": {"app": "shop"}},
            "spec": {"containers": [{"name": "shop", "image": "shop:1"}]},
        },
    },
}
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "shop-canary"},
    "spec": {"selector": {"app": "shop"}},
}
METADATA = "spec.strategy.canary.canaryMetadata.labels"


def rollout(**labels: str) -> dict[str, Any]:
    changed = deepcopy(ROLLOUT)
    changed["spec"]["strategy"]["canary"]["canaryMetadata"]["labels"] |= labels
    return changed


def deployment(template: dict[str, Any]) -> dict[str, Any]:
    changed = deepcopy(DEPLOYMENT)
    changed["spec"]["template"] |= template
    return changed


def service(**selector: str) -> dict[str, Any]:
    return {**SERVICE, "spec": {"selector": selector}}


def errors(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(each.object, each.code, each.path) for each in found if each.severity is Severity.ERROR]


def at_lint(*objects: dict[str, Any], complete: bool = False) -> list[tuple[str, str, str]]:
    return errors(lint(from_objects(objects), complete=complete))


def at_start(given: dict[str, Any], workload: dict[str, Any], beside: dict[str, Any]) -> list[tuple[str, str, str]]:
    return errors(check_release(given, [], {"shop-canary": beside}, {}, workload=workload))


def test_metadata_of_roles_fits_the_template_that_is_lent() -> None:
    assert at_lint(ROLLOUT, DEPLOYMENT, SERVICE) == []
    assert at_start(ROLLOUT, DEPLOYMENT, SERVICE) == []


def test_without_the_deployment_the_rest_is_judged_and_the_gap_is_said() -> None:
    found = lint(from_objects([ROLLOUT, SERVICE]))
    assert errors(found) == []
    assert [each.path for each in found if each.code == "missing-workload"] == ["spec.workloadRef.name"]
    assert at_lint(ROLLOUT, SERVICE, complete=True) == [("Rollout/shop", "missing-workload", "spec.workloadRef.name")]


LENT: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], tuple[str, str, str]]] = [
    (rollout(app="other"), DEPLOYMENT, SERVICE, ("Rollout/shop", "pod-metadata", METADATA)),
    (
        ROLLOUT,
        DEPLOYMENT,
        service(app="shop", tier="web"),
        ("Rollout/shop", "reference", "spec.strategy.canary.canaryService"),
    ),
    (
        ROLLOUT,
        deployment({"spec": {"containers": [{"name": "shop"}]}}),
        SERVICE,
        ("Deployment/shop", "invalid", "spec.template.spec.containers[0].image"),
    ),
    (
        ROLLOUT,
        deployment(
            {"spec": {"containers": [{"name": "shop", "image": "shop:1", "env": [{"name": "A", "value": True}]}]}}
        ),
        SERVICE,
        ("Deployment/shop", "pod-template", "spec.template.spec.containers[0].env[0].value"),
    ),
]


@pytest.mark.parametrize(("given", "workload", "beside", "expected"), LENT)
def test_what_does_not_fit_the_template_that_is_lent_is_refused(
    given: dict[str, Any], workload: dict[str, Any], beside: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    assert at_lint(given, workload, beside) == [expected]
    assert at_start(given, workload, beside) == [expected]


def test_a_selector_that_does_not_find_the_pods_is_refused() -> None:
    labels = deployment({"metadata": {"labels": {"app": "other"}}})
    expected = ("Deployment/shop", "invalid", "spec.template.metadata.labels")
    assert expected in at_lint(ROLLOUT, labels)
    assert expected in at_start(ROLLOUT, labels, service(app="other"))


def test_an_empty_template_is_none() -> None:
    """As Argo's controller writes it into a Rollout with a workloadRef."""
    empty = deepcopy(ROLLOUT)
    empty["spec"]["template"] = {"metadata": {"creationTimestamp": None}, "spec": {"containers": None}}
    assert at_lint(empty, DEPLOYMENT, SERVICE) == []
    assert at_start(empty, DEPLOYMENT, service(app="shop", tier="web")) == [
        ("Rollout/shop", "reference", "spec.strategy.canary.canaryService")
    ]


def test_a_deployment_of_another_namespace_lends_nothing() -> None:
    here = deepcopy(ROLLOUT)
    here["metadata"]["namespace"] = "payments"
    there = deepcopy(DEPLOYMENT)
    there["metadata"]["namespace"] = "other"
    assert at_lint(here, there, complete=True)[0] == ("Rollout/shop", "missing-workload", "spec.workloadRef.name")
