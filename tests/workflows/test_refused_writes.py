"""What keeps failing is told while it fails, in the words of who refuses it, once for each cause (laws 3 and 10)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle

from sandbox.kubernetes_api.kinds import KINDS, RESOURCE_QUOTAS, ROLLOUTS
from tests.virtual.cluster import NAMESPACE
from tests.virtual.releases import World
from tests.workflows.edits import HALF, with_steps
from tests.workflows.test_rollout_status import asked_by_object, stand, status
from tidegate.contract import ReleaseStatus

EVENTS = next(kind for kind in KINDS if kind.kind == "Event" and not kind.group)
DENIED = 'admission webhook "freeze.example.com" denied the request: change freeze until Monday'
REASONS = ("ReplicaSetCreateError", "TrafficRoutingError", "ReconciliationError")
QUOTA = "exceeded quota: compute, requested: count/replicasets.apps=1, used: count/replicasets.apps=10"


def warnings(world: World, *reasons: str) -> list[str]:
    """Messages of the Warning Events about what could not be written, in Argo's words for it."""
    found = world.cluster.api.store.select(EVENTS, NAMESPACE)
    return [each["message"] for each in found if each["reason"] in (reasons or REASONS) and each["type"] == "Warning"]


def failing(found: ReleaseStatus) -> bool:
    return found.failing is not None


async def half(world: World) -> WorkflowHandle[Any, Any]:
    """A second version with half of the traffic, at its pause."""
    await stand(world)
    handle = await world.start(asked_by_object(world, "1.1.0", HALF))
    await world.until(handle, lambda found: found.phase == "Paused" and found.actual_weight == 50)
    return handle


async def told(world: World, handle: WorkflowHandle[Any, Any], words: str) -> ReleaseStatus:
    """Wait until the object says it; what the release says then."""
    return await world.until(
        handle, lambda found: failing(found) and words in status(world)["message"], between_passes=False
    )


@pytest.mark.parametrize(
    ("verb", "plural", "words", "reason"),
    [
        ("patch", "virtualservices", DENIED, "TrafficRoutingError"),
        ("create", "replicasets", QUOTA, "ReplicaSetCreateError"),
        ("patch", "replicasets", "replicasets.apps is forbidden: User tidegate cannot patch", "ReconciliationError"),
        ("patch", "services", "services is forbidden: User tidegate cannot patch", "ReconciliationError"),
    ],
)
@pytest.mark.parametrize("code", [403, 422])
async def test_a_refused_write_is_told_while_it_lasts_and_once(
    world: World, verb: str, plural: str, words: str, reason: str, code: int
) -> None:
    await stand(world)
    world.cluster.deny(verb, plural, words, code)
    handle = await world.start(asked_by_object(world, "1.1.0", HALF))
    seen = await told(world, handle, words)
    assert seen.failing is not None
    assert words in seen.failing.what
    said = await condition(world, handle, reason)
    assert (said["status"], words in said["message"]) == ("False", True)
    assert status(world)["phase"] == "Progressing"
    await world.env.sleep(120)
    assert len(warnings(world)) == 1
    assert words in warnings(world, reason)[0]
    await world.until(handle, lambda _: words in status(world)["message"], between_passes=False)
    assert "refused since" in status(world)["message"]
    history = [event async for event in handle.fetch_history_events()]
    await world.env.sleep(120)
    later = [event async for event in handle.fetch_history_events()]
    assert len(later) == len(history), "the retries of a write are no history"
    world.cluster.deny(verb, plural, "", code)
    seen = await world.until(handle, lambda found: found.phase == "Paused" and found.actual_weight == 50)
    assert seen.failing is None
    assert status(world)["message"] == "CanaryPauseStep"


async def test_the_deadline_ends_it_and_the_incident_has_the_words(world: World) -> None:
    await stand(world)
    world.cluster.deny("patch", "virtualservices", DENIED)
    handle = await world.start(asked_by_object(world, "1.1.0", HALF))
    await told(world, handle, DENIED)
    await world.until(handle, lambda found: found.phase == "Degraded", between_passes=False)
    await world.until(handle, lambda found: bool(world.servicenow.incidents), between_passes=False)
    assert DENIED in world.servicenow.incidents[0].description
    assert "Cause: Kubernetes API: PATCH" in world.servicenow.incidents[0].description
    assert 500 < (world.cluster.clock.now - (await handle.describe()).start_time).total_seconds() < 900


async def test_two_causes_are_told_one_after_the_other(world: World) -> None:
    await stand(world)
    world.cluster.deny("patch", "virtualservices", DENIED)
    handle = await world.start(asked_by_object(world, "1.1.0", HALF))
    await told(world, handle, DENIED)
    world.cluster.deny("patch", "virtualservices", "another webhook says no")
    await told(world, handle, "another webhook says no")
    assert len(warnings(world)) == 2
    world.cluster.deny("patch", "virtualservices", DENIED)
    await world.env.sleep(60)
    assert len(warnings(world)) == 2


@pytest.mark.parametrize("code", [403, 422])
async def test_an_abort_whose_way_back_is_refused_tells_people_at_once_and_goes_on(world: World, code: int) -> None:
    handle = await half(world)
    world.cluster.deny("patch", "virtualservices", DENIED, code)
    await handle.signal("abort", {"by": "anna", "reason": "smells"})
    seen = await told(world, handle, DENIED)
    assert status(world)["message"].startswith("RolloutAborted")
    assert seen.actual_weight == 50
    assert seen.waiting is not None
    assert seen.waiting.what == "all traffic on stable"
    await world.until(handle, lambda found: bool(world.servicenow.incidents), between_passes=False)
    assert DENIED in world.servicenow.incidents[0].description
    assert len(world.cluster.replica_sets()) == 2
    await world.env.sleep(300)
    assert len(world.servicenow.incidents) == 1
    assert len(warnings(world)) == 1
    assert all(world.cluster.wanted()), "nothing is scaled while it has traffic"
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    world.cluster.deny("patch", "virtualservices", "", code)
    assert await world.closed(handle) is WorkflowExecutionStatus.FAILED
    await world.followed_up(handle)
    assert world.cluster.weights()[-1] == 0
    assert world.cluster.wanted() == [8, 0]
    assert DENIED not in status(world)["message"]
    notes = [note.text for note in world.servicenow.notes]
    assert any(DENIED in note for note in notes)
    assert any("0 % of the traffic" in note for note in notes)


@pytest.mark.parametrize("code", [403, 422])
async def test_an_abort_makes_no_replica_set_that_was_refused(world: World, code: int) -> None:
    await stand(world)
    world.cluster.deny("create", "replicasets", QUOTA, code)
    handle = await world.start(asked_by_object(world, "1.1.0", HALF))
    await told(world, handle, QUOTA)
    await handle.signal("abort", {"by": "anna", "reason": "not this week"})
    assert await world.closed(handle) is WorkflowExecutionStatus.FAILED
    assert len(world.cluster.replica_sets()) == 1
    assert status(world)["phase"] == "Degraded"
    assert QUOTA not in status(world)["message"]
    seen = await handle.query("status", result_type=ReleaseStatus)
    assert {row.state for row in seen.compensations} == {"done"}


async def test_a_first_version_whose_replica_set_is_refused_can_be_aborted(world: World) -> None:
    world.cluster.deny("create", "replicasets", QUOTA, 422)
    handle = await world.start(asked_by_object(world, "1.0.0", HALF))
    await told(world, handle, QUOTA)
    await handle.signal("abort", {"by": "anna"})
    assert await world.closed(handle) is WorkflowExecutionStatus.FAILED
    assert world.cluster.replica_sets() == []
    assert status(world)["phase"] == "Degraded"


async def test_the_words_of_a_quota_that_the_pods_do_not_fit_in_are_in_the_status(world: World) -> None:
    await stand(world)
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "8"}}}
    world.cluster.apply(quota)
    handle = await world.start(asked_by_object(world, "1.1.0", HALF))
    words = "exceeded quota: few, requested: pods=1, used: pods=8, limited: pods=8"
    await world.until(handle, lambda _: words in status(world).get("message", ""), between_passes=False)
    assert status(world)["message"].startswith("more replicas need to be updated; checkout-")
    failure = next(each for each in status(world)["conditions"] if each["type"] == "ReplicaFailure")
    assert (failure["reason"], words in failure["message"]) == ("FailedCreate", True)
    world.cluster.delete(RESOURCE_QUOTAS, "few")
    await world.until(handle, lambda found: found.phase == "Paused" and found.actual_weight == 50)
    assert status(world)["message"] == "CanaryPauseStep"
    assert all(each["type"] != "ReplicaFailure" for each in status(world)["conditions"])


async def test_an_abort_that_finds_all_traffic_on_stable_waits_for_no_write(world: World) -> None:
    await stand(world)
    handle = await world.start(asked_by_object(world, "1.1.0", with_steps({"pause": {}}, {"setWeight": 50})))
    await world.until(handle, lambda found: found.phase == "Paused")
    world.cluster.fail("patch", "virtualservices", 1000)
    begun = world.cluster.clock.now
    await handle.signal("abort")
    await world.until(handle, lambda found: bool(world.servicenow.incidents), between_passes=False)
    assert (world.cluster.clock.now - begun).total_seconds() <= 2, (
        "503 may be over in a moment, but nobody waits for it"
    )
    assert "0 % on the canary now" in world.servicenow.incidents[0].description
    world.cluster.fail("patch", "virtualservices", 0)
    assert await world.closed(handle) is WorkflowExecutionStatus.FAILED
    assert world.cluster.wanted() == [8, 0]


async def test_what_is_over_in_a_moment_is_not_told(world: World) -> None:
    await stand(world)
    world.cluster.fail("patch", "virtualservices", 2)
    handle = await world.start(asked_by_object(world, "1.1.0", HALF))
    await world.until(handle, lambda found: found.phase == "Paused" and found.actual_weight == 50)
    assert warnings(world) == []


@pytest.mark.parametrize("code", [503, 409])
async def test_what_is_not_over_soon_is_told(world: World, code: int) -> None:
    await stand(world)
    world.cluster.fail("patch", "virtualservices", 1000, code)
    handle = await world.start(asked_by_object(world, "1.1.0", HALF))
    await told(world, handle, "the server is away" if code == 503 else "has been modified")
    assert len(warnings(world)) == 1


async def test_a_cluster_that_cannot_even_be_read_is_told_by_the_release(world: World) -> None:
    handle = await half(world)
    for verb in ("get", "list"):
        world.cluster.deny(verb, "rollouts", "rollouts.argoproj.io is forbidden")
    world.cluster.cache.forget()  # another worker took over, which has seen nothing yet
    await handle.signal("promote")
    seen = await world.until(handle, failing, between_passes=False)
    assert "rollouts.argoproj.io is forbidden" in str(seen.failing)
    for verb in ("get", "list"):
        world.cluster.deny(verb, "rollouts", "")
    assert (await handle.result()).outcome == "Healthy"
    assert world.cluster.find(ROLLOUTS, "checkout") is not None


async def test_a_status_that_is_refused_as_well_does_not_stop_what_is_told_otherwise(world: World) -> None:
    await stand(world)
    world.cluster.deny("patch", "virtualservices", DENIED)
    world.cluster.deny("patch", "rollouts", "no status")
    handle = await world.start(asked_by_object(world, "1.1.0", HALF))
    seen = await world.until(handle, failing, between_passes=False)
    assert DENIED in str(seen.failing)
    await world.until(handle, lambda _: len(warnings(world)) == 1, between_passes=False)
    world.cluster.deny("patch", "rollouts", "")
    await told(world, handle, DENIED)


async def test_a_cluster_that_cannot_be_looked_at_before_a_release_is_told(world: World) -> None:
    await stand(world)
    words = "virtualservices.networking.istio.io is forbidden: User tidegate cannot get resource"
    world.cluster.deny("get", "virtualservices", words)
    handle = await world.start(asked_by_object(world, "1.1.0", HALF))
    seen = await world.until(handle, failing, between_passes=False)
    assert words in str(seen.failing)
    await world.until(handle, lambda _: len(warnings(world)) == 1, between_passes=False)
    assert words in warnings(world)[0]
    history = [event async for event in handle.fetch_history_events()]
    await world.env.sleep(120)
    assert len([event async for event in handle.fetch_history_events()]) == len(history)
    world.cluster.deny("get", "virtualservices", "")
    seen = await world.until(handle, lambda found: found.phase == "Paused" and found.actual_weight == 50)
    assert seen.failing is None
    assert len(warnings(world)) == 1
    assert "refused" not in status(world)["message"]


async def test_a_cluster_that_cannot_be_looked_at_for_too_long_refuses_the_release_with_its_words(world: World) -> None:
    await stand(world)
    world.cluster.deny("get", "virtualservices", "not today")
    handle = await world.start(asked_by_object(world, "1.1.0", HALF))
    await world.until(handle, failing, between_passes=False)
    assert await world.closed(handle) is WorkflowExecutionStatus.FAILED
    ended = await handle.describe()
    assert ended.close_time is not None
    assert 500 < (ended.close_time - ended.start_time).total_seconds() < 900
    assert "not today" in (await handle.query("status", result_type=ReleaseStatus)).message


async def test_a_restart_that_is_refused_is_told_while_it_lasts(world: World) -> None:
    handle = await half(world)
    world.cluster.deny("delete", "pods", DENIED)
    moment = world.cluster.clock.now + timedelta(seconds=5)
    request = asked_by_object(world, "1.1.0", HALF)
    request.rollout["spec"]["restartAt"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    await handle.execute_update("release", request)
    seen = await told(world, handle, DENIED)
    assert (seen.phase, seen.actual_weight, seen.restarting) == ("Paused", 50, True)
    await world.env.sleep(1200)
    assert len(warnings(world)) == 1
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING, "no deadline of the version ends it"
    world.cluster.deny("delete", "pods", "")
    seen = await world.until(handle, lambda found: found.restarted_at is not None)
    assert seen.failing is None
    await world.until(handle, lambda _: DENIED not in status(world)["message"])


async def test_the_condition_has_the_words_while_a_write_is_refused(world: World) -> None:
    await stand(world)
    world.cluster.deny("patch", "virtualservices", DENIED)
    handle = await world.start(asked_by_object(world, "1.1.0", HALF))
    await told(world, handle, DENIED)
    refused = await condition(world, handle, "TrafficRoutingError")
    assert (refused["status"], DENIED in refused["message"]) == ("False", True)
    world.cluster.deny("patch", "virtualservices", "")
    assert (await condition(world, handle, "RolloutPaused"))["status"] == "Unknown"


async def condition(world: World, handle: WorkflowHandle[Any, Any], reason: str) -> dict[str, Any]:
    """The Progressing condition of the object, once it has that reason."""

    def found() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = status(world).get("conditions") or []
        return [row for row in rows if (row["type"], row["reason"]) == ("Progressing", reason)]

    await world.until(handle, lambda _: bool(found()), between_passes=False)
    return found()[0]
