"""What each patch of Argo's kubectl plugin, and each other change of a Rollout object, asks of its release."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegate.canary.version import version_of
from tidegate.contract import (
    SPOKEN_FIELDS,
    CompensationStatus,
    Message,
    ReleaseStatus,
    RolloutObject,
    StepState,
    StepStatus,
    Update,
)
from tidegate.doorway import Ask, Note, Release, RunState, Start, Tell, decide, decide_deleted, release_request
from tidegate.story import rollout_status

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}]
PLUGIN = {
    "manager": "kubectl-argo-rollouts",
    "operation": "Update",
    "time": "2026-01-01T00:05:00Z",
    "fieldsV1": {"f:spec": {"f:paused": {}}, "f:status": {"f:abort": {}, "f:promoteFull": {}}},
}


ABORT = {"status": {"abort": True}}
CLEAR = {"status": {"pauseConditions": None}}
FULL = {"status": {"promoteFull": True}}


def rollout(image: str = "shop:1", **spec: Any) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "shop", "image": image}]}}
    return {
        "metadata": {
            "name": "shop",
            "namespace": "default",
            "uid": "u1",
            "generation": 1,
            "resourceVersion": "10",
            "managedFields": [PLUGIN],
        },
        "spec": {"template": template, "strategy": {"canary": {"steps": STEPS}}, **spec},
    }


def release(
    of: dict[str, Any] | None = None, *, state: RunState = RunState.RUNNING, step: int | None = 0, **said: Any
) -> Release:
    """A release that has published its status; `step` is under way, and number 1 is a pause."""
    of = of or rollout()
    version = version_of(of)
    steps = tuple(
        StepStatus(
            index=index,
            text="",
            state=StepState.RUNNING if index == step else StepState.PENDING,
            started_at=BEGAN + timedelta(minutes=index),
        )
        for index in range(len(STEPS))
    )
    paused = {"phase": "Paused", "message": "CanaryPauseStep", "paused_at": BEGAN} if step == 1 else {}
    fields = {
        "workflow_id": "rollout/default/default/shop",
        "run_id": "run-1",
        "cluster": "default",
        "namespace": "default",
        "name": "shop",
        "phase": "Progressing",
        "started_at": BEGAN,
        "steps": steps,
        "step_index": step,
        "desired_hash": version.pod_hash,
        "step_hash": version.step_hash,
        **paused,
        **said,
    }
    status = ReleaseStatus(**fields)
    written = {field: value for field, value in rollout_status(status).items() if field in SPOKEN_FIELDS}
    known = RolloutObject.of(of).model_copy(update={"status": written})
    return Release(state, status.model_copy(update={"object": known}))


def as_written(found: dict[str, Any], by: Release) -> dict[str, Any]:
    """The object with the status that its release wrote; a patch made after that has a later version."""
    return {**found, "status": rollout_status(by.status)}


def patched(found: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """A JSON merge patch (RFC 7396), and what the API server counts up with it."""

    def merge(target: Any, change: Any) -> Any:
        if not isinstance(change, dict):
            return change
        merged = dict(target) if isinstance(target, dict) else {}
        for key, value in change.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = merge(merged.get(key), value)
        return merged

    after: dict[str, Any] = merge(copy.deepcopy(found), patch)
    after["metadata"]["resourceVersion"] = str(int(found["metadata"]["resourceVersion"]) + 1)
    if after["spec"] != found["spec"]:
        after["metadata"]["generation"] += 1
    return after


def told(asks: tuple[Ask, ...]) -> list[tuple[str, bool]]:
    return [(str(ask.update), ask.message.full) for ask in asks if isinstance(ask, Tell)]


@pytest.mark.parametrize(
    ("step", "patch", "expected"),
    [
        pytest.param(0, ABORT, [("abort", False)], id="abort"),
        pytest.param(1, ABORT, [("abort", False)], id="abort in a pause"),
        pytest.param(1, CLEAR, [("promote", False)], id="promote a pause"),
        pytest.param(0, {"status": {"currentStepIndex": 1}}, [("promote", False)], id="promote a step"),
        pytest.param(
            1,
            {"status": {"pauseConditions": None, "controllerPause": False, "currentStepIndex": 2}},
            [("promote", False)],
            id="promote an inconclusive analysis, once",
        ),
        pytest.param(0, FULL, [("promote", True)], id="promote --full"),
        pytest.param(1, FULL, [("promote", True)], id="promote --full in a pause"),
        pytest.param(0, {"status": {"currentStepIndex": 3}}, [("promote", True)], id="promote --skip-all-steps"),
        pytest.param(0, ABORT | {"status": {"abort": True, "promoteFull": True}}, [("abort", False)], id="both"),
        pytest.param(0, {"spec": {"paused": True}}, [("pause", False)], id="pause"),
        pytest.param(0, {"metadata": {"labels": {"a": "b"}}}, [], id="a label"),
        pytest.param(1, {"status": {"currentStepIndex": 0}}, [], id="an index that goes back"),
    ],
)
def test_a_patch_of_the_plugin_is_said_to_the_release(step: int, patch: Any, expected: list[tuple[str, bool]]) -> None:
    under_way = release(step=step)
    found = as_written(rollout(), under_way)
    assert decide(found, under_way).asks == ()
    assert told(decide(patched(found, patch), under_way).asks) == expected


def test_the_same_patch_has_the_same_id_whatever_else_changes() -> None:
    under_way = release(step=0)
    once = patched(as_written(rollout(), under_way), {"status": {"currentStepIndex": 1}})
    later = patched(once, {"status": {"replicas": 3}})
    assert decide(once, under_way).asks == decide(later, under_way).asks != ()


def test_a_promotion_is_answered_when_the_release_has_moved_on() -> None:
    found = patched(as_written(rollout(), release(step=0)), {"status": {"currentStepIndex": 1}})
    assert told(decide(found, release(step=1)).asks) == []


def test_what_the_release_itself_wrote_since_it_was_asked_is_no_patch() -> None:
    before, after = release(step=0), release(step=2)
    found = patched(as_written(rollout(), after), {})
    assert before.known is not None
    late = Release(after.state, after.status.model_copy(update={"object": before.known}))
    assert decide(found, late).asks == ()


def test_an_older_sighting_than_the_release_has_had_speaks_for_nobody() -> None:
    under_way = release(patched(patched(rollout(), {}), {}))
    assert decide(patched(as_written(rollout(), under_way), {"status": {"abort": True}}), under_way).asks == ()
    newer = release(patched(rollout(), {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}}))
    assert decide(rollout(), newer).asks == ()


def before_its_first_write(found: dict[str, Any]) -> Release:
    """A release that was asked for with `found`, and wrote no status yet."""
    fresh = release(found)
    return Release(fresh.state, fresh.status.model_copy(update={"object": RolloutObject.of(found)}))


def test_a_status_that_another_release_left_is_not_said_to_the_next() -> None:
    left = {"abort": True, "promoteFull": True, "currentStepIndex": 3, "controllerPause": True}
    found = rollout() | {"status": left}
    assert decide(patched(found, {"metadata": {"labels": {"a": "b"}}}), before_its_first_write(found)).asks == ()


@pytest.mark.parametrize(("patch", "expected"), [(ABORT, [("abort", False)]), (FULL, [("promote", True)])])
def test_what_is_patched_before_the_first_write_of_a_release_is_not_lost(patch: Any, expected: list[Any]) -> None:
    found = rollout() | {"status": {"phase": "Healthy"}}
    assert told(decide(patched(found, patch), before_its_first_write(found)).asks) == expected


def test_a_release_that_is_undone_is_told_nothing_more() -> None:
    undone = (CompensationStatus(name="traffic to stable"),)
    aborting = release(phase="Degraded", compensations=undone)
    found = as_written(rollout(), aborting)
    for patch in (CLEAR, {"spec": {"paused": True}}, {"spec": {"replicas": 3}}):
        assert decide(patched(found, patch), aborting).asks == ()


def test_a_pause_that_came_by_another_door_does_not_end_with_the_object() -> None:
    said = Message(by="alice", reason="lunch")
    by_object = Message(by="kubectl-argo-rollouts", reason="spec.paused")
    assert decide(as_written(rollout(), release()), release(manual_pause=said)).asks == ()
    paused = release(rollout(paused=True), manual_pause=by_object)
    assert told(decide(patched(rollout(paused=True), {"spec": {"paused": None}}), paused).asks) == [("resume", False)]


def test_who_said_it_is_the_manager_of_the_field() -> None:
    [ask] = decide(patched(as_written(rollout(), release()), ABORT), release()).asks
    assert isinstance(ask, Tell)
    assert (ask.update, ask.run_id) == (Update.ABORT, "run-1")
    assert (ask.message.by, ask.message.reason) == ("kubectl-argo-rollouts", "status.abort")


IMAGE = {"spec": {"template": {"spec": {"containers": [{"name": "shop", "image": "shop:2"}]}}}}


@pytest.mark.parametrize("state", RunState)
def test_set_image_and_undo_start_a_release_whatever_became_of_the_last(state: RunState) -> None:
    found = patched(rollout(), IMAGE)
    asked = decide(found, release(state=state, phase="Degraded")).asks
    assert asked == (Start("u1-2", "another pod template or other steps"),)


def test_other_steps_are_another_version() -> None:
    found = patched(rollout(), {"spec": {"strategy": {"canary": {"steps": [{"setWeight": 5}]}}}})
    assert decide(found, release()).asks == (Start("u1-2", "another pod template or other steps"),)


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.ENDED])
def test_retry_starts_the_version_again(state: RunState) -> None:
    aborted = release(state=state, phase="Degraded", compensations=(CompensationStatus(name="scale"),))
    found = as_written(rollout(), aborted)
    assert decide(found, aborted, recheck=True).asks == ()
    [ask] = decide(patched(found, {"status": {"abort": False}}), aborted).asks
    assert ask == Start("retry-u1-run-1", "retry by kubectl-argo-rollouts")


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.ENDED])
def test_promote_full_brings_an_aborted_version_out_past_its_steps(state: RunState) -> None:
    aborted = release(state=state, phase="Degraded", compensations=(CompensationStatus(name="scale"),))
    [ask] = decide(patched(as_written(rollout(), aborted), FULL), aborted).asks
    assert ask == Start("promote-full-u1-run-1", "status.promoteFull", full=True, by="kubectl-argo-rollouts")
    assert isinstance(ask, Start)
    request = release_request(rollout(), cluster="eu1", start=ask)
    assert (request.full, request.by) == (True, "kubectl-argo-rollouts")


def test_an_aborted_version_is_not_tried_again_when_something_else_changes() -> None:
    text = "RolloutAborted: Rollout aborted update to revision 2: too slow"
    rows = (CompensationStatus(name="scale"),)
    aborted = release(state=RunState.ENDED, phase="Degraded", message=text, revision=2, compensations=rows)
    found = as_written(rollout(), aborted)
    [ask] = decide(patched(found, {"spec": {"replicas": 7}}), aborted).asks
    assert ask == Start("u1-2", "too slow", aborted=True)
    assert isinstance(ask, Start)
    assert release_request(rollout(), cluster="eu1", start=ask).aborted


def test_restart_is_asked_for_once_it_is_later_than_the_last() -> None:
    found = patched(rollout(), {"spec": {"restartAt": "2026-01-01T01:00:00Z"}})
    healthy = release(found, state=RunState.ENDED, phase="Healthy")
    assert decide(found, healthy).asks == (Start("restart-u1-2026-01-01T01:00:00+00:00", "spec.restartAt"),)
    assert decide(patched(found, {"status": {"restartedAt": "2026-01-01T01:00:00Z"}}), healthy).asks == ()


def test_a_restart_is_no_second_attempt_of_an_aborted_version() -> None:
    found = patched(rollout(), {"spec": {"restartAt": "2026-01-01T01:00:00Z"}})
    aborted = release(found, state=RunState.ENDED, phase="Degraded", compensations=(CompensationStatus(name="scale"),))
    [note] = decide(as_written(found, aborted), aborted).asks
    assert isinstance(note, Note)
    assert note.about == "restart-2026-01-01T01:00:00+00:00"


def test_a_stopped_release_is_recovered_even_if_nothing_changed() -> None:
    stopped = release(state=RunState.STOPPED, actual_weight=20)
    [ask] = decide(as_written(rollout(), stopped), stopped).asks
    assert isinstance(ask, Start)
    assert ask.reason.startswith("recovery")


def test_an_object_without_release_starts_one_unless_its_status_says_that_it_is_settled() -> None:
    found = rollout()
    pod_hash = version_of(found).pod_hash
    healthy = {"phase": "Healthy", "stableRS": pod_hash, "observedGeneration": "1"}
    assert decide(found, None).asks == (Start("u1-1", "no release of it is known"),)
    assert decide(found | {"status": healthy}, None).asks == ()
    assert decide(patched(found | {"status": healthy}, IMAGE), None).asks != ()
    assert decide(found | {"status": {"abort": True, "currentPodHash": pod_hash}}, None).asks == ()


def test_what_was_refused_is_tried_again_when_corrected_or_rechecked() -> None:
    refused = release(state=RunState.ENDED, phase="Degraded", message="InvalidSpec: no such Service", step=None)
    assert decide(rollout(), refused).asks == ()
    assert decide(rollout(), refused, recheck=True).asks != ()
    assert decide(patched(rollout(), {"spec": {"replicas": 2}}), refused).asks == (Start("u1-2", "a corrected spec"),)


def test_another_door_s_release_is_not_turned_back_by_the_object() -> None:
    by_ci = release(desired_hash="other", step=0)
    assert decide(patched(rollout(), {"spec": {"replicas": 2}}), by_ci).asks == ()


def test_a_spec_that_changed_beside_the_version_is_told_so_that_it_counts_as_observed() -> None:
    found = patched(as_written(rollout(), release()), {"spec": {"replicas": 2}})
    [ask] = decide(found, release()).asks
    assert isinstance(ask, Start)
    assert ask.key == "u1-2"


@pytest.mark.parametrize(("state", "expected"), [(RunState.RUNNING, [("abort", False)]), (RunState.ENDED, [])])
def test_a_deleted_rollout_ends_its_release(state: RunState, expected: list[tuple[str, bool]]) -> None:
    assert told(decide_deleted("u1", release(state=state)).asks) == expected
    assert told(decide_deleted("u0", release(state=state)).asks) == []
    going = patched(rollout(), {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    assert told(decide(going, release(state=state)).asks) == expected


def test_a_new_object_of_that_name_waits_for_the_end_of_the_other_one_s_release() -> None:
    other = patched(rollout(), {"metadata": {"uid": "u2"}})
    decision = decide(other, release())
    assert told(decision.asks) == [("abort", False)]
    assert decision.look_again
    assert decide(other, release(state=RunState.ENDED)).asks == (Start("u2-1", "a new Rollout of that name"),)


@pytest.mark.parametrize("junk", [None, 7, "x", [], {}, {"currentStepIndex": "3", "pauseConditions": 4}])
def test_nothing_that_stands_in_an_object_makes_it_fail(junk: Any) -> None:
    without_spec = {"metadata": {"name": "shop", "uid": "u1"}, "spec": junk, "status": junk}
    same_version = patched(rollout(paused=True), {"metadata": {"managedFields": junk}}) | {"status": junk}
    for found in (without_spec, same_version):
        for known in (None, release(), release(step=1), release(state=RunState.ENDED)):
            decide(found, known)


def test_a_request_carries_the_spec_and_the_identity_and_nothing_that_others_keep_there() -> None:
    found = rollout()
    found["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "a"}
    asked = release_request(
        found | {"status": {"abort": True, "phase": "Degraded"}}, cluster="eu1", start=Start("k", "why")
    )
    assert (asked.cluster, asked.namespace, asked.name) == ("eu1", "default", "shop")
    assert (asked.by, asked.reason) == ("kubectl-argo-rollouts", "why")
    assert asked.rollout["metadata"]["annotations"] == {"team": "a"}
    assert asked.rollout["status"] == {"abort": True}, "which of the flags stood before the release"
    assert RolloutObject.of(asked.rollout) == RolloutObject.of(found | {"status": {"abort": True}})


def test_an_object_made_anew_while_the_old_one_is_asked_for_gets_its_own_version() -> None:
    """The old one was deleted after it had been seen: a release that it asked for finds another one of its name."""
    old, new = RolloutObject.of(rollout("shop:1")), rollout("shop:2")
    new["metadata"] |= {"uid": "u2", "generation": 1}
    known = old.seen_as(RolloutObject.of(new))
    begun = release(rollout("shop:1"))
    begun = Release(begun.state, begun.status.model_copy(update={"object": known}))
    assert [ask.key for ask in decide(new, begun).asks if isinstance(ask, Start)] == ["u2-1"]


def test_an_object_beside_which_a_pipeline_releases_another_version_asks_for_nothing() -> None:
    pipeline = RolloutObject.of({"metadata": {"name": "shop"}, "spec": rollout("shop:2")["spec"]})
    live = RolloutObject.of(rollout("shop:1"))
    assert pipeline.seen_as(live) == live
