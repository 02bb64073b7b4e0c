"""Reads a fleet for all viewers together: one list, and a query for each release under way, once in a few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from tidegate.client import ReleaseSummary, RolloutRef, TidegateClient, TidegateError
from tidegate.client.queries import with_status
from tidegate.contract import ReleaseStatus
from tidegate.web.rows import RECENT, Fleet, FleetRow

log = structlog.get_logger(__name__)

LASTS: Final = timedelta(seconds=4)
"""Time for which what was read is shown to every viewer."""
LISTED: Final = 500
QUERIED: Final = 100
AT_ONCE: Final = 8
LIST_SECONDS: Final = 5.0
_NO_WORKER: Final = "no worker answers"
_TOO_MANY: Final = f"more than {QUERIED} releases are under way"
_ON_THE_SERVER: Final = "paused on the Temporal server, where not even an abort gets through"

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time now."""
    return datetime.now(UTC)


class FleetReader:
    """The releases of a Temporal namespace, read at most once in `lasts`, and only for a request.

    Of each release under way, of the `QUERIED` that began last, the status is queried. That of an ended one is queried
    once, where it ended badly within a day or where its own page is opened.
    """

    def __init__(self, client: TidegateClient, *, lasts: timedelta = LASTS, now: Clock = utc_now) -> None:
        self._client = client
        self._lasts = lasts
        self._now = now
        self._reading = asyncio.Lock()
        self._fleet = Fleet()
        self._tried_at: datetime | None = None
        self._read: dict[str, FleetRow] = {}  # by run id: the last one with a status

    async def fleet(self) -> Fleet:
        """The releases as of a few seconds ago; those before where Temporal does not answer."""
        async with self._reading:
            if self._tried_at is None or self._now() - self._tried_at >= self._lasts:
                self._fleet = await self._anew()
                self._tried_at = self._now()
            return self._fleet

    def expire(self) -> None:
        """Have the next viewer read anew, as after an act."""
        self._tried_at = None

    async def release(self, rollout: RolloutRef) -> tuple[Fleet, FleetRow | None]:
        """The newest release of a Rollout with its status, also of one that ended long ago."""
        fleet = await self.fleet()
        row = fleet.find(rollout)
        if row is None or row.status is not None:
            return fleet, row
        async with self._reading:
            if not row.trouble:
                row = self._ended(row.summary) or (await self._rows([row.summary]))[0]
            return fleet, row if row.status is not None else await self._with_memo(row)

    async def _with_memo(self, row: FleetRow) -> FleetRow:
        """A release without a status, with all that Temporal itself keeps of it."""
        try:
            kept = await self._client.kept(row.rollout)
        except TidegateError:
            return row
        same = kept is not None and kept.run_id == row.summary.run_id
        return replace(row, summary=kept) if kept is not None and same else row

    async def _anew(self) -> Fleet:
        try:
            async with asyncio.timeout(LIST_SECONDS):
                found = await self._client.list(limit=LISTED)
        except (TidegateError, TimeoutError) as error:
            text = error.message if isinstance(error, TidegateError) else "Temporal does not answer"
            log.warning("releases cannot be listed", error=text)
            return Fleet(self._fleet.rows, self._fleet.read_at, text)
        newest = sorted(found, key=lambda each: each.started_at, reverse=True)
        wanted = [each for each in newest if self._is_wanted(each)][:QUERIED]
        read = {row.summary.run_id: row for row in await self._rows(wanted)}
        runs = {each.run_id for each in found}
        self._read = {run: row for run, row in self._read.items() if run in runs}
        return Fleet([read.get(each.run_id) or self._known(each) for each in found], self._now())

    def _is_wanted(self, summary: ReleaseSummary) -> bool:
        """True for a release whose status may have changed, or is shown and was not read yet."""
        if summary.finished_at is None:
            return summary.state == "Running"
        return FleetRow(summary).ended_badly_since(self._now() - RECENT) and self._ended(summary) is None

    def _ended(self, summary: ReleaseSummary) -> FleetRow | None:
        """A release with its last status, where that was read after its end: it changes no more."""
        row = self._read.get(summary.run_id)
        if row is None or row.status is None or row.status.finished_at is None:
            return None
        return replace(row, summary=summary, trouble="")

    async def _rows(self, summaries: list[ReleaseSummary]) -> list[FleetRow]:
        def query(release: ReleaseSummary) -> Awaitable[ReleaseStatus]:
            rollout = RolloutRef(release.namespace, release.name, release.cluster)
            return self._client.status(rollout, run_id=release.run_id)

        return [self._row(*each) for each in await with_status(summaries, query, AT_ONCE)]

    def _row(self, summary: ReleaseSummary, status: ReleaseStatus | None) -> FleetRow:
        if status is not None:
            row = FleetRow(summary, status, self._now())
            self._read[summary.run_id] = row
            return row
        before = self._read.get(summary.run_id)
        if before is None:
            return FleetRow(summary, trouble=_NO_WORKER)
        return FleetRow(summary, before.status, before.read_at, _NO_WORKER)

    def _known(self, summary: ReleaseSummary) -> FleetRow:
        if summary.finished_at is not None:
            return self._ended(summary) or FleetRow(summary)
        before, trouble = self._read.get(summary.run_id), _ON_THE_SERVER if summary.state == "Paused" else _TOO_MANY
        return FleetRow(summary, trouble=trouble) if before is None else replace(before, trouble=trouble)
