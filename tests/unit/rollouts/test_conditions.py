"""Conditions of a Rollout over its life, as Argo writes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegate.canary.health import healthy
from tidegate.manifests.rollout import Rollout
from tidegate.rollouts.conditions import REFUSALS, ConditionInputs, Reason, conditions, progressed, rejection
from tidegate.rollouts.status import Condition, RolloutStatus

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
HEALTHY: dict[str, Any] = {
    "replicas": 2,
    "updatedReplicas": 2,
    "readyReplicas": 2,
    "availableReplicas": 2,
    "stableRS": "C",
    "currentPodHash": "C",
    "currentStepIndex": 1,
    "observedGeneration": "3",
}
UNDER_WAY = HEALTHY | {"stableRS": "S", "updatedReplicas": 1, "currentStepIndex": 0}


def status(fields: dict[str, Any]) -> RolloutStatus:
    return RolloutStatus.model_validate(fields)


def rollout(before: dict[str, Any], **spec: Any) -> Rollout:
    return Rollout.model_validate(
        {
            "metadata": {"name": "shop", "generation": 3},
            "spec": {"replicas": 2, "strategy": {"canary": {"steps": [{"setWeight": 50}]}}, **spec},
            "status": before,
        }
    )


class Life:
    """A Rollout whose status is written again and again, a minute between the moments."""

    def __init__(self, **spec: Any) -> None:
        self.spec = spec
        self.stored: dict[str, Any] = {}
        self.now = START

    def moment(self, fields: dict[str, Any], **facts: Any) -> dict[str, Condition]:
        self.now += timedelta(minutes=1)
        written, stored = status(fields), rollout(self.stored, **self.spec)
        whole = healthy(stored, stored.canary, written)
        at = ConditionInputs(stored, written, whole, "shop-C", revision=2, now=self.now)
        found = conditions(replace(at, **facts))
        self.stored = fields | {"conditions": [each.to_wire() for each in found]}
        return {each.type: each for each in found}


def said(found: Condition) -> tuple[str, str, str]:
    return found.status, found.reason, found.message


def test_the_life_of_a_release_that_goes_well() -> None:
    life = Life()
    begun = life.moment(UNDER_WAY | {"updatedReplicas": 0}, created=True)
    assert said(begun["Progressing"]) == ("True", "NewReplicaSetCreated", 'Created new replica set "shop-C"')
    assert said(begun["Available"]) == ("True", "AvailableReason", "Rollout has minimum availability")
    assert said(begun["Completed"]) == ("False", "RolloutCompleted", "RolloutCompleted")
    assert "Healthy" not in begun
    assert "Paused" not in begun
    moved = life.moment(UNDER_WAY)
    assert said(moved["Progressing"]) == ("True", "ReplicaSetUpdated", 'ReplicaSet "shop-C" is progressing.')
    paused = life.moment(UNDER_WAY | {"pauseConditions": [{"reason": "CanaryPauseStep"}], "currentStepIndex": 1})
    assert said(paused["Progressing"]) == ("Unknown", "RolloutPaused", "Rollout is paused")
    assert said(paused["Paused"]) == ("True", "RolloutPaused", "Rollout is paused")
    resumed = life.moment(UNDER_WAY)
    assert said(resumed["Progressing"]) == ("Unknown", "RolloutResumed", "Rollout is resumed")
    assert said(resumed["Paused"]) == ("False", "RolloutPaused", "Rollout is paused")
    done = life.moment(HEALTHY)
    assert said(done["Progressing"])[1:] == (
        "NewReplicaSetAvailable",
        'ReplicaSet "shop-C" has successfully progressed.',
    )
    assert said(done["Healthy"]) == ("True", "RolloutHealthy", "Rollout is healthy")
    assert said(done["Completed"]) == ("True", "RolloutCompleted", "RolloutCompleted")


def test_a_version_whose_pods_are_refused_has_argos_condition_for_as_long_as_they_are() -> None:
    life = Life()
    life.moment(UNDER_WAY, created=True)
    found = life.moment(UNDER_WAY, without_pods="FailedCreate: exceeded quota: few")["ReplicaFailure"]
    assert said(found) == ("True", "FailedCreate", "exceeded quota: few")
    assert life.moment(UNDER_WAY, without_pods="FailedCreate: exceeded quota: few")["ReplicaFailure"] == found
    assert "ReplicaFailure" not in life.moment(UNDER_WAY)


@pytest.mark.parametrize("reason", REFUSALS)
def test_what_is_refused_has_the_reason_of_its_work_until_it_is_no_longer(reason: Reason) -> None:
    life = Life()
    life.moment(UNDER_WAY, created=True)
    refused = life.moment(UNDER_WAY, failing="a webhook says no", refused=reason)["Progressing"]
    assert said(refused) == ("False", reason.value, "a webhook says no")
    assert said(life.moment(UNDER_WAY)["Progressing"])[:2] == ("True", "ReplicaSetUpdated")


def test_what_is_refused_is_said_until_it_is_no_longer() -> None:
    life = Life()
    life.moment(UNDER_WAY, created=True)
    refused = life.moment(UNDER_WAY, failing="a webhook says no")["Progressing"]
    assert said(refused) == ("False", "ReconciliationError", "a webhook says no")
    assert life.moment(UNDER_WAY, failing="a webhook says no")["Progressing"] == refused
    assert life.moment(UNDER_WAY, failing="no quota")["Progressing"].message == "no quota"
    late = life.moment(UNDER_WAY, failing="no quota", late=True)["Progressing"]
    assert said(late)[:2] == ("False", "ProgressDeadlineExceeded")
    life.moment(UNDER_WAY, failing="no quota")
    assert said(life.moment(UNDER_WAY)["Progressing"])[:2] == ("True", "ReplicaSetUpdated")
    aborted = life.moment(UNDER_WAY | {"abort": True}, failing="no quota")["Progressing"]
    assert aborted.reason == "RolloutAborted"


def test_nothing_new_leaves_the_conditions_as_they_are() -> None:
    life = Life()
    life.moment(HEALTHY)
    before = life.moment(HEALTHY)
    assert life.moment(HEALTHY) == before


def test_progress_renews_the_time_but_not_that_of_the_change() -> None:
    life = Life()
    life.moment(UNDER_WAY | {"updatedReplicas": 0}, created=True)
    first = life.moment(UNDER_WAY)["Progressing"]
    second = life.moment(UNDER_WAY | {"updatedReplicas": 2})["Progressing"]
    assert second.last_update_time == "2026-01-01T12:03:00Z" > first.last_update_time
    assert second.last_transition_time == first.last_transition_time == "2026-01-01T12:01:00Z"


def test_an_abort_says_why_and_a_retry_begins_again() -> None:
    life = Life()
    life.moment(UNDER_WAY | {"pauseConditions": [{"reason": "CanaryPauseStep"}]})
    aborted = life.moment(UNDER_WAY | {"abort": True}, abort_cause="metric failed")
    assert said(aborted["Progressing"]) == (
        "False",
        "RolloutAborted",
        "Rollout aborted update to revision 2: metric failed",
    )
    assert said(aborted["Paused"])[0] == "True"  # as with Argo: an abort drops pauses without a word
    retried = life.moment(UNDER_WAY)
    assert said(retried["Progressing"]) == ("Unknown", "RolloutRetry", "Retrying Rollout after abort")
    assert said(retried["Paused"])[0] == "False"


def test_an_abort_by_a_person_has_no_cause() -> None:
    found = Life().moment(UNDER_WAY | {"abort": True})["Progressing"]
    assert found.message == "Rollout aborted update to revision 2"


def test_a_release_that_stands_still_is_timed_out() -> None:
    life = Life()
    life.moment(UNDER_WAY)
    assert said(life.moment(UNDER_WAY | {"updatedReplicas": 2})["Progressing"])[1] == "ReplicaSetUpdated"
    late = life.moment(UNDER_WAY | {"updatedReplicas": 2}, late=True)["Progressing"]
    assert said(late) == ("False", "ProgressDeadlineExceeded", 'ReplicaSet "shop-C" has timed out progressing.')
    assert said(life.moment(UNDER_WAY)["Progressing"])[1] == "ReplicaSetUpdated"  # work goes on


def test_what_is_paused_is_not_late() -> None:
    paused = Life(paused=True)
    paused.moment(UNDER_WAY)
    assert said(paused.moment(UNDER_WAY, late=True)["Progressing"])[1] == "RolloutPaused"


def test_pods_that_are_lost_after_the_end_are_no_failure_of_the_release() -> None:
    life = Life()
    life.moment(HEALTHY)
    lost = life.moment(HEALTHY | {"availableReplicas": 1})
    message = "Rollout does not have minimum availability"
    assert said(lost["Progressing"]) == ("True", "ReplicaSetNotAvailable", message)
    assert said(lost["Healthy"]) == ("False", "RolloutHealthy", "Rollout is not healthy")
    assert said(lost["Available"]) == ("False", "AvailableReason", message)


def test_a_new_version_takes_health_away() -> None:
    life = Life()
    life.moment(HEALTHY)
    assert said(life.moment(UNDER_WAY)["Progressing"])[1] == "ReplicaSetUpdated"


def test_conditions_of_others_stay_and_a_spec_that_is_released_is_valid() -> None:
    life = Life()
    other = {"type": "SomebodyElses", "status": "True", "message": "bad", "x": 1}
    life.stored = {"conditions": [other, {"type": "InvalidSpec", "status": "True", "message": "bad"}]}
    found = life.moment(HEALTHY)
    assert found["SomebodyElses"].to_wire() == other
    assert "InvalidSpec" not in found


def test_a_refusal_says_why_beside_what_was_said_before() -> None:
    life = Life()
    before = status(HEALTHY | {"conditions": [each.to_wire() for each in life.moment(HEALTHY).values()]})
    refused = rejection(before, "no such Service", life.now)
    assert refused[:-1] == before.conditions
    assert said(refused[-1]) == ("True", "InvalidSpec", "no such Service")
    again = status({"conditions": [each.to_wire() for each in refused]})
    assert rejection(again, "no such Service", life.now + timedelta(hours=1)) == refused
    other = rejection(again, "no such template", life.now + timedelta(hours=1))[-1]
    assert other.message == "no such template"
    assert other.last_transition_time == refused[-1].last_transition_time


@pytest.mark.parametrize(
    "missing",
    [
        {"updatedReplicas": 1},
        {"availableReplicas": 1},
        {"replicas": 4},
        {"stableRS": "S"},
        {"stableRS": "", "currentPodHash": ""},
        {"observedGeneration": "2"},
        {"currentStepIndex": 0},
    ],
)
def test_health_takes_everything(missing: dict[str, Any]) -> None:
    found = rollout({})
    assert healthy(found, found.canary, status(HEALTHY))
    assert not healthy(found, found.canary, status(HEALTHY | missing))


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ({}, False),
        ({"updatedReplicas": 2}, True),
        ({"replicas": 1}, True),  # an old pod went
        ({"replicas": 3}, False),
        ({"readyReplicas": 3}, True),
        ({"readyReplicas": 1}, False),
        ({"availableReplicas": 3}, True),
        ({"stableRS": "C"}, True),
        ({"currentStepHash": "other"}, True),
        ({"currentStepIndex": 1}, True),
        ({"currentStepIndex": None}, False),
        ({"blueGreen": {"activeSelector": "C"}}, True),
    ],
)
def test_progress_is_any_sign_of_it(change: dict[str, Any], moved: bool) -> None:
    assert progressed(status(UNDER_WAY), status(UNDER_WAY | change)) is moved
