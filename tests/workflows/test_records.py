"""What ServiceNow hears of a release beside incidents: its change, and that earlier incidents are over."""

from __future__ import annotations

from typing import Any

from tests.virtual.releases import World
from tests.workflows.edits import with_steps
from tests.workflows.watched import failure, paused
from tidegate.contract import Document, ErrorType, Update

CHANGE = "tidegate.io/servicenow-change"


def with_change(*steps: Document) -> Any:
    def edit(rollout: Document) -> None:
        rollout["metadata"].setdefault("annotations", {})[CHANGE] = "true"
        if steps:
            with_steps(*steps)(rollout)

    return edit


async def test_a_change_is_opened_before_the_first_step_and_closed_with_the_outcome(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", with_change({"setWeight": 10}, {"pause": {}})))
    await world.until(handle, paused)
    [opened] = world.servicenow.opened
    assert world.servicenow.closed == []
    await handle.signal("promote")
    result = await handle.result()
    [closed] = world.servicenow.closed
    assert closed.correlation_id == opened.correlation_id
    assert closed.successful
    reasons = [event.reason for event in result.status.events]
    assert reasons.index("ChangeOpened") < reasons.index("TrafficWeightUpdated") < reasons.index("ChangeClosed")


async def test_an_abort_closes_its_change_as_unsuccessful(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = {"error-rate": [0.2]}
    await failure(await world.start(world.request("1.1.1-bad", with_change())))
    [closed] = world.servicenow.closed
    assert not closed.successful
    assert "error-rate" in closed.text


async def test_without_its_change_nothing_is_brought_out(world: World) -> None:
    await world.deploy_stable()
    world.servicenow.refuses_changes = True
    error, _ = await failure(await world.start(world.request("1.1.0", with_change())))
    assert error.type == ErrorType.ROLLOUT_ABORTED
    assert "its change was not opened: ServiceNow: no change" in error.message
    assert world.cluster.weights() == []
    assert world.cluster.wanted() == [8], "an abort makes nothing"


async def test_a_newer_version_closes_the_change_of_the_one_before(world: World) -> None:
    await world.deploy_stable()
    edit = with_change({"setWeight": 10}, {"pause": {}})
    handle = await world.start(world.request("1.1.0", edit))
    await world.until(handle, paused)
    await handle.execute_update(Update.RELEASE, world.request("1.2.0", edit))
    await world.until(handle, lambda status: paused(status) and status.revision == 3)
    [closed] = world.servicenow.closed
    assert not closed.successful
    assert "superseded by revision 3" in closed.text
    assert world.servicenow.opened[0].correlation_id == closed.correlation_id
    await handle.signal("promote")
    await handle.result()
    assert [each.successful for each in world.servicenow.closed] == [False, True]


async def test_steps_that_are_edited_keep_their_change(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0", with_change({"setWeight": 10}, {"pause": {}})))
    await world.until(handle, paused)
    newer = world.request("1.1.0", with_change({"setWeight": 20}, {"pause": {}}))
    await handle.execute_update(Update.RELEASE, newer)
    await world.until(handle, lambda status: paused(status) and status.actual_weight == 20)
    assert len({each.correlation_id for each in world.servicenow.opened}) == 1
    assert world.servicenow.closed == []
    await handle.signal("promote")
    await handle.result()


async def test_the_next_release_that_is_healthy_resolves_what_was_left_open(world: World) -> None:
    await world.deploy_stable()
    assert world.servicenow.resolutions == [], "nothing came before the first"
    world.datadog.answers = {"error-rate": [0.2]}
    await failure(await world.start(world.request("1.1.1-bad")))
    assert world.servicenow.resolutions == []
    world.datadog.answers = {}
    result = await (await world.start(world.request("1.1.2", with_steps({"setWeight": 10})))).result()
    [resolution] = world.servicenow.resolutions
    assert (resolution.release, resolution.revision) == (result.status.workflow_id, 3)
    assert "IncidentsResolved" in [event.reason for event in result.status.events]


async def test_a_first_version_has_a_change_too(world: World) -> None:
    handle = await world.start(world.request("1.0.0", with_change()))
    result = await handle.result()
    assert (result.outcome, world.cluster.wanted()) == ("Healthy", [8])
    [opened], [closed] = world.servicenow.opened, world.servicenow.closed
    assert (closed.correlation_id, closed.successful) == (opened.correlation_id, True)
