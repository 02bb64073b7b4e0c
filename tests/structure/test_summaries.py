"""Each timer, activity and child of a workflow says in plain words what it is, where people look at a run."""

from __future__ import annotations

import ast
import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.structure.sources import ROOT, modules
from tidegate.contract import Activity

# Calls of the SDK, and the argument that the Temporal UI shows. A wait without a limit is no event.
SHOWN = {
    "sleep": "summary",
    "wait_condition": "timeout_summary",
    "execute_activity": "summary",
    "start_activity": "summary",
    "execute_child_workflow": "static_summary",
    "start_child_workflow": "static_summary",
}
HISTORIES = sorted((ROOT / "tests" / "replay").glob("*.json"))
SHOWN_EVENTS = {
    "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED",
    "EVENT_TYPE_TIMER_STARTED",
    "EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED",
}
FEWEST_WORDS = 2


def unnamed(tree: ast.AST) -> list[int]:
    """Lines of calls of the SDK that begin something without a summary."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    found = []
    for call in calls:
        assert isinstance(call.func, ast.Attribute)
        owner, names = call.func.value, {keyword.arg for keyword in call.keywords}
        if not (isinstance(owner, ast.Name) and owner.id == "workflow" and call.func.attr in SHOWN):
            continue
        begins = call.func.attr != "wait_condition" or "timeout" in names
        if begins and SHOWN[call.func.attr] not in names:
            found.append(call.lineno)
    return found


def summaries(history: dict[str, Any]) -> Iterator[str]:
    """The summary of each timer, activity and child of a recorded history, where it has one."""
    for event in history["events"]:
        # The server that recorded them keeps the summaries of some kinds of events only.
        if event["eventType"] in SHOWN_EVENTS and (
            data := event.get("userMetadata", {}).get("summary", {}).get("data")
        ):
            yield json.loads(b64decode(data))


@pytest.mark.parametrize("module", modules("workflows"), ids=lambda file: file.name)
def test_each_begins_with_a_summary(module: object) -> None:
    source = (ROOT / str(module)).read_text()
    assert unnamed(ast.parse(source)) == []


@pytest.mark.parametrize("call", ["sleep(3)", "wait_condition(f, timeout=3)", "execute_activity(a)"])
def test_one_without_a_summary_is_found(call: str) -> None:
    assert unnamed(ast.parse(f"workflow.{call}")) == [1]


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_each_of_a_recorded_life_has_words(file: Path) -> None:
    for text in summaries(json.loads(file.read_text())):
        assert len(text.split()) >= FEWEST_WORDS, text
        assert not [name for name in Activity if "_" in name and name in text], "a name of the code is no plain word"
