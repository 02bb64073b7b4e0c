"""What a release goes by is its own: flags that others left, names that others took, and the id that it runs under."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError, WorkflowUpdateStage

from activities.kubernetes.client import ROLLOUTS as CLIENTS_ROLLOUTS
from sandbox.kubernetes_api.kinds import ROLLOUTS
from tests.virtual.cluster import NAMESPACE
from tests.virtual.releases import World
from tests.workflows.edits import HALF, canary_of, with_steps
from tests.workflows.watched import Watched, paused
from tidegate.client import RefusedError, TidegateClient
from tidegate.contract import (
    ANALYSIS_WORKFLOW,
    RELEASES_QUEUE,
    Accepted,
    AnalysisRequest,
    ErrorType,
    ReleaseStatus,
    Update,
    analysis_id,
)
from tidegate.watch import StartRelease, release_request


async def test_a_flag_that_the_release_before_left_is_no_word_about_this_version(world: World) -> None:
    watched = Watched(world)
    await watched.promoted("1.0.0")
    handle = await watched.held("1.1.0")
    # The newer version was seen before the abort of the one before was written into the object.
    world.cluster.apply(dict(world.request("1.2.0", HALF).rollout))
    seen = copy.deepcopy(world.cluster.find(ROLLOUTS, "checkout") or {})
    assert "abort" not in seen["status"]
    await handle.signal("abort", {"by": "ana"})
    with pytest.raises(WorkflowFailureError):
        await (await watched.ended()).result()
    assert watched.status()["abort"] is True
    handle = await world.start(release_request(seen, cluster="default", start=StartRelease("late", "seen before")))
    await world.until(handle, paused)
    await watched.tell()
    status = await world.until(handle, paused)
    assert status.images["checkout"].endswith(":1.2.0")
    assert "abort" not in watched.status()
    await handle.signal("promote")
    assert (await handle.result()).outcome == "Healthy"
    assert [each.facts.revision for each in world.servicenow.incidents] == ["2"]


async def test_a_flag_that_a_late_write_of_another_release_left_is_taken_away(world: World) -> None:
    watched = Watched(world)
    await watched.promoted("1.0.0")
    handle = await watched.held("1.1.0")
    await world.cluster.client.merge_status(CLIENTS_ROLLOUTS, NAMESPACE, "checkout", {"abort": True})
    await watched.tell()
    await handle.signal("promote")
    assert (await (await watched.ended()).result()).outcome == "Healthy"
    assert "abort" not in watched.status()
    assert not world.servicenow.incidents


async def aborted_by_a_flag(world: World) -> Watched:
    """A version that a person gave up in the object, where the flag still stands."""
    watched = Watched(world)
    await watched.promoted("1.0.0")
    await watched.held("1.1.0")
    watched.flag("abort")
    await watched.tell()
    await watched.ended()
    return watched


async def test_an_abort_that_comes_as_soon_as_the_next_version_has_traffic_is_heard(world: World) -> None:
    watched = await aborted_by_a_flag(world)
    assert watched.status()["abort"] is True
    world.cluster.writes.clear()
    hold = world.cluster.hold("patch", "virtualservices")
    world.cluster.apply(dict(world.request("1.2.0", HALF).rollout))
    await watched.look()
    await hold.begun.wait()
    assert {"abort", "abortedAt"} & watched.status().keys() == set(), "no weight while what a version left still stands"
    watched.flag("abort")
    hold.go_on.set()
    await world.until(watched.release(), lambda status: status.actual_weight == 50, between_passes=False)
    await watched.tell()
    with pytest.raises(WorkflowFailureError):
        await (await watched.ended()).result()
    assert world.cluster.weights() == [50, 0]


async def test_an_abort_that_comes_before_a_pass_is_made_again_is_no_old_one(world: World) -> None:
    """A pass whose answer was lost had taken the old flag away already; what stands there now is another word."""
    watched = await aborted_by_a_flag(world)
    await world.env.sleep(5)
    hold = world.cluster.hold("patch", "virtualservices")
    world.cluster.apply(dict(world.request("1.2.0", HALF).rollout))
    await watched.look()
    await hold.begun.wait()
    assert "abort" not in watched.status()
    world.cluster.fail("patch", "virtualservices", 1)
    watched.flag("abort")
    hold.go_on.set()
    await world.until(watched.release(), lambda status: status.actual_weight == 50, between_passes=False)
    assert watched.status()["abort"] is True
    await watched.tell()
    with pytest.raises(WorkflowFailureError):
        await (await watched.ended()).result()
    assert world.cluster.weights()[-1] == 0


@pytest.mark.parametrize("flag", ["abort", "promoteFull"])
async def test_what_was_said_after_a_termination_is_heard(world: World, flag: str) -> None:
    watched = Watched(world)
    await watched.promoted("1.0.0")
    handle = await watched.held("1.1.0")
    stable = world.cluster.stable_hash
    await handle.terminate("as somebody does")
    watched.flag(flag)
    await watched.tell()
    await watched.ended()
    assert (world.cluster.stable_hash == stable) is (flag == "abort")
    assert len(world.servicenow.incidents) == (1 if flag == "abort" else 0)
    assert watched.status()["phase"] == ("Degraded" if flag == "abort" else "Healthy")


async def test_an_abort_beside_a_newer_version_that_is_refused_is_heard(world: World) -> None:
    watched = Watched(world)
    await watched.promoted("1.0.0")
    handle = await watched.held("1.1.0")
    await watched.apply("1.2.0", with_steps({"setWeight": 500}))
    status = await world.until(handle, paused)
    assert status.images["checkout"].endswith(":1.1.0"), "what is refused takes nobody's place"
    watched.flag("abort")
    await watched.look()
    assert (await handle.query("status", result_type=ReleaseStatus)).aborting
    with pytest.raises(WorkflowFailureError):
        await (await watched.ended()).result()
    assert world.cluster.weights()[-1] == 0


def watched_from(steps: list[dict[str, Any]]) -> Any:
    def edit(rollout: dict[str, Any]) -> None:
        canary_of(rollout)["steps"] = steps

    return edit


async def test_a_request_that_had_to_wait_takes_the_place_of_no_newer_one(world: World) -> None:
    """It was turned down by a release that was ending, and comes again when another version was asked for."""
    await world.deploy_stable()
    client = TidegateClient(world.client)
    before = await world.env.get_current_time()
    handle = await world.start(world.request("1.1.0", HALF))
    await world.until(handle, paused)
    waited = world.request("1.2.0", HALF).model_copy(update={"requested_at": before - timedelta(minutes=1)})
    with pytest.raises(RefusedError, match=r"asked for after this one.*:1\.1\.0") as refused:
        await client.start(waited)
    assert refused.value.kind == ErrorType.SUPERSEDED
    again = world.request("1.1.0", HALF).model_copy(update={"requested_at": before - timedelta(minutes=1)})
    await client.start(again)
    await handle.signal("promote")
    assert (await handle.result()).outcome == "Healthy"
    with pytest.raises(RefusedError, match=r"asked for after this one.*:1\.1\.0") as refused:
        await client.start(waited)
    assert refused.value.kind == ErrorType.SUPERSEDED
    newer = waited.model_copy(update={"requested_at": await world.env.get_current_time()})
    await client.start(newer)
    status = await world.until(handle, paused)
    assert status.images["checkout"].endswith(":1.2.0")
    await handle.signal("promote")


async def test_the_background_analysis_of_edited_steps_has_a_name_of_its_own(world: World) -> None:
    await world.deploy_stable()
    first, second = [{"setWeight": 50}, {"pause": {}}], [{"setWeight": 20}, {"pause": {}}]
    handle = await world.start(world.request("1.1.0", watched_from(first)))
    await world.until(handle, lambda status: paused(status) and bool(status.analyses))
    asked = world.request("1.1.0", watched_from(second))
    await handle.execute_update(Update.RELEASE, asked, result_type=Accepted)
    status = await world.until(handle, lambda status: paused(status) and len(status.analyses) == 2)
    names = [each.name for each in status.analyses]
    assert names == [names[0], f"{names[0]}.1"]
    await handle.signal("promote", {"full": True, "by": "ana", "reason": "seen"})
    assert (await handle.result()).outcome == "Healthy"


@pytest.mark.long
async def test_the_analysis_of_a_release_that_was_terminated_keeps_its_name_for_itself(world: World) -> None:
    await world.deploy_stable()
    watched = watched_from([{"setWeight": 50}, {"pause": {}}])
    handle = await world.start(world.request("1.1.0", watched))
    [run] = (await world.until(handle, lambda status: paused(status) and bool(status.analyses))).analyses
    await handle.terminate("as somebody does")
    await world.closed(world.client.get_workflow_handle(run.workflow_id))
    assert not world.cluster.analysis_runs(), "nothing in the cluster tells that the name was used"
    handle = await world.start(world.request("1.1.0", watched))
    status = await world.until(handle, lambda status: paused(status) and bool(status.analyses))
    assert [each.name for each in status.analyses] == [f"{run.name}.1"]
    await handle.signal("promote", {"full": True, "by": "ana", "reason": "seen"})
    assert (await handle.result()).outcome == "Healthy"


async def test_a_name_that_somebody_took_keeps_no_release_from_its_analysis(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", watched_from([{"setWeight": 50}, {"pause": {}}])))
    [run] = (await world.until(handle, lambda status: paused(status) and bool(status.analyses))).analyses
    await handle.signal("abort")
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    await world.closed(world.client.get_workflow_handle(run.workflow_id))
    spec = {"metrics": [{"name": "m", "interval": "1h", "count": 9, "provider": {"datadog": {"query": "q"}}}]}
    theirs = AnalysisRequest(namespace=NAMESPACE, name=run.name, spec=spec)
    squatter = await world.client.start_workflow(
        ANALYSIS_WORKFLOW, theirs, id=analysis_id("default", NAMESPACE, run.name), task_queue=RELEASES_QUEUE
    )
    handle = await world.start(world.request("1.1.0", watched_from([{"setWeight": 50}, {"pause": {}}])))
    status = await world.until(handle, lambda status: paused(status) and bool(status.analyses))
    assert [each.name for each in status.analyses] == [f"{run.name}.1"]
    await world.closed(squatter)  # as for all that the release knows it is what a run before it left behind
    await handle.signal("promote", {"full": True, "by": "ana", "reason": "seen"})
    assert (await handle.result()).outcome == "Healthy"


async def test_the_abort_of_a_version_that_was_just_admitted_is_no_reason_to_try_it_again(world: World) -> None:
    await world.deploy_stable()
    hold = world.cluster.hold("get", "services")
    handle = await world.start(world.request("1.1.0", HALF))
    await hold.begun.wait()
    asked = await handle.start_update(
        Update.RELEASE, world.request("1.1.0", HALF), wait_for_stage=WorkflowUpdateStage.ACCEPTED, result_type=Accepted
    )
    await handle.signal("abort", {"by": "ana"})
    hold.go_on.set()
    assert "is under way" in (await asked.result()).message
    with pytest.raises(WorkflowFailureError, match="Workflow execution failed"):
        await handle.result()


async def test_an_abort_overrules_a_full_promotion_that_was_said_before_it(world: World) -> None:
    watched = Watched(world)
    await watched.promoted("1.0.0")
    stable = world.cluster.stable_hash
    handle = await watched.held("1.1.0")
    hold = world.cluster.hold("patch", "replicasets")
    watched.flag("promoteFull")
    await watched.look()
    await hold.begun.wait()
    await handle.signal("abort", {"by": "ana"})
    hold.go_on.set()
    await watched.tell()
    with pytest.raises(WorkflowFailureError):
        await (await watched.ended()).result()
    await watched.tell()
    assert world.cluster.stable_hash == stable
    assert (watched.status()["phase"], watched.status().get("promoteFull")) == ("Degraded", None)
    await world.env.sleep(2)
    watched.flag("promoteFull")
    await watched.tell()
    assert (await (await watched.ended()).result()).outcome == "Healthy", "said once more, it is carried out"


@pytest.mark.parametrize("full", [True, False])
async def test_a_promotion_counts_for_the_version_that_it_was_said_about(world: World, full: bool) -> None:
    watched = Watched(world)
    await watched.promoted("1.0.0")
    handle = await watched.held("1.1.0")
    said = {"full": full, "by": "ana", "versions": (await handle.query("status", result_type=ReleaseStatus)).versions}
    await handle.execute_update(Update.RELEASE, world.request("1.2.0", HALF), result_type=Accepted)
    await world.until(handle, lambda status: paused(status) and status.images["checkout"].endswith("1.2.0"))
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(Update.PROMOTE, said, result_type=Accepted)
    assert "another version is under way" in str(refused.value.cause)
    await handle.signal("promote", said)
    assert paused(await handle.query("status", result_type=ReleaseStatus))
    assert (await handle.query("status", result_type=ReleaseStatus)).versions == said["versions"] + 1
    await handle.execute_update(Update.PROMOTE, {**said, "versions": said["versions"] + 1}, result_type=Accepted)
    assert (await (await watched.ended()).result()).outcome == "Healthy"


async def test_a_promotion_behind_an_abort_hears_that_it_is_overruled(world: World) -> None:
    await world.deploy_stable()
    hold = world.cluster.hold("get", "services")
    handle = await world.start(world.request("1.1.0", HALF))
    await hold.begun.wait()
    await handle.signal("abort", {"by": "ana"})
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(Update.PROMOTE, {"full": True, "by": "bob"}, result_type=Accepted)
    assert "being aborted, which overrules it" in str(refused.value.cause)
    hold.go_on.set()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
