"""Incidents in ServiceNow: one for each cause, however often it is asked for, with its evidence attached."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import structlog
from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.charts import draw
from activities.secrets.store import Secrets
from activities.servicenow.changes import Changes
from activities.servicenow.fields import INCIDENT_DEFAULTS, ServiceNowSettings, columns_of, cut, links
from activities.servicenow.session import SYSTEM, Body, Session
from activities.servicenow.tables import (
    DISPLAY,
    MAX_DESCRIPTION,
    MAX_SHORT_DESCRIPTION,
    TIME,
    RecordTable,
    Row,
    correlation_id_of,
    correlation_prefix,
    parse_all,
)
from activities.transport.errors import unavailable
from tidegate.contract import (
    Activity,
    IncidentNote,
    IncidentRef,
    IncidentRequest,
    ResolvedIncidents,
    ResolveIncidents,
)
from tidegate.manifests.plain_text import harmless_json

log = structlog.get_logger(__name__)

ATTACHMENTS = "/api/now/attachment"
CHART = "readings.png"
RESOLVED = "6"
ENDED = (RESOLVED, "7", "8")  # resolved, closed, canceled
# What follows the release in the correlation id of an abort.
_ABORT = re.compile(r"(?P<revision>[0-9]{1,10})/(?P<run>[^/]+)/aborted")


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    file_name: str = ""
    table_sys_id: str = ""


class ServiceNow:
    """Incidents and changes of one instance.

    The platform has no unique keys, so every record is searched for before it is created. The workflow runs one attempt
    for a cause at a time.
    """

    def __init__(
        self,
        secrets: Secrets,
        http: httpx.AsyncClient,
        settings: ServiceNowSettings | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives unix seconds."""
        self._settings = settings or ServiceNowSettings()
        self._session = Session(
            secrets,
            http,
            url=self._settings.url,
            secret_path=self._settings.secret_path,
            timeout_seconds=self._settings.timeout_seconds,
            clock=clock,
        )
        self._incidents = RecordTable(self._session, "incident")
        self._changes = Changes(self._session, self._settings)

    def activities(self) -> list[Callable[..., Any]]:
        """Activities that a worker registers."""
        return [self.open_incident, self.note_incident, self.resolve_incidents, *self._changes.activities()]

    async def probe(self) -> str:
        """Read one incident as a proof of address and credentials. Raises ApplicationError as `open_incident`."""
        await self._session.call("GET", "/api/now/table/incident", {"sysparm_limit": "1", "sysparm_fields": "sys_id"})
        return f"incidents of {await self._session.address()} are readable"

    @activity.defn(name=Activity.OPEN_INCIDENT)
    async def open_incident(self, request: IncidentRequest) -> IncidentRef:
        """Open the incident of `request.correlation_id` with its attachments, or complete the one that is there.

        Raises ApplicationError: `RateLimited` with the delay that the server asks for, `Unauthorized` when the
        credentials stay refused, `Unavailable`, `NotFound` or `Rejected`.
        """
        correlation_id = correlation_id_of(request.correlation_id)
        row = await self._incidents.find(correlation_id)
        created = row is None
        if row is None:
            row = await self._create(request, correlation_id)
            log.info("incident opened", number=row.number, correlation_id=correlation_id)
        await self._complete(row, request)
        link = await self._incidents.link(row.sys_id)
        return IncidentRef(number=row.number, sys_id=row.sys_id, url=link, created=created)

    @activity.defn(name=Activity.NOTE_INCIDENT)
    async def note_incident(self, request: IncidentNote) -> None:
        """Add a work note, unless it exists. Raises as `open_incident` does.

        A missing incident is `Unavailable`: notes are effects of their own, which may come before it.
        """
        row = await self._incidents.find(correlation_id_of(request.correlation_id))
        if row is None:
            raise unavailable(SYSTEM, f"the incident {request.correlation_id} is not there yet")
        mark = _mark(request.event)
        if not await self._incidents.has_note(row.sys_id, mark):
            await self._incidents.update(row.sys_id, {"work_notes": _note(request.text, mark)})

    @activity.defn(name=Activity.RESOLVE_INCIDENTS)
    async def resolve_incidents(self, request: ResolveIncidents) -> ResolvedIncidents:
        """Resolve, with a note, the open incidents of earlier runs of this release. Raises as `open_incident`.

        Incidents that operators resolved, closed or canceled stay as they are, and so do those that they opened again
        after this.
        """
        mark = _mark(f"{request.release}/{request.revision}/{request.run_id}/healthy")
        rows = await self._open_earlier(request)
        numbers = [row.number for row in rows if await self._resolve(row, request.text, mark)]
        if not numbers:
            return ResolvedIncidents(message="no incident was left open")
        log.info("incidents resolved", numbers=numbers)
        return ResolvedIncidents(message=f"resolved: {', '.join(numbers)}", numbers=tuple(numbers))

    async def _open_earlier(self, request: ResolveIncidents) -> list[Row]:
        prefix = correlation_prefix(request.release)
        query = f"correlation_idSTARTSWITH{prefix}^correlation_display={DISPLAY}^stateNOT IN{','.join(ENDED)}"
        rows = await self._incidents.rows(f"{query}^ORDERBYsys_created_on")
        return [row for row in rows if row.state not in ENDED and _is_earlier(row, prefix, request)]

    async def _resolve(self, row: Row, text: str, mark: str) -> bool:
        if await self._incidents.has_note(row.sys_id, mark):
            return False
        if (await self._incidents.read(row.sys_id)).state in ENDED:  # it was closed meanwhile
            return False
        # In one request, so that a crash leaves no note without its resolution.
        body = {
            "state": RESOLVED,
            "close_code": self._settings.resolve_code,
            "close_notes": cut(text, MAX_DESCRIPTION),
            "work_notes": _note(text, mark),
        }
        resolved = await self._incidents.update(row.sys_id, body)
        if resolved.state not in ENDED:
            raise unavailable(SYSTEM, f"{row.number} was not resolved, its state stays {resolved.state[:40]!r}")
        return True

    async def _create(self, request: IncidentRequest, correlation_id: str) -> Row:
        settings = self._settings
        templates = {**INCIDENT_DEFAULTS, **settings.fields}
        columns = columns_of(templates, request.fields, settings.allowed_fields, request.facts)
        found = links(request.facts, request.graphs, settings.temporal_ui, settings.graph_url)
        first = [request.summary, ""] if request.summary else []
        links_and_complaints = [*columns.complaints, *found]
        blank = [""] if links_and_complaints else []
        description = "\n".join([*first, *links_and_complaints, *blank, request.description])
        body = {
            "short_description": cut(request.short_description, MAX_SHORT_DESCRIPTION),
            "description": cut(description, MAX_DESCRIPTION),
            "correlation_id": correlation_id,
            "correlation_display": DISPLAY,
        }
        row = await self._incidents.create(body, columns)
        if row.correlation_id != correlation_id:
            log.warning("the instance did not keep the correlation id: a retry would open another incident")
        return row

    async def _complete(self, row: Row, request: IncidentRequest) -> None:
        expected = list(request.attachments) + [CHART] * (request.chart is not None)
        there = await self._attached(row) if expected else frozenset()
        for name, document in request.attachments.items():
            if name not in there:
                await self._attach(row, name, Body(harmless_json(json.dumps(document, indent=2, ensure_ascii=False))))
        if request.chart is not None and CHART not in there:
            await self._attach(row, CHART, Body(await asyncio.to_thread(draw, request.chart), "image/png"))

    async def _attached(self, row: Row) -> frozenset[str]:
        query = {"sysparm_query": f"table_sys_id={row.sys_id}", "sysparm_limit": "1000"}
        files = parse_all(_File, await self._session.call("GET", ATTACHMENTS, query))
        return frozenset(file.file_name for file in files if file.table_sys_id == row.sys_id)

    async def _attach(self, row: Row, name: str, body: Body) -> None:
        where = {"table_name": "incident", "table_sys_id": row.sys_id, "file_name": name}
        await self._session.call("POST", f"{ATTACHMENTS}/file", where, body)


def _is_earlier(row: Row, prefix: str, request: ResolveIncidents) -> bool:
    """True when an abort before this run of the release opened the incident."""
    match = _ABORT.fullmatch(row.correlation_id.removeprefix(prefix))
    if match is None or not row.correlation_id.startswith(prefix):
        return False
    revision, run_id = int(match["revision"]), match["run"]
    if revision != request.revision:
        return revision < request.revision
    # Of two runs of one revision nothing but the time says which was first.
    return run_id != request.run_id and _created(row) < request.at.astimezone(UTC)


def _created(row: Row) -> datetime:
    try:
        return datetime.strptime(row.sys_created_on, TIME).replace(tzinfo=UTC)
    except ValueError:
        raise unavailable(SYSTEM, f"{row.number}: sys_created_on is no time: {row.sys_created_on[:40]!r}") from None


def _mark(event: str) -> str:
    return f"[{event}]"


def _note(text: str, mark: str) -> str:
    return f"{cut(text, MAX_DESCRIPTION)}\n{mark}"
