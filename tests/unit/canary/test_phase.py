"""Phase and message of a Rollout, the first reason first."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tidegate.canary.phase import WORKLOAD_GENERATION, calculated_phase, rollout_phase
from tidegate.canary.status import RolloutStatus
from tidegate.manifests.rollout import Rollout

DONE: dict[str, Any] = {
    "replicas": 2,
    "updatedReplicas": 2,
    "availableReplicas": 2,
    "stableRS": "C",
    "currentPodHash": "C",
    "observedGeneration": "3",
}


def rollout(status: dict[str, Any] | None, spec: dict[str, Any] | None = None, **metadata: Any) -> Rollout:
    return Rollout.model_validate(
        {
            "metadata": {"name": "shop", "generation": 3, **metadata},
            "spec": {"replicas": 2, "strategy": {"canary": {}}, **(spec or {})},
            "status": status,
        }
    )


def condition(type_: str, reason: str, message: str = "why") -> dict[str, Any]:
    return {"conditions": [{"type": type_, "status": "True", "reason": reason, "message": message}]}


def test_what_is_promoted_and_available_is_healthy() -> None:
    assert rollout_phase(rollout(DONE)) == ("Healthy", "")


@pytest.mark.parametrize(
    ("status", "spec", "phase", "message"),
    [
        (condition("InvalidSpec", "x"), {"paused": True}, "Degraded", "InvalidSpec: why"),
        (condition("Progressing", "RolloutAborted"), {"paused": True}, "Degraded", "RolloutAborted: why"),
        (condition("Progressing", "ProgressDeadlineExceeded"), {}, "Degraded", "ProgressDeadlineExceeded: why"),
        ({"pauseConditions": [{"reason": "CanaryPauseStep"}]}, {"paused": True}, "Paused", "manually paused"),
        (
            {"pauseConditions": [{"reason": "InconclusiveAnalysisRun", "startTime": None}], "updatedReplicas": 0},
            {},
            "Paused",
            "InconclusiveAnalysisRun",
        ),
        ({"updatedReplicas": 1}, {"restartAt": "2026-01-01T00:00:00Z"}, "Progressing", "rollout is restarting"),
        ({"updatedReplicas": 1}, {}, "Progressing", "more replicas need to be updated"),
        (
            {"updatedReplicas": 3, "replicas": 4},
            {},
            "Progressing",
            "updated replicas are still becoming available",
        ),
        ({"replicas": 3, "stableRS": ""}, {}, "Progressing", "old replicas are pending termination"),
        ({"stableRS": ""}, {}, "Progressing", "waiting for all steps to complete"),
        ({"stableRS": "S"}, {}, "Progressing", "waiting for all steps to complete"),
        ({"stableRS": "", "currentPodHash": ""}, {}, "Progressing", "waiting for all steps to complete"),
        ({"replicas": 4}, {"strategy": {"canary": {"trafficRouting": {"istio": {}}}}}, "Healthy", ""),
        ({"stableRS": "S"}, {"strategy": {}}, "Healthy", ""),
    ],
)
def test_the_first_reason_counts(status: dict[str, Any], spec: dict[str, Any], phase: str, message: str) -> None:
    assert rollout_phase(rollout(DONE | status, spec)) == (phase, message)


def test_replicas_that_are_not_given_are_one() -> None:
    given = rollout(DONE | {"updatedReplicas": 1, "availableReplicas": 1, "replicas": 1}, {"replicas": None})
    assert rollout_phase(given) == ("Healthy", "")


def test_a_restart_that_was_done_is_over_however_its_time_is_written() -> None:
    spec = {"restartAt": "2026-01-01T01:00:00+01:00"}
    assert rollout_phase(rollout(DONE | {"restartedAt": "2026-01-01T00:00:00Z"}, spec))[0] == "Healthy"
    assert rollout_phase(rollout(DONE | {"restartedAt": "2025-01-01T00:00:00Z"}, spec))[0] == "Progressing"


@pytest.mark.parametrize(("observed", "seen"), [("2", False), ("3", True), ("4", True), ("hash", True), ("", True)])
def test_a_status_of_an_older_spec_says_nothing(observed: str, seen: bool) -> None:
    found = rollout_phase(rollout(DONE | {"observedGeneration": observed}))
    assert found == (("Healthy", "") if seen else ("Progressing", "waiting for rollout spec update to be observed"))


def test_a_pause_that_a_person_ended_is_not_yet_over() -> None:
    found = rollout_phase(rollout(DONE | {"controllerPause": True, "phase": "Paused"}))
    assert found == ("Progressing", "waiting for rollout to unpause")


@pytest.mark.parametrize(("observed", "phase"), [("6", "Progressing"), ("7", "Healthy"), ("", "Healthy")])
def test_a_newer_workload_has_to_be_observed_too(observed: str, phase: str) -> None:
    spec = {"workloadRef": {"kind": "Deployment", "name": "shop"}}
    status = DONE | {"workloadObservedGeneration": observed}
    assert rollout_phase(rollout(status, spec, annotations={WORKLOAD_GENERATION: "7"}))[0] == phase
    assert rollout_phase(rollout(status, annotations={WORKLOAD_GENERATION: "7"}))[0] == "Healthy"


def test_the_stored_phase_is_for_readers_and_not_for_the_one_who_writes_it() -> None:
    stored = rollout(DONE | {"phase": "Degraded", "message": "stored"})
    assert rollout_phase(stored) == ("Degraded", "stored")
    assert calculated_phase(stored.spec, RolloutStatus.of(stored)) == ("Healthy", "")


def test_without_a_status_everything_is_still_to_do() -> None:
    assert rollout_phase(rollout(None)) == ("Progressing", "more replicas need to be updated")


def test_fields_that_no_rule_asks_for_are_kept() -> None:
    status = RolloutStatus.of(rollout(DONE | {"collisionCount": 2, "canary": {"stablePingPong": "ping"}}))
    assert status.to_wire() == DONE | {"collisionCount": 2, "canary": {"stablePingPong": "ping"}}


def test_a_status_of_another_make_is_refused_with_the_field() -> None:
    with pytest.raises(ValidationError, match="updatedReplicas"):
        rollout_phase(rollout(DONE | {"updatedReplicas": "two"}))
