"""What turns a release away from its steps, and how work is left without a loose end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import ErrorType, ReleaseRequest


class Interrupted(Exception):  # noqa: N818  # not an error: a turn in the release's life
    """The steps were left because of something else: an abort, a newer version, a full promotion."""


class Aborted(Interrupted):
    """A person or a gate ended the release; the text is the cause, `analysis` the name of the gate's run."""

    def __init__(
        self,
        cause: str,
        type: ErrorType = ErrorType.ROLLOUT_ABORTED,  # noqa: A002  # as in ApplicationError
        *,
        analysis: str = "",
    ) -> None:
        super().__init__(cause)
        self.type = type
        self.analysis = analysis


class Superseded(Interrupted):
    """A newer version came."""

    def __init__(self, newer: ReleaseRequest) -> None:
        super().__init__()
        self.newer = newer


class FullyPromoted(Interrupted):
    """A person skips what is left."""


def cancellation() -> Aborted:
    """The cause that a cancellation from outside is, with the reason that was given for it."""
    return Aborted(f"cancelled: {workflow.cancellation_reason() or 'no reason given'}")


def leave_if_cancelled() -> None:
    """Raise CancelledError in work that was cancelled, although the command that it waited for completed.

    Temporal's SDK passes a cancellation on to the command and returns what that comes to. The cancellation is lost on
    the one who waits then, and with it the abort that it stands for, unless they ask (law 3).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def race(work: Coroutine[Any, Any, None], until: Callable[[], bool]) -> None:
    """Do `work` until it ends or `until` holds; either way it has come to rest when this returns or raises."""
    task = asyncio.create_task(work)
    try:
        await workflow.wait_condition(lambda: task.done() or until())
    except asyncio.CancelledError:
        await _come_to_rest(task)
        raise
    if task.done() and not task.cancelled():
        task.result()
    await _come_to_rest(task)


async def _come_to_rest(task: asyncio.Task[None]) -> None:
    """Cancel what is not done. What it came to is no news: what was cancelled may fail as well as complete."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def let_go(work: asyncio.Future[Any]) -> None:
    """Cancel what an activity or a child workflow is waited for with, and wait for nothing.

    The SDK says itself, within the same workflow task, that it was cancelled: after all events that this task brought,
    and so in no order of theirs. Whoever waited for that would act in an order of tasks, not of events (law 9).
    """
    work.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())  # read, if only once
    work.cancel()


async def sent(signalling: Coroutine[Any, Any, None]) -> None:
    """Send a signal to another workflow; a cancellation meanwhile is raised at once. Raises what the signal does.

    The SDK withdraws a signal whose sender is cancelled, and where it was sent all the same it goes on as if nobody had
    cancelled anything.
    """
    sending = asyncio.create_task(signalling)
    sending.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())  # read, if only once
    await asyncio.shield(sending)


async def shielded(work: Coroutine[Any, Any, None]) -> None:
    """Carry work through: a cancellation is remembered and raised when the work is done (law 3)."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled:
        raise cancelled
