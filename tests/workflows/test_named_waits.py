"""A release names its wait, the end of it, and the command that ends it, in each state; the command then works."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.virtual.releases import World
from tests.workflows.watched import failure, paused
from tidegate.cli.exits import ExitCode
from tidegate.cli.verdicts import status_code
from tidegate.contract import Accepted, Message, ReleaseStatus
from tidegate.report import details


def waits_for_an_operator(status: ReleaseStatus) -> bool:
    return status.waiting is not None and status.waiting.only_operator


async def test_a_pause_of_an_operator_during_a_timed_pause_is_named_with_who_and_why(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    status = await world.until(handle, paused)
    assert status.waiting is not None
    assert status.waiting.until is not None
    assert status.waiting.who == "its time; an operator: tidegate promote, or tidegate abort"
    assert status_code(status) is ExitCode.STILL_RUNNING
    await handle.execute_update("pause", Message(by="sre", reason="hold on"), result_type=Accepted)
    status = await handle.query("status", result_type=ReleaseStatus)
    assert status.waiting is not None
    assert status.waiting.what == "the end of the pause by sre: hold on"
    assert (status.waiting.until, status.waiting.end) == (None, "an operator acts")
    assert status.waiting.who == "an operator: tidegate resume, or tidegate abort"
    assert status_code(status) is ExitCode.HELD
    assert "Paused by sre: hold on" in details(status)
    await handle.execute_update("resume", Message(by="sre"), result_type=Accepted)
    status = await handle.query("status", result_type=ReleaseStatus)
    assert status.waiting is not None
    assert status.waiting.what == "the pause"
    assert (await handle.result()).outcome == "Healthy"


async def test_a_verdict_ends_the_wait_for_an_analysis_and_no_operator_has_to(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    status = await world.until(
        handle, lambda each: each.waiting is not None and each.waiting.what.startswith("analysis ")
    )
    assert status.waiting is not None
    assert (status.waiting.only_operator, status.waiting.end) == (False, "it is there")
    assert status.waiting.who.startswith("its verdict; ")
    assert (status.held, status.step_number) == (False, 3)
    await handle.signal("abort")
    await failure(handle)


async def test_a_hold_names_the_reading_and_its_threshold(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = {"error-rate": [0.03]}
    handle = await world.start(world.request("1.1.0"))
    await world.env.sleep(timedelta(minutes=20))
    status = await world.until(handle, lambda each: each.held)
    assert status.waiting is not None
    assert "error-rate could not be judged" in status.waiting.what
    assert "0.03" in status.waiting.what
    await handle.signal("abort")
    await failure(handle)


async def test_a_wait_never_ends_before_it_begins(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = {"error-rate": [0.2]}
    handle = await world.start(world.request("1.1.1-bad"))
    status = await world.until(handle, lambda each: each.aborting)
    for _ in range(20):
        if status.waiting is not None and status.waiting.until is not None:
            assert status.waiting.until >= status.waiting.since
        if status.finished_at is not None:
            break
        await world.env.sleep(2)
        status = await handle.query("status", result_type=ReleaseStatus)
    assert status.images["checkout"].endswith(":1.1.1-bad")


@pytest.mark.parametrize("name", ["ABORT", "Abort", " abort", "rollback", "stop"])
async def test_an_abort_counts_however_its_name_is_written(world: World, name: str) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    await handle.signal(name, {"by": "sre", "reason": "smells"})
    error, result = await failure(handle)
    assert "aborted by sre: smells" in error.message
    assert not any("is not known" in warning for warning in result.status.warnings)


@pytest.mark.parametrize("name", ["promote-full", "PROMOTE_FULL", "promoteFull"])
async def test_a_full_promotion_by_its_name_skips_all_steps(world: World, name: str) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    await handle.signal(name, "hotfix")
    result = await handle.result()
    assert (result.outcome, result.status.promoted_full) == ("Healthy", True)


async def test_common_words_pause_skip_and_go_on(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    await handle.signal("Hold")
    await world.until(handle, waits_for_an_operator)
    await handle.signal("continue")
    await world.until(handle, lambda status: not waits_for_an_operator(status))
    await handle.signal("Skip")
    await world.until(handle, lambda status: any(each.reason == "RolloutPromoted" for each in status.events))
    assert (await handle.result()).outcome == "Healthy"


async def test_an_unknown_signal_is_answered_in_events_details_and_status(world: World) -> None:
    await world.deploy_stable()
    handle = await world.start(world.request("1.1.0"))
    await world.until(handle, paused)
    for _ in range(2):
        await handle.signal("abrt")
    status = await world.until(handle, lambda each: bool(each.warnings))
    text = "signal 'abrt' is not known, and nothing was done: did you mean abort?"
    assert status.warnings.count(text) == 1
    assert text in details(status)
    assert text in [each.message for each in status.events if each.reason == "UnknownSignal"]
    assert (await handle.result()).outcome == "Healthy"
