"""Law 9: a release that is under way goes on under newer code, so every recorded history must replay."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from tests.replay.record import HISTORIES, STORMS, TURNS, Turn
from tests.replay.replayer import replayer

FILES = sorted(HISTORIES.glob("*.json"))


def test_every_turn_is_recorded() -> None:
    recorded = {file.stem.removeprefix("release-") for file in FILES if file.stem.startswith("release-")}
    assert recorded == {turn.__name__ for turn in TURNS}


@pytest.mark.parametrize("storm", STORMS, ids=lambda storm: storm.__name__)
def test_a_storm_is_one(storm: Turn) -> None:
    """A task failed or was lost, its events came again, and people spoke more than once."""
    events = read(HISTORIES / f"release-{storm.__name__}.json").events
    kinds = [event.event_type for event in events]
    assert {EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED, EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT} & {*kinds}
    assert kinds.count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) > 2


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_recorded_history_replays(file: Path) -> None:
    history = read(file)
    assert len(history.events) > 5
    await replayer().replay_workflow(history)


def read(file: Path) -> WorkflowHistory:
    history = WorkflowHistory.from_json("", file.read_text())
    started = history.events[0].workflow_execution_started_event_attributes
    return WorkflowHistory(started.workflow_id, history.events)
