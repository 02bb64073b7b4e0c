"""A check of an outside system: one read, and what its failure means for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from temporalio.exceptions import ApplicationError

from tidegate.contract import Check, CheckState

DEFAULT = ""
"""Key of the remedy for every other failure."""


async def check(name: str, read: Callable[[], Awaitable[str]], remedies: Mapping[str, str]) -> Check:
    """Line of one read, whose text says what was found.

    `remedies` are commands by the type of an ApplicationError, `DEFAULT` that of all others.
    """
    try:
        return Check(name=name, detail=await read())
    except ApplicationError as error:
        return wrong(name, error.message, remedies.get(error.type or "", remedies[DEFAULT]))


def wrong(name: str, detail: str, remedy: str) -> Check:
    """Line of a fault."""
    return Check(name=name, state=CheckState.WRONG, detail=detail, remedy=remedy)


def absent(name: str, setting: str) -> Check:
    """Line of a system that no setting names; `setting` is the variable that would."""
    return Check(name=name, state=CheckState.ABSENT, detail=f"set {setting} to use it")
