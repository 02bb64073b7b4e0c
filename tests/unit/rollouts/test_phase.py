"""What a Rollout lacks, and its `.status` as the rules read it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tidegate.manifests.rollout import Rollout
from tidegate.rollouts.phase import missing_pods
from tidegate.rollouts.status import RolloutStatus

DONE: dict[str, Any] = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "stableRS": "C"}


def rollout(status: dict[str, Any]) -> Rollout:
    spec = {"replicas": 2, "strategy": {"canary": {}}}
    return Rollout.model_validate({"metadata": {"name": "shop"}, "spec": spec, "status": status})


@pytest.mark.parametrize(
    ("updated", "available", "lacks"),
    [
        (2, 2, []),
        (3, 3, []),
        (1, 1, ["more replicas need to be updated"]),
        (2, 1, ["updated replicas are still becoming available"]),
        (1, 0, ["more replicas need to be updated", "updated replicas are still becoming available"]),
    ],
)
def test_the_pods_that_are_missing_are_named(updated: int, available: int, lacks: list[str]) -> None:
    assert list(missing_pods(updated, available, wanted=2)) == lacks


def test_older_pods_that_answer_requests_are_named_last() -> None:
    pending = "old replicas are pending termination"
    assert list(missing_pods(2, 2, wanted=2, old=1)) == [pending]
    assert list(missing_pods(2, 1, wanted=2, old=1)) == ["updated replicas are still becoming available", pending]


def test_fields_that_no_rule_asks_for_are_kept() -> None:
    status = RolloutStatus.of(rollout(DONE | {"collisionCount": 2, "canary": {"stablePingPong": "ping"}}))
    assert status.to_wire() == DONE | {"collisionCount": 2, "canary": {"stablePingPong": "ping"}}


def test_a_status_of_another_make_is_refused_with_the_field() -> None:
    with pytest.raises(ValidationError, match="updatedReplicas"):
        RolloutStatus.of(rollout(DONE | {"updatedReplicas": "two"}))
