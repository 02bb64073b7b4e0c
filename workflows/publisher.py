"""Keeps the Rollout's `.status` up to date while a release goes on beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import Document
    from workflows.commands import Commands
    from workflows.failures import cause_of
    from workflows.journal import Journal


class Publisher:
    """One write at a time, the changes in between in the next one; begins at once.

    Only what changed is written: the other fields may hold what somebody just patched to speak to the release.
    """

    def __init__(self, journal: Journal, commands: Commands, is_over: Callable[[], bool]) -> None:
        """`is_over` says that no write is to follow the one that tells the newest."""
        self._journal = journal
        self._commands = commands
        self._is_over = is_over
        self._task = asyncio.create_task(self._publish())

    async def ended(self) -> None:
        """Wait until the newest was told."""
        await self._task

    async def _publish(self) -> None:
        tried: Document = {}
        while not (self._is_over() and tried == self._journal.document()):
            await workflow.wait_condition(
                lambda: self._is_over() or self._journal.document() != tried  # noqa: B023
            )
            tried, page = self._journal.document(), self._journal.page
            changes = page.unwritten(tried)
            try:
                page.wrote(changes, await self._commands.publish(changes, tried["phase"]))
            except ActivityError as error:
                workflow.logger.warning("the Rollout's status was not written: %s", cause_of(error))
