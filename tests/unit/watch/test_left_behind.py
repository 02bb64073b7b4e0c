"""What follows for Services and Deployments when a Rollout goes, and when somebody takes the hash away."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.watch.test_decide import BEGAN, GIVEN_UP, patched, release, rollout, told
from tidegate.contract import Compensation, CompensationState, CompensationStatus
from tidegate.watch import Decision, ReleaseClaims, RunState, StartRelease, decide, decide_deleted, decide_services


def test_a_deleted_rollout_ends_its_release_and_then_lets_go_of_what_it_had_claimed() -> None:
    going = patched(rollout(), {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    for decision in (decide_deleted("u1", release()), decide(going, release())):
        assert told(decision.commands) == [("abort", False)]
        assert decision.requeue
    for ended in (RunState.ENDED, RunState.STOPPED):
        assert decide_deleted("u1", release(state=ended)) == Decision((ReleaseClaims("u1"),))
    assert decide_deleted("u1", None) == Decision((ReleaseClaims("u1"),))
    assert decide_deleted("u0", release()) == Decision((ReleaseClaims("u0"),)), "the release is another object's"
    assert decide_deleted("", release()) == Decision()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (CompensationState.RUNNING, Decision(requeue=True)),
        (CompensationState.DONE, Decision((ReleaseClaims("u1"),))),
        (CompensationState.FAILED, Decision((ReleaseClaims("u1"),))),
    ],
)
def test_what_was_claimed_is_let_go_of_once_the_traffic_is_back(state: CompensationState, expected: Decision) -> None:
    undone = (CompensationStatus(name=Compensation.TRAFFIC, state=state),)
    assert decide_deleted("u1", release(**GIVEN_UP, compensations=undone)) == expected
    assert decide_deleted("u1", release(phase="Healthy", finished_at=BEGAN)) == Decision(requeue=True)


SERVICE: dict[str, Any] = {
    "metadata": {"uid": "s1", "generation": 1, "resourceVersion": "7"},
    "spec": {"selector": {"app": "shop"}},
}


MANAGED = "argo-rollouts.argoproj.io/managed-by-rollouts"


def idle(**status: Any) -> dict[str, Any]:
    return patched(rollout(), {"status": {"phase": "Healthy", "stableRS": "abc", "availableReplicas": 2, **status}})


def test_a_service_that_lost_its_hash_outside_a_release_is_a_cause_of_one() -> None:
    ended = release(state=RunState.ENDED, phase="Healthy")
    [ask] = decide_services(idle(), ended, {"shop-stable": SERVICE}).commands
    assert isinstance(ask, StartRelease)
    assert ask.key == "service-u1-shop-stable-s1-7"
    assert "shop-stable" in ask.reason
    again = patched(SERVICE, {"metadata": {"resourceVersion": "9"}})
    assert decide_services(idle(), ended, {"shop-stable": again}).commands != (ask,)
    assert decide_services(idle(), None, {"shop-stable": SERVICE}).commands == (ask,)


@pytest.mark.parametrize(
    ("found", "state", "service"),
    [
        (idle(), RunState.RUNNING, {}),
        (idle(), RunState.STOPPED, {}),
        (idle(phase="Degraded"), RunState.ENDED, {}),
        (idle(availableReplicas=0), RunState.ENDED, {}),
        (idle(stableRS=""), RunState.ENDED, {}),
        (idle(), RunState.ENDED, {"spec": {"selector": {"rollouts-pod-template-hash": "abc"}}}),
        (idle(), RunState.ENDED, {"metadata": {"annotations": {MANAGED: "other"}}}),
    ],
)
def test_other_services_are_none(found: dict[str, Any], state: RunState, service: dict[str, Any]) -> None:
    services = {"shop-stable": patched(SERVICE, service)}
    assert decide_services(found, release(state=state, phase="Healthy"), services) == Decision()
