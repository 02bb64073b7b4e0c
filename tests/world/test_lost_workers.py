"""A worker that is killed or frozen in the middle of a pass holds no abort up: its heartbeats are missed."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import EventType, TimeoutType

from benchmarks.abort import Plane, lost, open_plane
from tidegate.client import RolloutRef
from tidegate.contract import Activity

pytestmark = pytest.mark.world


@pytest.mark.parametrize("way", ["killed", "frozen"])
async def test_an_abort_does_not_wait_for_a_lost_worker_to_run_out_of_time(way: str) -> None:
    async with open_plane() as plane:
        await lost(plane, "checkout", way)
        await _is_missed(plane, "checkout", Activity.RESTORE_STABLE)
        if way == "killed":
            await lost(plane, "basket", way, is_blue_green=True)
            await _is_missed(plane, "basket", Activity.SELECT_STABLE)


async def _is_missed(plane: Plane, name: str, back: Activity) -> None:
    """Assert that only heartbeats were missed in an aborted release, and that its traffic went back by a call."""
    release = plane.temporal.get_workflow_handle(RolloutRef("payments", name).workflow_id)
    events = (await release.fetch_history()).events
    ended = [event.activity_task_timed_out_event_attributes for event in events]
    timeouts = {each.failure.timeout_failure_info.timeout_type for each in ended if each.HasField("failure")}
    assert timeouts <= {TimeoutType.TIMEOUT_TYPE_HEARTBEAT}
    kinds = [event.event_type for event in events]
    assert EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED in kinds
    scheduled = [event.activity_task_scheduled_event_attributes for event in events]
    assert back in [each.activity_type.name for each in scheduled]
