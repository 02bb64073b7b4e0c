"""Where a release says another phase than a reader of Argo would work out, the difference is named, and only there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cases.families.rollout_phase import phase, quirk

DONE: dict[str, Any] = {
    "replicas": 2,
    "updatedReplicas": 2,
    "availableReplicas": 2,
    "stableRS": "c",
    "currentPodHash": "c",
    "observedGeneration": "3",
}


def case(**status: Any) -> dict[str, Any]:
    spec = {"replicas": 2, "strategy": {"canary": {}}}
    return {"rollout": {"metadata": {"name": "shop", "generation": 3}, "spec": spec, "status": DONE | status}}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (case(phase="Degraded", message="stored"), "whatever the status says"),
        (case(observedGeneration="2"), "while a newer one waits"),
        (case(), ""),
    ],
)
def test_a_promoted_release_with_all_of_its_pods_is_healthy(given: dict[str, Any], why: str) -> None:
    assert phase(given) == {"phase": "Healthy", "message": ""}
    found = quirk(given)
    assert why in found
    assert bool(found) == bool(why)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ({"updatedReplicas": 1, "availableReplicas": 1}, "more replicas need to be updated"),
        ({"availableReplicas": 1}, "updated replicas are still becoming available"),
        ({"replicas": 3}, "old replicas are pending termination"),
        ({"replicas": 3, "availableReplicas": 1}, "updated replicas are still becoming available"),
        ({"stableRS": ""}, "waiting for all steps to complete"),
    ],
)
def test_what_is_missing_is_said(status: dict[str, Any], message: str) -> None:
    assert phase(case(**status)) == {"phase": "Progressing", "message": message}
