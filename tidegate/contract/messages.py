"""Messages of operators to a release, read so that no message can hurt, and the answer."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from tidegate.contract.names import Signal
from tidegate.contract.payload import Payload, PlainText
from tidegate.contract.unreadable import Unreadable, read_leniently
from tidegate.manifests.plain_text import harmless

MAX_TEXT: Final = 1000
"""Characters of a name or a reason that are kept: they go into an incident, a commit and a message."""


class ObjectField(StrEnum):
    """A field of the Rollout object that is a request, and stays in the object."""

    PAUSED = "spec.paused"  # only a pause by this field ends with it
    PROMOTE_FULL = "status.promoteFull"  # the flag is there until the release takes it away


class Message(Payload):
    """Argument of promote, abort, pause or resume."""

    full: bool = False
    current_step: bool = False  # of a promotion: it is meant for a step, and for no other wait
    all_steps: bool = False  # of a promotion: skip the remaining steps, and no other gate
    by: PlainText = ""
    reason: PlainText = ""
    # The version that a promotion is for, as `ReleaseStatus.versions` counts them; None: the one under way.
    versions: int | None = None
    field: ObjectField | None = None  # of the Rollout object that is the request; None: an operator, or another field


_OF_OPERATORS: Final = (Signal.PROMOTE, Signal.ABORT, Signal.PAUSE, Signal.RESUME)
_MEANT: Final = {
    **{each.value: each for each in _OF_OPERATORS},
    "skip": Signal.PROMOTE,
    "rollback": Signal.ABORT,
    "roll-back": Signal.ABORT,
    "stop": Signal.ABORT,
    "hold": Signal.PAUSE,
    "continue": Signal.RESUME,
    "unpause": Signal.RESUME,
}


def signal_of(name: str) -> tuple[Signal | None, bool]:
    """The signal that a person means by a name, None for an unknown one; True where the name asks for 100 %.

    Case, spaces around it, and `_` in place of `-` do not matter.
    """
    command = "-".join(name.strip().lower().replace("_", "-").split())
    if command.replace("-", "") in ("promotefull", "fullpromote"):
        return Signal.PROMOTE, True
    return _MEANT.get(command), False


class Accepted(Payload):
    """Answer of an update."""

    message: str  # the consequence, in one sentence
    run_id: str = ""
    taken: bool = True  # False: no worker answered, and Temporal keeps the message until one does


def parse_message(value: Any) -> Message:
    """Read the argument of a signal, whatever it is (law 8): an object, a string taken as the reason, or nothing.

    Never raises. Unknown fields are ignored, fields of a wrong type are taken as their text. Flags are true only for
    true, "true", "yes" and 1. Of an argument that cannot be decoded only the reason is taken, as far as it can be
    read. Names and reasons are made harmless, as they go to terminals, incidents and commits.
    """
    if isinstance(value, Message):
        return value.model_copy(update={"by": _text(value.by), "reason": _text(value.reason)})
    if isinstance(value, Unreadable | bytes):
        data = value.data if isinstance(value, Unreadable) else value
        no_wish = {"full": False, "current_step": False, "all_steps": False, "field": None}
        return parse_message(read_leniently(data)).model_copy(update=no_wish)
    if isinstance(value, str):
        return Message(reason=_text(value))
    if not isinstance(value, dict):
        return Message()
    versions, field = value.get("versions"), value.get("field")
    return Message(
        full=_is_true(value.get("full")),
        current_step=_is_true(value.get("current_step")),
        all_steps=_is_true(value.get("all_steps")),
        by=_text(value.get("by")),
        reason=_text(value.get("reason")),
        versions=versions if isinstance(versions, int) and not isinstance(versions, bool) else None,
        field=ObjectField(field) if isinstance(field, str) and field in list(ObjectField) else None,
    )


def _is_true(value: Any) -> bool:
    return value is True or value == 1 or (isinstance(value, str) and value.strip().lower() in ("true", "yes"))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return harmless(value[:MAX_TEXT])
    try:
        return harmless(str(value)[:MAX_TEXT])
    except (ValueError, RecursionError):  # a number of thousands of digits has no text in Python
        return ""
