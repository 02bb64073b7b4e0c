"""What a release goes by is its own: flags that others left, names that others took, and the id that it runs under."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateStage

from activities.cluster import ROLLOUTS as CLIENTS_ROLLOUTS
from sandbox.kubernetes_api.kinds import ROLLOUTS
from tests.virtual.cluster import NAMESPACE
from tests.virtual.releases import World
from tests.workflows.test_steps import canary_of, paused, with_steps
from tests.workflows.test_turns import Watched
from tidegate.contract import (
    ANALYSIS_WORKFLOW,
    RELEASES_QUEUE,
    Accepted,
    AnalysisRequest,
    ReleaseStatus,
    Update,
    analysis_id,
)
from tidegate.doorway import Start, release_request

HELD = with_steps({"setWeight": 50}, {"pause": {}})


async def test_a_flag_that_the_release_before_left_is_no_word_about_this_version(world: World) -> None:
    watched = Watched(world)
    await watched.apply("1.0.0", HELD)
    await watched.ended()
    handle = await watched.apply("1.1.0", HELD)
    await world.until(handle, paused)
    # The newer version was seen before the abort of the one before was written into the object.
    world.cluster.apply(dict(world.request("1.2.0", HELD).rollout))
    seen = copy.deepcopy(world.cluster.find(ROLLOUTS, "checkout") or {})
    assert "abort" not in seen["status"]
    await handle.signal("abort", {"by": "ana"})
    with pytest.raises(WorkflowFailureError):
        await (await watched.ended()).result()
    assert watched.status()["abort"] is True
    handle = await world.start(release_request(seen, cluster="default", start=Start("late", "seen before")))
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
    await watched.apply("1.0.0", HELD)
    await watched.ended()
    handle = await watched.apply("1.1.0", HELD)
    await world.until(handle, paused)
    await world.cluster.client.merge_status(CLIENTS_ROLLOUTS, NAMESPACE, "checkout", {"abort": True})
    await watched.tell()
    await handle.signal("promote")
    assert (await (await watched.ended()).result()).outcome == "Healthy"
    assert "abort" not in watched.status()
    assert not world.servicenow.incidents


def said(world: World, flag: str) -> None:
    """Somebody patches a flag into the status of the object."""

    def edit(found: dict[str, Any]) -> dict[str, Any]:
        return found | {"status": found["status"] | {flag: True}}

    world.cluster.change(ROLLOUTS, "checkout", edit, status=True)


async def test_an_abort_that_comes_as_soon_as_the_next_version_has_traffic_is_heard(world: World) -> None:
    watched = Watched(world)
    await watched.apply("1.0.0", HELD)
    await watched.ended()
    handle = await watched.apply("1.1.0", HELD)
    await world.until(handle, paused)
    said(world, "abort")
    await watched.tell()
    await watched.ended()
    assert watched.status()["abort"] is True
    world.cluster.writes.clear()
    hold = world.cluster.hold("patch", "virtualservices")
    world.cluster.apply(dict(world.request("1.2.0", HELD).rollout))
    await watched.look()
    await hold.begun.wait()
    assert {"abort", "abortedAt"} & watched.status().keys() == set(), "no weight while what a version left still stands"
    said(world, "abort")
    hold.go_on.set()
    await world.until(watched.release(), lambda status: status.actual_weight == 50, between_passes=False)
    await watched.tell()
    with pytest.raises(WorkflowFailureError):
        await (await watched.ended()).result()
    assert world.cluster.weights() == [50, 0]


async def test_an_abort_beside_a_newer_version_that_is_refused_is_heard(world: World) -> None:
    watched = Watched(world)
    await watched.apply("1.0.0", HELD)
    await watched.ended()
    handle = await watched.apply("1.1.0", HELD)
    await world.until(handle, paused)
    await watched.apply("1.2.0", with_steps({"setWeight": 500}))
    status = await world.until(handle, paused)
    assert status.images["checkout"].endswith(":1.1.0"), "what is refused takes nobody's place"
    said(world, "abort")
    await watched.look()
    assert (await handle.query("status", result_type=ReleaseStatus)).aborting
    with pytest.raises(WorkflowFailureError):
        await (await watched.ended()).result()
    assert world.cluster.weights()[-1] == 0


def watched_from(steps: list[dict[str, Any]]) -> Any:
    def edit(rollout: dict[str, Any]) -> None:
        canary_of(rollout)["steps"] = steps

    return edit


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
    await squatter.signal("terminate")
    await handle.signal("promote", {"full": True, "by": "ana", "reason": "seen"})
    assert (await handle.result()).outcome == "Healthy"


async def test_the_abort_of_a_version_that_was_just_admitted_is_no_reason_to_try_it_again(world: World) -> None:
    await world.deploy_stable()
    hold = world.cluster.hold("get", "services")
    handle = await world.start(world.request("1.1.0", HELD))
    await hold.begun.wait()
    asked = await handle.start_update(
        Update.RELEASE, world.request("1.1.0", HELD), wait_for_stage=WorkflowUpdateStage.ACCEPTED, result_type=Accepted
    )
    await handle.signal("abort", {"by": "ana"})
    hold.go_on.set()
    assert "is under way" in (await asked.result()).message
    with pytest.raises(WorkflowFailureError, match="Workflow execution failed"):
        await handle.result()
