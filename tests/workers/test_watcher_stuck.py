"""A release whose workflow task fails hears no abort: the watcher says so, and after a limit has another one follow."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus

from activities.kubernetes.client import EVENTS, Object
from sandbox.machine import patience
from tests.workers.stumbling import STUMBLE, Stumbling
from tests.workers.watched import NAMESPACE, TERMINATES, Place
from tidegate.client import NoWorkerError
from workers.watch.stuck import GIVEN_UP, STUCK

pytestmark = [pytest.mark.asyncio(loop_scope="module"), TERMINATES]
OFTEN = timedelta(seconds=0.5)


@pytest.fixture
def release_code() -> type[Stumbling]:
    return Stumbling


async def stumble(place: Place) -> str:
    """Bring a canary to 20 % and make its release fail its tasks; the id of its run."""
    await place.apply()
    async with place.watching():
        await place.healthy()
        await place.set_image("shop:2")
        await place.paused_at(1)
        await place.weight_is(20)
        run = (await place.status()).run_id
    await place.temporal.get_workflow_handle(place.ref.workflow_id, run_id=run).signal(STUMBLE)
    return run


async def said(place: Place, reason: str) -> Object:
    """The Event of that reason, once there is one."""
    async with asyncio.timeout(patience(60)):
        while True:
            events = (await place.kube.get(EVENTS.path(NAMESPACE)))["items"]
            found = [each for each in events if each["reason"] == reason]
            if found:
                return found[0]
            await asyncio.sleep(0.1)


async def test_people_are_told_within_a_minute_and_nothing_is_done_without_a_limit(place: Place) -> None:
    run = await stumble(place)
    async with place.watching(stuck_every=OFTEN, stuck_limit=timedelta(0)):
        event = await said(place, STUCK)
    assert event["type"] == "Warning"
    assert event["involvedObject"]["name"] == "shop"
    for word in ("takes no message, not even an abort", "a mistake", "tidegate leaves it to operators"):
        assert word in event["message"]
    handle = place.temporal.get_workflow_handle(place.ref.workflow_id, run_id=run)
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    with pytest.raises(NoWorkerError, match="the workers' code fails on it"):
        await place.status()
    await handle.terminate("the test is over")


async def test_after_the_limit_another_release_puts_the_traffic_back(place: Place) -> None:
    run = await stumble(place)
    async with place.watching(stuck_every=OFTEN, stuck_limit=timedelta(seconds=2)):
        event = await said(place, GIVEN_UP)
        await place.weight_is(0)
        await place.weight_is(20)  # and the steps start over
        await place.paused_at(1)
    assert "a mistake" in event["message"]
    ended = await place.temporal.get_workflow_handle(place.ref.workflow_id, run_id=run).describe()
    assert ended.status is WorkflowExecutionStatus.TERMINATED
    recovered = await place.status()
    assert recovered.run_id != run
    assert any("no release stood behind it" in event.message for event in recovered.events)


async def test_a_release_that_goes_on_is_left_alone(place: Place) -> None:
    await place.apply()
    async with place.watching(stuck_every=timedelta(seconds=0.1), stuck_limit=timedelta(milliseconds=1)):
        await place.healthy()
        await place.set_image("shop:2")
        await place.paused_at(1)
    assert await place.client.stuck(place.name) == ()
    assert (await place.status()).phase == "Paused"
