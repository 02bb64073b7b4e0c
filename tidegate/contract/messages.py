"""What people say to a release, read so that no message can hurt, and what it answers."""

from __future__ import annotations

from typing import Any, Final

from tidegate.contract.payload import Payload

PAUSED_BY_SPEC: Final = "spec.paused"
"""Reason of a pause that the Rollout asks for: only such a one ends with the field, as others have other doors."""


class Message(Payload):
    """What a person says with promote, abort, pause or resume."""

    full: bool = False
    by: str = ""
    reason: str = ""


class Accepted(Payload):
    """Answer of an update: what will happen now, in one sentence."""

    message: str
    run_id: str = ""


def parse_message(value: Any) -> Message:
    """Read the argument of a signal, whatever it is (law 8): an object, a string taken as the reason, or nothing.

    Never raises. Unknown fields are ignored, fields of a wrong type are taken as their text; `full` is true only for
    true, "true", "yes" and 1.
    """
    if isinstance(value, Message):
        return value
    if isinstance(value, str):
        return Message(reason=value[:1000])
    if not isinstance(value, dict):
        return Message()
    full = value.get("full")
    return Message(
        full=full is True or full == 1 or str(full).strip().lower() in ("true", "yes"),
        by=_text(value.get("by")),
        reason=_text(value.get("reason")),
    )


def _text(value: Any) -> str:
    return "" if value is None else str(value)[:1000]
