"""Activities have no version: what any release recorded asking for, and being answered, is still understood in full.

A release that is pinned to an older worker asks today's activity workers in the words of its day, and reads what they
answer.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from pydantic import TypeAdapter

from tests.contract.wire import activity_functions

HISTORIES = sorted(Path(__file__).parent.glob("*.json"))
KINDS = ("request", "answer")


def signatures() -> dict[str, dict[str, Any]]:
    """Types of the request and the answer of each activity, by its name."""
    found: dict[str, dict[str, Any]] = {}
    for name, function in activity_functions().items():
        hints = get_type_hints(function)
        answer = hints.pop("return", None)
        found[name] = {"request": next(iter(hints.values()), None), "answer": answer}
    return found


SIGNATURES = signatures()


def payloads(history: Path) -> Iterator[tuple[str, str, Any]]:
    """Activity, kind and content of every request and answer of a history."""
    scheduled: dict[str, str] = {}
    for event in json.loads(history.read_text())["events"]:
        if asked := event.get("activityTaskScheduledEventAttributes"):
            scheduled[event["eventId"]] = asked["activityType"]["name"]
            yield from ((scheduled[event["eventId"]], "request", each) for each in contents(asked.get("input")))
        if done := event.get("activityTaskCompletedEventAttributes"):
            name = scheduled[done["scheduledEventId"]]
            yield from ((name, "answer", each) for each in contents(done.get("result")))


def contents(held: dict[str, Any] | None) -> list[Any]:
    return [json.loads(base64.b64decode(each["data"])) for each in (held or {}).get("payloads", []) if "data" in each]


def lost(recorded: Any, understood: Any, path: str = "") -> list[str]:
    """Paths of what was recorded and is not understood any more."""
    if isinstance(recorded, dict) and isinstance(understood, dict):
        return [
            gone
            for key, value in recorded.items()
            for gone in (lost(value, understood[key], f"{path}.{key}") if key in understood else [f"{path}.{key}"])
        ]
    if isinstance(recorded, list) and isinstance(understood, list) and len(recorded) == len(understood):
        return [gone for pair in zip(recorded, understood, strict=True) for gone in lost(*pair, f"{path}[]")]
    return []


@pytest.mark.parametrize("history", HISTORIES, ids=lambda file: file.stem)
def test_what_was_said_is_still_understood_in_full(history: Path) -> None:
    for name, kind, recorded in payloads(history):
        adapter = TypeAdapter(SIGNATURES[name][kind])
        understood = adapter.dump_python(adapter.validate_python(recorded), mode="json", by_alias=True)
        assert lost(recorded, understood) == [], f"{kind} of {name}"


def test_the_histories_ask_for_what_every_release_needs() -> None:
    said = {(name, kind) for history in HISTORIES for name, kind, _ in payloads(history)}
    assert {name for name, _ in said} >= {"observe", "reconcile", "await_change", "measure_datadog", "open_incident"}
    assert {kind for _, kind in said} == set(KINDS)


def test_what_is_lost_is_found() -> None:
    assert lost({"a": {"b": 1, "c": [{"d": 2}]}}, {"a": {"c": [{}]}}) == [".a.b", ".a.c[].d"]
