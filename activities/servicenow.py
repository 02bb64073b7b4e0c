"""Incidents in ServiceNow: one for each cause, however often it is asked for, with its evidence attached."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from temporalio import activity

from activities.charts import draw
from activities.errors import rejected, unavailable
from activities.secrets import Secrets
from activities.servicenow_session import SYSTEM, Body, Session
from tidegate.contract import Activity, IncidentNote, IncidentRef, IncidentRequest

log = structlog.get_logger(__name__)

T = TypeVar("T", bound=BaseModel)

TABLE = "/api/now/table/incident"
ATTACHMENTS = "/api/now/attachment"
CHART = "readings.png"
# Lengths of the platform's columns. It cuts longer texts without a word, and a cut correlation id would not be found.
MAX_CORRELATION_ID = 100
MAX_SHORT_DESCRIPTION = 160
MAX_DESCRIPTION = 4000


class ServiceNowSettings(BaseModel):
    """Where incidents are opened and what they say beside their cause.

    The secret at `secret_path` holds `username` and `password`, or `client_id` and `client_secret` for OAuth (grant
    client_credentials), and `url` unless it is given here. `fields` are further columns of the incident with their
    text, such as `{"assignment_group": "Payments on-call", "u_environment": "production"}`; names of groups and people
    are understood as they are displayed. `timeout_seconds` limits one request.
    """

    model_config = ConfigDict(frozen=True)

    url: str = ""
    secret_path: str = "secret/tidegate/servicenow"  # noqa: S105  a path
    fields: dict[str, str] = {}
    timeout_seconds: float = Field(default=15.0, gt=0)


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    sys_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    number: str = Field(min_length=1, max_length=40)
    correlation_id: str = ""


class _Notes(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    work_notes: str = ""


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    file_name: str = ""
    table_sys_id: str = ""


class ServiceNow:
    """The Table and Attachment API of one instance.

    The platform has no unique keys, so everything is looked for before it is created; the workflow sees to it that
    only one attempt for a cause runs at a time.
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
        settings = settings or ServiceNowSettings()
        self._fields = settings.fields
        self._session = Session(
            secrets,
            http,
            url=settings.url,
            secret_path=settings.secret_path,
            timeout_seconds=settings.timeout_seconds,
            clock=clock,
        )

    def activities(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [self.open_incident, self.note_incident]

    @activity.defn(name=Activity.OPEN_INCIDENT)
    async def open_incident(self, request: IncidentRequest) -> IncidentRef:
        """Open the incident of `request.correlation_id` with its attachments, or complete the one that is there.

        Raises ApplicationError: `RateLimited` with the delay that the server asks for, `Unauthorized` when the
        credentials stay refused, `Unavailable`, `NotFound` or `Rejected`.
        """
        correlation_id = _correlation_id(request.correlation_id)
        row = await self._find(correlation_id)
        created = row is None
        if row is None:
            row = await self._create(request, correlation_id)
            log.info("incident opened", number=row.number, correlation_id=correlation_id)
        for name, document in request.attachments.items():
            await self._attach(row, name, Body(json.dumps(document, indent=2, ensure_ascii=False)))
        if request.chart is not None:
            await self._attach(row, CHART, Body(await asyncio.to_thread(draw, request.chart), "image/png"))
        url = await self._session.address()
        link = f"{url}/nav_to.do?uri={quote(f'incident.do?sys_id={row.sys_id}', safe='')}"
        return IncidentRef(number=row.number, sys_id=row.sys_id, url=link, created=created)

    @activity.defn(name=Activity.NOTE_INCIDENT)
    async def note_incident(self, request: IncidentNote) -> None:
        """Add a work note, unless it stands there. Raises as `open_incident` does."""
        row = await self._find(_correlation_id(request.correlation_id))
        if row is None:
            raise unavailable(SYSTEM, f"the incident {request.correlation_id} is not there yet")
        path, mark = f"{TABLE}/{row.sys_id}", f"[{request.event}]"
        # A journal has entries only for who wants to be shown them.
        shown = {"sysparm_fields": "work_notes", "sysparm_display_value": "true"}
        notes = _parse(_Notes, await self._session.call("GET", path, shown))
        if mark not in notes.work_notes:
            body = json.dumps({"work_notes": f"{_cut(request.text, MAX_DESCRIPTION)}\n{mark}"})
            await self._session.call("PATCH", path, {"sysparm_fields": "sys_id"}, Body(body))

    async def _find(self, correlation_id: str) -> _Row | None:
        query = {
            "sysparm_query": f"correlation_id={correlation_id}^ORDERBYsys_created_on",
            "sysparm_fields": "sys_id,number,correlation_id",
            "sysparm_limit": "10",
        }
        rows = _parse_all(_Row, await self._session.call("GET", TABLE, query))
        # A query that the platform does not understand finds every row, so what it found is compared again.
        return next((row for row in rows if row.correlation_id == correlation_id), None)

    async def _create(self, request: IncidentRequest, correlation_id: str) -> _Row:
        body = {
            **self._fields,
            "short_description": _cut(request.short_description, MAX_SHORT_DESCRIPTION),
            "description": _cut(request.description, MAX_DESCRIPTION),
            "urgency": str(request.urgency),
            "impact": str(request.impact),
            "correlation_id": correlation_id,
            "correlation_display": "Tidegate",
        }
        query = {"sysparm_input_display_value": "true", "sysparm_exclude_reference_link": "true"}
        row = _parse(_Row, await self._session.call("POST", TABLE, query, Body(json.dumps(body))))
        if row.correlation_id != correlation_id:
            log.warning("the instance did not keep the correlation id: a retry would open another incident")
        return row

    async def _attach(self, row: _Row, name: str, body: Body) -> None:
        activity.heartbeat()
        query = {"sysparm_query": f"table_sys_id={row.sys_id}", "sysparm_limit": "1000"}
        files = _parse_all(_File, await self._session.call("GET", ATTACHMENTS, query))
        if any(file.file_name == name and file.table_sys_id == row.sys_id for file in files):
            return
        where = {"table_name": "incident", "table_sys_id": row.sys_id, "file_name": name}
        await self._session.call("POST", f"{ATTACHMENTS}/file", where, body)


def _parse(model: type[T], value: Any) -> T:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise unavailable(SYSTEM, f"the answer cannot be understood: {where}: {first['msg']}") from None


def _parse_all(model: type[T], value: Any) -> list[T]:
    if not isinstance(value, list):
        raise unavailable(SYSTEM, "the answer cannot be understood: result is no list")
    return [_parse(model, each) for each in value]


def _correlation_id(cause: str) -> str:
    """The cause itself if the column and the query language can hold it, else as much of it as fits, with a digest."""
    if not cause.strip():
        raise rejected(SYSTEM, "correlation_id is empty: without it an incident cannot be found again")
    if len(cause) <= MAX_CORRELATION_ID and "^" not in cause and cause == cause.strip():
        return cause
    digest = hashlib.sha256(cause.encode()).hexdigest()[:32]
    return f"{cause.replace('^', '_').strip()[: MAX_CORRELATION_ID - 33]}-{digest}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
