"""What each patch of Argo's kubectl plugin, and each other change of a Rollout object, asks of its release."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegate.contract import (
    REQUEST_FIELDS,
    WORKER_AGENT,
    Compensation,
    CompensationState,
    CompensationStatus,
    ErrorType,
    Message,
    ObjectField,
    ReleaseStatus,
    RolloutObject,
    StepState,
    StepStatus,
    Update,
)
from tidegate.manifests.pod_template.defaults import with_defaults
from tidegate.report import rollout_status
from tidegate.rollouts.template_hash import pod_template_hash
from tidegate.rollouts.version import version_of
from tidegate.watch import Command, EmitWarning, Release, RunState, SendUpdate, StartRelease, decide, release_request
from tidegate.watch.decisions import ABORTED

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}]
PLUGIN = "kubectl-argo-rollouts"


def written_by(manager: str, spec: Iterable[str] = (), status: Iterable[str] = ()) -> dict[str, Any]:
    """An entry of managedFields."""
    fields = {
        section: {f"f:{name}": {} for name in names} for section, names in (("f:spec", spec), ("f:status", status))
    }
    return {
        "manager": manager,
        "operation": "Update",
        "time": "2026-01-01T00:05:00Z",
        "fieldsV1": {section: names for section, names in fields.items() if names},
    }


def label_of(found: dict[str, Any]) -> str:
    """The hash in the label of its ReplicaSet."""
    return pod_template_hash(found["spec"]["template"])


ABORT = {"status": {"abort": True}}
CLEAR = {"status": {"pauseConditions": None}}
FULL = {"status": {"promoteFull": True}}
GIVEN_UP: dict[str, Any] = {
    "phase": "Degraded",
    "aborting": True,
    "ended_by": ErrorType.ROLLOUT_ABORTED,
    "cause": "bad",
    "message": "whatever people read",
}
REFUSED: dict[str, Any] = {
    "phase": "Degraded",
    "ended_by": ErrorType.INVALID_SPEC,
    "cause": "no such Service",
    "message": "whatever people read",
}


def rollout(image: str = "shop:1", **spec: Any) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "shop", "image": image}]}}
    return {
        "metadata": {
            "name": "shop",
            "namespace": "default",
            "uid": "u1",
            "generation": 1,
            "resourceVersion": "10",
            "managedFields": [written_by(PLUGIN, spec=["paused"])],
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
    paused = {"phase": "Paused", "pause": "CanaryPauseStep", "paused_at": BEGAN} if step == 1 else {}
    fields = {
        "finished_at": BEGAN if state is RunState.ENDED else None,
        "workflow_id": "rollout/default/default/shop",
        "run_id": "run-1",
        "cluster": "default",
        "namespace": "default",
        "name": "shop",
        "phase": "Progressing",
        "started_at": BEGAN,
        "steps": steps,
        "step_index": step,
        "desired_hash": label_of(of),
        "template_hash": version.template_hash,
        "step_hash": version.step_hash,
        **paused,
        **said,
    }
    status = ReleaseStatus(**fields)
    written = {field: value for field, value in rollout_status(status).items() if field in REQUEST_FIELDS}
    known = RolloutObject.of(of).model_copy(update={"status": written})
    return Release(state, status.model_copy(update={"object": known}))


def as_written(found: dict[str, Any], by: Release) -> dict[str, Any]:
    """The object with the status that its release wrote; a patch made after that has a later version."""
    status = {field: value for field, value in rollout_status(by.status).items() if value is not None}
    return recorded({**found, "status": status}, WORKER_AGENT, status)


def recorded(found: dict[str, Any], manager: str, fields: Iterable[str]) -> dict[str, Any]:
    """The object after that manager wrote those fields of its status; whoever had written them before did not."""
    after = copy.deepcopy(found)
    names = {f"f:{name}" for name in fields}
    entries = after["metadata"].get("managedFields")
    if not names or not isinstance(entries, list):
        return after
    for entry in entries:
        others = entry["fieldsV1"].get("f:status", {})
        entry["fieldsV1"]["f:status"] = {name: {} for name in others if name not in names}
    entries.append(written_by(manager, status=fields))
    return after


def patched(found: dict[str, Any], patch: dict[str, Any], by: str = PLUGIN) -> dict[str, Any]:
    """A JSON merge patch (RFC 7396), and what the API server counts up and records with it."""

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
    return recorded(after, by, [name for name, value in (patch.get("status") or {}).items() if value is not None])


def cause(found: dict[str, Any], moment: str = "") -> str:
    """Key of a start that the object itself asks for, in or after a run."""
    version, metadata = version_of(found), found["metadata"]
    asked = f"{metadata['uid']}-{metadata['generation']}-{version.template_hash}-{version.step_hash}"
    return f"{asked}-{moment}" if moment else asked


def moment_of(release: Release) -> str:
    return f"{'in' if release.state is RunState.RUNNING else 'after'}-{release.status.run_id}-{release.status.versions}"


def told(asks: tuple[Command, ...]) -> list[tuple[str, bool]]:
    """Each message, and whether it asks for more than the end of a wait."""
    sent = [ask for ask in asks if isinstance(ask, SendUpdate)]
    return [(str(ask.update), ask.message.full or ask.message.all_steps) for ask in sent]


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
    assert decide(found, under_way).commands == ()
    assert told(decide(patched(found, patch), under_way).commands) == expected


def test_the_same_patch_has_the_same_id_whatever_else_changes() -> None:
    under_way = release(step=0)
    once = patched(as_written(rollout(), under_way), {"status": {"currentStepIndex": 1}})
    later = patched(once, {"status": {"replicas": 3}})
    assert decide(once, under_way).commands == decide(later, under_way).commands != ()


def test_a_promotion_is_answered_when_the_release_has_moved_on() -> None:
    found = patched(as_written(rollout(), release(step=0)), {"status": {"currentStepIndex": 1}})
    assert told(decide(found, release(step=1)).commands) == []


def test_what_the_release_itself_wrote_since_it_was_asked_is_no_patch() -> None:
    before, after = release(step=0), release(step=2)
    found = patched(as_written(rollout(), after), {})
    assert before.known is not None
    late = Release(after.state, after.status.model_copy(update={"object": before.known}))
    assert decide(found, late).commands == ()


def test_an_older_sighting_than_the_release_has_had_speaks_for_nobody() -> None:
    under_way = release(patched(patched(rollout(), {}), {}))
    assert decide(patched(as_written(rollout(), under_way), {"status": {"abort": True}}), under_way).commands == ()
    newer = release(patched(rollout(), {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}}))
    assert decide(rollout(), newer).commands == ()


def before_its_first_write(found: dict[str, Any]) -> Release:
    """A release that was asked for with `found`, and wrote no status yet."""
    fresh = release(found)
    return Release(fresh.state, fresh.status.model_copy(update={"object": RolloutObject.of(found)}))


def test_a_status_that_another_release_left_is_not_said_to_the_next() -> None:
    left = {"abort": True, "promoteFull": True, "currentStepIndex": 3, "controllerPause": True}
    found = rollout() | {"status": left}
    assert decide(patched(found, {"metadata": {"labels": {"a": "b"}}}), before_its_first_write(found)).commands == ()


@pytest.mark.parametrize(("patch", "expected"), [(ABORT, [("abort", False)]), (FULL, [("promote", True)])])
def test_what_is_patched_before_the_first_write_of_a_release_is_not_lost(patch: Any, expected: list[Any]) -> None:
    found = rollout() | {"status": {"phase": "Healthy"}}
    assert told(decide(patched(found, patch), before_its_first_write(found)).commands) == expected


def test_a_release_that_is_undone_is_told_nothing_more() -> None:
    aborting = release(**GIVEN_UP)
    found = as_written(rollout(), aborting)
    for patch in (CLEAR, {"spec": {"paused": True}}, {"spec": {"replicas": 3}}):
        assert decide(patched(found, patch), aborting).commands == ()


def test_a_pause_that_came_by_another_door_does_not_end_with_the_object() -> None:
    by_object = Message(by="kubectl-argo-rollouts", reason="spec.paused", field=ObjectField.PAUSED)
    for reason in ("lunch", "spec.paused"):  # a reason is the operator's own words
        said = Message(by="alice", reason=reason)
        assert decide(as_written(rollout(), release()), release(manual_pause=said)).commands == ()
    paused = release(rollout(paused=True), manual_pause=by_object)
    assert told(decide(patched(rollout(paused=True), {"spec": {"paused": None}}), paused).commands) == [
        ("resume", False)
    ]


def test_who_said_it_is_the_manager_of_the_field() -> None:
    [ask] = decide(patched(as_written(rollout(), release()), ABORT), release()).commands
    assert isinstance(ask, SendUpdate)
    assert (ask.update, ask.run_id) == (Update.ABORT, "run-1")
    assert (ask.message.by, ask.message.reason) == ("kubectl-argo-rollouts", "status.abort")


IMAGE = {"spec": {"template": {"spec": {"containers": [{"name": "shop", "image": "shop:2"}]}}}}


@pytest.mark.parametrize("state", RunState)
def test_set_image_and_undo_start_a_release_whatever_became_of_the_last(state: RunState) -> None:
    found = patched(rollout(), IMAGE)
    asked = decide(found, release(state=state, phase="Degraded")).commands
    moment = f"{'in' if state is RunState.RUNNING else 'after'}-run-1-0"
    assert asked == (StartRelease(cause(found, moment), "another pod template or other steps"),)


def test_an_abort_of_the_version_under_way_comes_before_what_is_asked_for_instead() -> None:
    under_way = release()
    found = patched(patched(as_written(rollout(), under_way), IMAGE), ABORT)
    abort, start = decide(found, under_way).commands
    assert isinstance(abort, SendUpdate)
    assert (abort.update, abort.message.by) == (Update.ABORT, PLUGIN)
    assert isinstance(start, StartRelease)
    own = release(**GIVEN_UP)
    [start] = decide(patched(as_written(rollout(), own), IMAGE), own).commands
    assert isinstance(start, StartRelease), "its own flag is nobody's word"


def test_an_abort_that_stood_before_the_version_is_looked_at_again_until_the_release_took_it_away() -> None:
    under_way = release()
    assert under_way.known is not None
    known = under_way.known.model_copy(update={"status": under_way.known.status | {"abort": True}})
    before = Release(RunState.RUNNING, under_way.status.model_copy(update={"object": known}))
    found = patched(as_written(rollout(), under_way), ABORT)
    assert (decide(found, before).commands, decide(found, before).requeue) == ((), True)
    [ask] = decide(found, under_way).commands
    assert isinstance(ask, SendUpdate)
    assert not decide(as_written(rollout(), under_way), under_way).requeue


def test_other_steps_are_another_version() -> None:
    found = patched(rollout(), {"spec": {"strategy": {"canary": {"steps": [{"setWeight": 5}]}}}})
    assert decide(found, release()).commands == (
        StartRelease(cause(found, "in-run-1-0"), "another pod template or other steps"),
    )


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.ENDED])
def test_retry_starts_the_version_again(state: RunState) -> None:
    aborted = release(state=state, **GIVEN_UP)
    found = as_written(rollout(), aborted)
    assert decide(found, aborted, recheck=True).commands == ()
    [ask] = decide(patched(found, {"status": {"abort": False}}), aborted).commands
    assert ask == StartRelease(f"retry-u1-{moment_of(aborted)}", "retry by kubectl-argo-rollouts")


@pytest.mark.parametrize("before", [False, True], ids=["", "that was promoted fully before its abort"])
@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.ENDED])
def test_promote_full_brings_an_aborted_version_out_past_its_steps(state: RunState, before: bool) -> None:
    aborted = release(state=state, **GIVEN_UP, promoted_full=before)
    found = as_written(rollout(), aborted)
    assert "promoteFull" not in found["status"], "a flag that stands already cannot be set, and nobody hears of it"
    [ask] = decide(patched(found, FULL), aborted).commands
    key = f"promote-full-u1-{moment_of(aborted)}"
    assert ask == StartRelease(key, "status.promoteFull", full=True, by="kubectl-argo-rollouts")
    assert isinstance(ask, StartRelease)
    request = release_request(rollout(), cluster="eu1", start=ask)
    assert (request.full, request.by) == (True, "kubectl-argo-rollouts")


def test_a_full_promotion_that_was_carried_out_leaves_no_flag_for_the_next_version() -> None:
    under_way = {"stable_hash": "before", "promoted_full": True}
    assert rollout_status(release(**under_way).status)["promoteFull"] is True
    done = {"stable_hash": label_of(rollout()), "promoted_full": True}
    assert rollout_status(release(**done, phase="Healthy").status)["promoteFull"] is None


def test_an_aborted_version_is_not_tried_again_when_something_else_changes() -> None:
    aborted = release(state=RunState.ENDED, **GIVEN_UP | {"cause": "too slow"})
    found = as_written(rollout(), aborted)
    larger = patched(found, {"spec": {"replicas": 7}})
    [ask] = decide(larger, aborted).commands
    assert ask == StartRelease(cause(larger, "after-run-1-0"), "too slow", aborted=True)
    assert isinstance(ask, StartRelease)
    assert release_request(rollout(), cluster="eu1", start=ask).aborted


def test_an_abort_that_nobody_could_hear_after_a_termination_is_said_to_the_release_that_follows() -> None:
    stopped = release(state=RunState.STOPPED)
    found = patched(as_written(rollout(), stopped), ABORT)
    decision = decide(found, stopped)
    [ask] = decision.commands
    assert isinstance(ask, StartRelease)
    assert (ask.key, ask.aborted, ask.full) == (cause(found, "after-run-1-0"), False, False)
    assert decision.requeue, "what is said to it has to be said at once"
    asked = release_request(found, cluster="eu1", start=ask)
    following = before_its_first_write(asked.rollout | {"metadata": found["metadata"]})
    assert told(decide(found, following).commands) == [("abort", False)]


def test_an_abort_is_heard_after_a_release_that_cannot_say_what_it_heard() -> None:
    """Its code fails, so that it hears nothing, and in the end it is terminated."""
    stopped = release(state=RunState.STOPPED)
    silent = Release(RunState.STOPPED, ReleaseStatus.model_validate({**stopped.status.model_dump(), "object": None}))
    found = patched(as_written(rollout(), stopped), ABORT)
    [ask] = decide(found, silent).commands
    assert isinstance(ask, StartRelease)
    assert ask.ignored_flags == ("abort",)
    for before in (as_written(rollout(), stopped), patched(found, {"status": {"phase": "Degraded"}})):
        [ask] = decide(before, silent).commands
        assert isinstance(ask, StartRelease)
        assert ask.ignored_flags == ()


def test_an_abort_that_a_terminated_release_had_heard_is_not_said_again() -> None:
    stopped = release(state=RunState.STOPPED)
    assert stopped.known is not None
    known = stopped.known.model_copy(update={"status": stopped.known.status | {"abort": True}})
    before = Release(RunState.STOPPED, stopped.status.model_copy(update={"object": known}))
    [ask] = decide(patched(as_written(rollout(), stopped), ABORT), before).commands
    assert isinstance(ask, StartRelease)
    assert ask.ignored_flags == ()


@pytest.mark.parametrize("said", [{}, GIVEN_UP])
def test_promote_full_after_a_termination_is_a_word_about_the_version_that_was_under_way(said: Any) -> None:
    stopped = release(state=RunState.STOPPED, **said)
    found = patched(as_written(rollout(), stopped), FULL)
    key = f"promote-full-u1-{moment_of(stopped)}"
    assert decide(found, stopped).commands == (StartRelease(key, "status.promoteFull", full=True, by=PLUGIN),)
    unknown = patched(found, {"metadata": {"managedFields": None}})
    assert [type(ask) for ask in decide(unknown, stopped).commands] == [EmitWarning, StartRelease], (
        "what is not heard is told"
    )
    own = recorded(found, WORKER_AGENT, ["promoteFull"])
    assert not any(ask.full for ask in decide(own, stopped).commands if isinstance(ask, StartRelease))


def test_an_aborted_version_whose_release_was_terminated_is_tried_again_when_its_abort_is_taken_back() -> None:
    stopped = release(state=RunState.STOPPED, **GIVEN_UP)
    found = as_written(rollout(), stopped)
    [ask] = decide(found, stopped).commands
    assert isinstance(ask, StartRelease)
    assert ask.aborted, "an abort holds over a termination"
    [ask] = decide(patched(found, {"status": {"abort": False}}), stopped).commands
    assert ask == StartRelease(f"retry-u1-{moment_of(stopped)}", f"retry by {PLUGIN}")


def test_restart_is_asked_for_once_it_is_later_than_the_last() -> None:
    found = patched(rollout(), {"spec": {"restartAt": "2026-01-01T01:00:00Z"}})
    healthy = release(found, state=RunState.ENDED, phase="Healthy")
    assert decide(found, healthy).commands == (
        StartRelease("restart-u1-2026-01-01T01:00:00+00:00-after-run-1-0", "spec.restartAt"),
    )
    assert decide(patched(found, {"status": {"restartedAt": "2026-01-01T01:00:00Z"}}), healthy).commands == ()
    done = release(found, state=RunState.ENDED, phase="Healthy", restarted_at=datetime(2026, 1, 1, 1, tzinfo=UTC))
    assert decide(found, done).commands == (), "the release did it, and could not say so in the object"


def test_a_restart_is_no_second_attempt_of_an_aborted_version() -> None:
    found = patched(rollout(), {"spec": {"restartAt": "2026-01-01T01:00:00Z"}})
    aborted = release(found, state=RunState.ENDED, **GIVEN_UP)
    [note] = decide(as_written(found, aborted), aborted).commands
    assert isinstance(note, EmitWarning)
    assert note.about == "restart-2026-01-01T01:00:00+00:00"


def test_a_stopped_release_is_recovered_even_if_nothing_changed() -> None:
    stopped = release(state=RunState.STOPPED, actual_weight=20)
    [ask] = decide(as_written(rollout(), stopped), stopped).commands
    assert isinstance(ask, StartRelease)
    assert ask.reason.startswith("recovery")


BACK = CompensationStatus(name=Compensation.TRAFFIC, state=CompensationState.DONE)
NOT_BACK = CompensationStatus(name=Compensation.TRAFFIC, state=CompensationState.FAILED)


@pytest.mark.parametrize(
    ("said", "reason", "aborted"),
    [
        ({"finished_at": None, "actual_weight": 20}, "ended before what it had done was undone", True),
        ({"finished_at": None}, "ended before what it had done was undone", True),
        ({"finished_at": None, "stable_hash": label_of(rollout())}, "did not finish", False),
        (GIVEN_UP | {"compensations": (NOT_BACK,), "actual_weight": 20}, "bad", True),
        (GIVEN_UP | {"compensations": (BACK,), "actual_weight": 20, "finished_at": None}, "bad", True),
    ],
)
def test_a_release_that_ended_by_itself_with_something_left_undone_is_recovered(
    said: dict[str, Any], reason: str, aborted: bool
) -> None:
    ended = release(state=RunState.ENDED, **said)
    [ask] = decide(as_written(rollout(), ended), ended).commands
    assert isinstance(ask, StartRelease)
    assert (ask.reason.endswith(reason), ask.aborted) == (True, aborted)


def test_a_version_that_was_given_up_is_put_back_and_not_tried_again_when_its_release_was_stopped() -> None:
    stopped = release(state=RunState.STOPPED, actual_weight=20, **GIVEN_UP, compensations=(NOT_BACK,))
    [ask] = decide(as_written(rollout(), stopped), stopped).commands
    assert isinstance(ask, StartRelease)
    assert (ask.reason, ask.aborted) == ("bad", True)


def test_an_object_without_release_starts_one_unless_its_status_says_that_it_is_settled() -> None:
    found = rollout()
    pod_hash = label_of(found)
    healthy = {"phase": "Healthy", "stableRS": pod_hash, "currentPodHash": pod_hash, "observedGeneration": "1"}
    assert decide(found, None).commands == (StartRelease(cause(found), "no release of it is known"),)
    assert decide(found | {"status": healthy}, None).commands == ()
    assert decide(patched(found | {"status": healthy}, IMAGE), None).commands != ()
    aborted = {"phase": "Degraded", "abort": True, "currentPodHash": pod_hash, "observedGeneration": "1"}
    assert decide(found | {"status": aborted}, None).commands == ()


def test_an_aborted_version_without_release_is_scaled_and_not_tried_again() -> None:
    """An autoscaler goes on, whichever controller aborted it, and however long ago that was."""
    found = rollout()
    aborted = {"phase": "Degraded", "abort": True, "currentPodHash": label_of(found), "observedGeneration": "1"}
    scaled = patched(found | {"status": aborted}, {"spec": {"replicas": 9}})
    assert decide(scaled, None).commands == (StartRelease(cause(scaled), ABORTED, aborted=True),)


def test_what_another_controller_observed_under_a_hash_of_its_own_is_settled() -> None:
    """Argo before 1.9 wrote `creationTimestamp: null` into what it hashed, and a ReplicaSet keeps its hash."""
    found = rollout()
    healthy = {"phase": "Healthy", "stableRS": "6d5f8c9b74", "currentPodHash": "6d5f8c9b74", "observedGeneration": "1"}
    assert decide(found | {"status": healthy}, None).commands == ()
    assert decide(found | {"status": healthy | {"phase": "Degraded", "abort": True}}, None).commands == ()
    for open_ in ({"currentPodHash": "other"}, {"observedGeneration": "0"}, {"phase": "Progressing"}):
        assert decide(found | {"status": healthy | open_}, None).commands != ()
    lent = copy.deepcopy(found)
    lent["spec"]["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "legacy"}
    assert decide(lent | {"status": healthy}, None).commands != (), "a Deployment changes without the generation"


def test_the_version_of_a_release_is_what_its_object_asks_for_and_no_label() -> None:
    status = release().status
    assert status.version == version_of(rollout()) == RolloutObject.of(rollout()).version
    assert status.version != (status.desired_hash, status.step_hash)


def test_defaults_that_an_api_server_fills_in_are_no_version() -> None:
    under_way = release()
    stored = copy.deepcopy(as_written(rollout(), under_way))
    stored["spec"]["template"] = with_defaults(stored["spec"]["template"])
    stored["metadata"] |= {"generation": 2}
    assert label_of(stored) != label_of(rollout())
    [ask] = starts(decide(stored, under_way).commands)
    assert ask.reason == "a spec that changed beside template and steps"


def test_what_was_refused_is_tried_again_when_corrected_or_rechecked() -> None:
    refused = release(state=RunState.ENDED, **REFUSED, step=None)
    assert decide(rollout(), refused).commands == ()
    assert decide(rollout(), refused, recheck=True).commands != ()
    corrected = patched(rollout(), {"spec": {"replicas": 2}})
    assert decide(corrected, refused).commands == (StartRelease(cause(corrected, "after-run-1-0"), "a corrected spec"),)


def test_another_door_s_release_is_not_turned_back_by_the_object() -> None:
    by_ci = release(template_hash="other", step=0)
    assert decide(patched(rollout(), {"spec": {"replicas": 2}}), by_ci).commands == ()


def test_a_spec_that_changed_beside_the_version_is_told_so_that_it_counts_as_observed() -> None:
    found = patched(as_written(rollout(), release()), {"spec": {"replicas": 2}})
    [ask] = decide(found, release()).commands
    assert isinstance(ask, StartRelease)
    assert ask.key == cause(found, "in-run-1-0")


def test_a_new_object_of_that_name_waits_for_the_end_of_the_other_one_s_release() -> None:
    other = patched(rollout(), {"metadata": {"uid": "u2"}})
    decision = decide(other, release())
    assert told(decision.commands) == [("abort", False)]
    assert decision.requeue
    ended = release(state=RunState.ENDED)
    assert decide(other, ended).commands == (StartRelease(cause(other, "after-run-1-0"), "a new Rollout of that name"),)


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
        found | {"status": {"abort": True, "phase": "Degraded"}}, cluster="eu1", start=StartRelease("k", "why")
    )
    assert (asked.cluster, asked.namespace, asked.name) == ("eu1", "default", "shop")
    assert (asked.by, asked.reason) == ("kubectl-argo-rollouts", "why")
    assert asked.rollout["metadata"]["annotations"] == {"team": "a"}
    assert asked.rollout["status"] == {"abort": True}, "which of the flags stood before the release"
    assert RolloutObject.of(asked.rollout) == RolloutObject.of(found | {"status": {"abort": True}})


def test_a_request_of_an_object_is_as_old_as_its_spec() -> None:
    """A pipeline's that had to wait for the end of a release takes the place of none that is newer."""

    def requested_at(found: dict[str, Any], **start: Any) -> datetime | None:
        return release_request(found, cluster="eu1", start=StartRelease("k", "why", **start)).requested_at

    found = as_written(rollout(), release())
    assert requested_at(found) == BEGAN + timedelta(minutes=5, seconds=1), "the end of the second that is recorded"
    assert requested_at(found, full=True) is None, "a word of now"
    for junk in (None, "x", [{"manager": "a", "time": "soon", "fieldsV1": {"f:spec": {}}}, 7]):
        assert requested_at(patched(found, {"metadata": {"managedFields": junk}})) is None


def test_an_object_made_anew_while_the_old_one_is_asked_for_gets_its_own_version() -> None:
    """The old one was deleted after it had been seen: a release that it asked for finds another one of its name."""
    old, new = RolloutObject.of(rollout("shop:1")), rollout("shop:2")
    new["metadata"] |= {"uid": "u2", "generation": 1}
    known = old.seen_as(RolloutObject.of(new))
    begun = release(rollout("shop:1"))
    begun = Release(begun.state, begun.status.model_copy(update={"object": known}))
    assert [ask.reason for ask in starts(decide(new, begun).commands)] == ["another pod template or other steps"]


@pytest.mark.parametrize(("flag", "asks"), [("promoteFull", []), ("abort", [Update.ABORT])])
def test_of_what_was_patched_before_the_first_look_only_an_abort_counts(flag: str, asks: list[Update]) -> None:
    """A full promotion that stood already was said of no version that had been there to be looked at (law 4)."""
    asked = rollout("shop:2")
    found = rollout("shop:2") | {"status": {flag: True}}
    begun = release(asked)
    known = RolloutObject.of(asked).seen_as(RolloutObject.of(found))
    begun = Release(begun.state, begun.status.model_copy(update={"object": known}))
    assert [ask.update for ask in decide(found, begun).commands if isinstance(ask, SendUpdate)] == asks


def test_an_object_beside_which_a_pipeline_releases_another_version_asks_for_nothing() -> None:
    pipeline = RolloutObject.of({"metadata": {"name": "shop"}, "spec": rollout("shop:2")["spec"]})
    live = RolloutObject.of(rollout("shop:1"))
    assert pipeline.seen_as(live) == live


def test_what_an_object_came_to_ask_for_while_a_pipeline_asked_for_another_version_is_heard_by_itself() -> None:
    """The pipeline's request was on its way; the release that it began sees an object that nobody has asked it for."""
    asked = {"metadata": {"name": "shop"}, "spec": rollout("shop:2")["spec"]}
    crossed = rollout("shop:3") | {"status": {"observedGeneration": "2"}}
    crossed["metadata"]["generation"] = 3
    pipeline, live = RolloutObject.of(asked), RolloutObject.of(crossed)
    requested = RolloutObject().has_requested(crossed, asked)
    assert not requested
    begun = release(rollout("shop:2"))
    known = pipeline.seen_as(live, requested=requested)
    begun = Release(begun.state, begun.status.model_copy(update={"object": known}))
    assert [ask.reason for ask in starts(decide(crossed, begun).commands)] == ["another pod template or other steps"]


def test_an_object_was_heard_where_its_status_or_the_release_before_tells_so_or_it_asks_for_the_same() -> None:
    found, asked = rollout("shop:1"), rollout("shop:2")
    generation, nobody = found["metadata"]["generation"], RolloutObject()
    assert not nobody.has_requested(found, asked)
    assert nobody.has_requested(found | {"status": {"observedGeneration": str(generation)}}, asked)
    assert RolloutObject.of(found).has_requested(found, asked)
    assert not RolloutObject.of(rollout("shop:9")).has_requested(found, asked)
    defaulted = copy.deepcopy(asked)
    defaulted["spec"]["template"]["spec"] |= {"restartPolicy": "Always"}
    assert nobody.has_requested(defaulted, asked), "it is the same version, as an API server stores it"


def test_the_template_that_a_deployment_came_to_lend_is_not_heard_with_the_generation() -> None:
    found, asked = workload("shop:1"), workload("shop:2")
    found["spec"]["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "legacy"}
    status = {"observedGeneration": str(found["metadata"]["generation"])}
    assert not RolloutObject().has_requested(found | {"status": status}, asked)
    # A request takes its template from the Deployment: another one that stands there now came after that, even where
    # it is the one that stood there before.
    current = found | {"status": status | {"currentPodHash": label_of(found)}}
    assert not RolloutObject().has_requested(current, asked)
    assert not RolloutObject.of(found).has_requested(current, asked)
    assert RolloutObject().has_requested(found, found)


# ------------------------------------------------------------------------------------------- one id for each cause


def workload(image: str) -> dict[str, Any]:
    """The object with the template of its Deployment, which changes without a generation of its own."""
    return rollout(image)


def test_another_template_of_the_same_generation_is_another_cause() -> None:
    under_way = release(workload("shop:1"))
    keys = {ask.key for image in ("shop:2", "shop:3") for ask in starts(decide(workload(image), under_way).commands)}
    assert len(keys) == 2


def test_a_version_that_is_asked_for_again_after_another_one_is_another_cause() -> None:
    """1, 2, 1, 2: each by a run of its own, or all of them by one run."""
    asked = workload("shop:2")
    of = {"of": workload("shop:1")}
    runs = [release(**of, state=RunState.ENDED, phase="Healthy", run_id=run) for run in ("run-1", "run-3")]
    in_one_run = [release(**of, versions=versions) for versions in (1, 3)]
    keys = [ask.key for each in (*runs, *in_one_run) for ask in starts(decide(asked, each).commands)]
    assert len(set(keys)) == 4


def test_what_a_release_turned_down_while_it_was_undone_is_asked_by_another_id_after_it() -> None:
    asked, ids = patched(rollout(), IMAGE), set()
    for state in (RunState.RUNNING, RunState.ENDED):
        decision = decide(asked, release(state=state, **GIVEN_UP))
        assert decision.requeue == (state is RunState.RUNNING), "it may be over before anything changes"
        ids |= {ask.key for ask in starts(decision.commands)}
    assert len(ids) == 2


def test_the_same_word_about_two_versions_of_one_run_has_two_ids() -> None:
    for patch in (ABORT, FULL):
        ids = set()
        for versions in (1, 3):
            under_way = release(versions=versions)
            asks = decide(patched(as_written(rollout(), under_way), patch), under_way).commands
            ids |= {ask.update_id for ask in asks if isinstance(ask, SendUpdate)}
        assert len(ids) == 2


def starts(asks: tuple[Command, ...]) -> list[StartRelease]:
    return [ask for ask in asks if isinstance(ask, StartRelease)]


# ------------------------------------------------------------------------- a flag is a decision only from somebody else


@pytest.mark.parametrize(
    ("step", "patch"),
    [
        pytest.param(0, ABORT, id="abort"),
        pytest.param(0, FULL, id="promote --full"),
        pytest.param(0, {"status": {"currentStepIndex": 1}}, id="a step"),
        pytest.param(0, {"status": {"currentStepIndex": 3}}, id="all steps"),
        pytest.param(1, {"status": {"pauseConditions": None, "controllerPause": None}}, id="no pause any more"),
        pytest.param(
            1, {"status": {"pauseConditions": None, "controllerPause": None, "currentStepIndex": 2}}, id="next"
        ),
    ],
)
def test_what_a_release_wrote_this_one_or_another_is_nobody_s_word(step: int, patch: Any) -> None:
    under_way = release(step=step)
    found = patched(as_written(rollout(), under_way), patch, by=WORKER_AGENT)
    assert decide(found, under_way).commands == ()


def test_an_abort_that_a_late_write_took_away_is_no_retry() -> None:
    aborted = release(state=RunState.ENDED, **GIVEN_UP)
    written = as_written(rollout(), aborted)
    late = {"status": {"abort": None, "abortedAt": None, "phase": "Progressing"}}
    assert decide(patched(written, late, by=WORKER_AGENT), aborted).commands == ()
    by_hand = patched(written, {"status": {"abort": None}})
    assert [ask.reason for ask in starts(decide(by_hand, aborted).commands)] == ["retry by the Rollout object"]


def without_record(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "metadata": {**found["metadata"], "managedFields": None}}


def test_without_a_record_of_writers_an_abort_counts_unless_a_release_wrote_its_time_with_it() -> None:
    under_way = release()
    found = patched(without_record(as_written(rollout(), under_way)), ABORT)
    assert told(decide(found, under_way).commands) == [("abort", False)]
    left = patched(found, {"status": {"abortedAt": "2026-01-01T00:00:00Z"}})
    assert decide(left, under_way).commands == ()


@pytest.mark.parametrize("patch", [FULL, {"status": {"currentStepIndex": 1}}, {"status": {"currentStepIndex": 3}}])
def test_without_a_record_of_writers_nothing_gets_more_traffic_and_the_object_says_so(patch: Any) -> None:
    under_way = release()
    [note] = decide(patched(without_record(as_written(rollout(), under_way)), patch), under_way).commands
    assert isinstance(note, EmitWarning)
    assert "keeps no record of who wrote it" in note.message
