"""Interruptions of a release's steps, and ways to end concurrent work without leaving any of it running."""

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
    """An operator or a gate ended the release; the text is the cause, `analysis` the name of the gate's run."""

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
    """A newer version was requested."""

    def __init__(self, newer: ReleaseRequest) -> None:
        super().__init__()
        self.newer = newer


class FullyPromoted(Interrupted):
    """An operator skips the remaining steps."""


def cancellation() -> Aborted:
    """The abort that a cancellation from outside amounts to, with its reason."""
    return Aborted(f"cancelled: {workflow.cancellation_reason() or 'no reason given'}")


def raise_if_cancelled() -> None:
    """Raise CancelledError in a cancelled task whose command completed all the same.

    Temporal's SDK passes a cancellation on to the command and returns the command's result. The task that waits does
    not see the cancellation, and the abort would be lost, unless it checks (law 3).
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
    """Cancel the task and wait for its end. Its result is ignored: a cancelled task may fail as well as complete."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def let_go(work: asyncio.Future[Any]) -> None:
    """Cancel the wait for an activity or a child workflow, without waiting.

    The SDK reports the cancellation within the same workflow task, after all events of that task. Work that awaited it
    would run in an order of tasks, not of events (law 9).
    """
    work.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())  # read, if only once
    work.cancel()


async def sent(signalling: Coroutine[Any, Any, None]) -> None:
    """Send a signal to another workflow; a cancellation meanwhile is raised at once. Raises the signal's failure.

    The SDK withdraws a signal whose sender is cancelled. Where the signal was sent all the same, the SDK goes on as if
    nothing had been cancelled.
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
