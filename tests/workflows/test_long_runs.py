"""A run that outgrows one history: what it counted, forgot and was told holds in every part of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from tests.workflows.analysis_double import NO_DATA, World, analysis_world, metric, request
from tests.workflows.short_histories import short_histories, until_continued
from tests.workflows.test_comparing import asked, compare
from tidegate.analysis.status import AnalysisStatus, MetricStatus, Phase
from tidegate.contract import AnalysisKind, AnalysisResult, Signal

SOON = 25  # events after which the server asks a run to continue as new: two or three measurements


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with await short_histories(SOON) as env, analysis_world(env) as world:
        yield world


async def parts(world: World, handle: WorkflowHandle[Any, Any]) -> list[int]:
    """Events of each part, from the first one on."""
    events, run_id = [], handle.first_execution_run_id
    while run_id:
        history = await world.client.get_workflow_handle(handle.id, run_id=run_id).fetch_history()
        events.append(len(history.events))
        run_id = history.events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return events


def of(status: AnalysisStatus, name: str) -> MetricStatus:
    [found] = [each for each in status.metrics if each.name == name]
    return found


async def test_limits_counters_and_retention_hold_in_all_parts(world: World) -> None:
    world.provider.script = {
        "steady": [0.5],
        "twice-bad": [0.5, 5, 0.5, 0.5, 0.5, 5, 0.5],
        "too-bad": [5, 0.5, 0.5, 5, 0.5, 0.5, 5],
        "silent": [NO_DATA, 0.5, NO_DATA, NO_DATA, NO_DATA, NO_DATA],
        "good-in-a-row": [0.5, 5, 0.5, 0.5, 0.5, 0.5],
    }
    dry = ("too-bad", "silent", "good-in-a-row")
    handle = await world.start(
        request(
            metric("steady", interval="1s", count=7),
            metric("twice-bad", interval="1s", count=7, failureLimit=2),
            metric("too-bad", interval="1s", count=7, failureLimit=2),
            metric("silent", interval="1s", count=2),
            metric("good-in-a-row", interval="1s", failureLimit=-1, consecutiveSuccessLimit=4),
            dryRun=[{"metricName": f"^{name}$"} for name in dry],
            measurementRetention=[{"metricName": "^steady$", "limit": 2}],
        )
    )
    status = (await handle.result()).status
    events = await parts(world, handle)

    assert len(events) >= 3
    assert max(events) < 2 * SOON
    assert (status.phase, status.message) == (Phase.SUCCESSFUL, "")
    steady, twice_bad, too_bad, silent, row = (of(status, name) for name in ("steady", "twice-bad", *dry))
    assert (steady.count, steady.successful, len(steady.measurements)) == (7, 7, 2)
    assert (twice_bad.phase, twice_bad.failed, len(twice_bad.measurements)) == (Phase.SUCCESSFUL, 2, 7)
    assert (too_bad.phase, too_bad.failed, too_bad.count) == (Phase.FAILED, 3, 7)
    assert (silent.phase, silent.count, silent.successful, silent.inconclusive) == (Phase.INCONCLUSIVE, 6, 1, 5)
    assert (row.phase, row.consecutive_success, row.count) == (Phase.SUCCESSFUL, 4, 6)
    assert status.run_summary is not None
    assert status.run_summary.successful == 2
    times = [each.started_at for each in twice_bad.measurements]
    assert times == sorted(set(times))


async def test_a_later_part_can_be_asked_and_ended(world: World) -> None:
    world.provider.script = {"m": [0.5]}
    handle = await world.start(request(metric(interval="1s")))
    first = world.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
    await until_continued(first)
    newest: WorkflowHandle[Any, Any] = world.client.get_workflow_handle(handle.id)
    before = await world.until(newest, lambda status: bool(status.metrics))
    await newest.signal("terminate")
    status = (await handle.result()).status
    assert status.phase is Phase.SUCCESSFUL
    assert of(status, "m").count >= of(before, "m").count >= 2
    assert status.started_at == before.started_at


async def test_a_comparison_goes_on_with_its_evidence(world: World) -> None:
    handle = await world.start(asked(compare(), kind=AnalysisKind.BACKGROUND))
    await until_continued(world.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id))
    latest = world.client.get_workflow_handle(handle.id, result_type=AnalysisResult)
    await latest.signal(Signal.SETTLE)
    assert (await latest.result()).status.phase is Phase.SUCCESSFUL
    assert len(world.provider.counting.begun) == 1, "the hour before is asked for once"
    finals = [request.state.table.final for request in world.provider.counting.read]
    assert finals == sorted(finals)
