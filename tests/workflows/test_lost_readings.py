"""Readings that went with a worker are taken again, and a verdict waits for one that can still be had (law 4)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from tests.workflows.analysis_double import (
    HANGS,
    NO_DATA,
    World,
    metric,
    only,
    open_analysis_world,
    request,
)
from tidegate.analysis.status import Phase

LOST = 9  # attempts one after the other, each with its worker
# A worker that stops in order says so. Of one that is killed the server hears nothing: that takes seconds of real time.
LEFT_BEHIND = ApplicationError("Worker is shutting down and this activity did not complete", type="WorkerShutdown")


world = pytest.fixture(open_analysis_world, name="world")


async def test_attempts_that_are_lost_with_their_workers_are_no_errors(world: World) -> None:
    world.provider.script = {"m": [HANGS, HANGS, *[LEFT_BEHIND] * LOST, 0.5]}  # which sends no heartbeat
    status = await world.status(request(metric(consecutiveErrorLimit=0)))
    assert (status.phase, only(status).error, only(status).count) == (Phase.SUCCESSFUL, 0, 1)
    assert len(world.provider.asked) == 2 + LOST + 1
    assert {asked.numbers["m"] for asked in world.provider.asked} == {1}, "it is one measurement"


async def test_attempts_that_are_lost_use_up_none_of_those_that_may_fail(world: World) -> None:
    blip = ApplicationError("blip")
    world.provider.script = {"m": [LEFT_BEHIND, HANGS, blip, LEFT_BEHIND, blip, LEFT_BEHIND, 0.5]}
    status = await world.status(request(metric(consecutiveErrorLimit=0)))
    assert (status.phase, only(status).error) == (Phase.SUCCESSFUL, 0)


async def test_three_failures_are_an_error(world: World) -> None:
    world.provider.script = {"m": [ApplicationError("blip")]}
    status = await world.status(request(metric(consecutiveErrorLimit=0)))
    assert (status.phase, only(status).message, len(world.provider.asked)) == (Phase.ERROR, "blip", 3)


async def test_what_is_lost_again_and_again_is_an_error_in_the_end(world: World) -> None:
    world.provider.script = {"m": [LEFT_BEHIND]}
    status = await world.status(request(metric(consecutiveErrorLimit=0)))
    [measurement] = only(status).measurements
    assert status.phase is Phase.ERROR
    assert "shutting down" in measurement.message
    assert measurement.finished_at is not None
    lasted = measurement.finished_at - measurement.started_at
    assert timedelta(minutes=9) < lasted <= timedelta(minutes=10, seconds=5)


async def test_what_a_worker_leaves_behind_as_it_stops_is_measured_by_another(world: World) -> None:
    world.provider.script = {"m": [*[LEFT_BEHIND] * LOST, 0.5]}
    status = await world.status(request(metric(consecutiveErrorLimit=0)))
    assert (status.phase, only(status).error) == (Phase.SUCCESSFUL, 0)


async def test_a_run_that_is_to_settle_while_it_measures_waits_for_its_first_reading(world: World) -> None:
    world.provider.script = {"m": [HANGS, 0.5]}
    handle = await world.start(request(metric(interval="1h")))
    await world.provider.reached.wait()
    await handle.signal("settle")
    status = (await handle.result()).status
    assert (status.phase, status.message, only(status).successful) == (Phase.SUCCESSFUL, "Run Terminated", 1)


@pytest.mark.parametrize(
    ("script", "phase"),
    [
        ([{"error": "lost"}, 0.5], Phase.SUCCESSFUL),
        ([{"error": "lost"}, 7.0], Phase.FAILED),
        ([{"error": "lost"}, NO_DATA], Phase.INCONCLUSIVE),
        ([{"error": "lost"}], Phase.INCONCLUSIVE),
        ([NO_DATA, 0.5], Phase.SUCCESSFUL),
    ],
)
async def test_a_run_without_a_conclusive_reading_takes_one_more_before_its_verdict(
    world: World, script: list[object], phase: Phase
) -> None:
    world.provider.script = {"m": script}
    handle = await world.start(request(metric(interval="1h")))
    await world.until(handle, lambda status: bool(status.metrics[0].measurements))
    await handle.signal("settle")
    status = (await handle.result()).status
    assert (status.phase, len(world.provider.asked)) == (phase, 2)


async def test_a_run_that_has_its_readings_settles_at_once(world: World) -> None:
    world.provider.script = {"m": [0.5, HANGS]}
    handle = await world.start(request(metric(interval="10s")))
    await world.until(handle, lambda status: status.metrics[0].count == 1)
    await world.env.sleep(10)
    while len(world.provider.asked) < 2:
        await world.env.sleep(1)
    await handle.signal("settle")
    status = (await handle.result()).status
    assert (status.phase, only(status).count, len(world.provider.asked)) == (Phase.SUCCESSFUL, 1, 2)
    assert status.started_at is not None
    assert status.completed_at is not None
    assert status.completed_at - status.started_at < timedelta(seconds=20)


async def test_a_metric_that_is_not_to_be_measured_yet_is_not(world: World) -> None:
    world.provider.script = {"m": [0.5]}
    handle = await world.start(request(metric(initialDelay="1h")))
    await world.until(handle, lambda status: status.phase is Phase.RUNNING)
    await handle.signal("settle")
    status = (await handle.result()).status
    assert (status.phase, world.provider.asked) == (Phase.INCONCLUSIVE, [])


async def test_a_run_that_is_to_settle_waits_no_longer_than_a_measurement_may_last(world: World) -> None:
    slow = ApplicationError("slow down", type="RateLimited", next_retry_delay=timedelta(minutes=50))
    world.provider.script = {"m": [slow]}
    handle = await world.start(request(metric(interval="1h")))
    await world.until(handle, lambda status: status.rate_limited_until is not None)
    await handle.signal("settle")
    status = (await handle.result()).status
    assert status.phase is Phase.INCONCLUSIVE
    assert status.started_at is not None
    assert status.completed_at is not None
    assert timedelta(minutes=9) < status.completed_at - status.started_at < timedelta(minutes=11)


async def test_a_person_who_ends_a_run_that_settles_waits_for_nothing(world: World) -> None:
    world.provider.script = {"m": [HANGS]}
    handle = await world.start(request(metric(interval="1h")))
    await world.provider.reached.wait()
    await handle.signal("settle")
    await handle.signal("terminate")
    status = (await handle.result()).status
    assert (status.phase, only(status).measurements) == (Phase.INCONCLUSIVE, ())
    assert status.started_at is not None
    assert status.completed_at is not None
    assert status.completed_at - status.started_at < timedelta(seconds=20)
