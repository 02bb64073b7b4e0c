"""Change requests in ServiceNow: one standard change for a run of a release, closed with its outcome."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, Field
from temporalio import activity

from activities.servicenow.fields import (
    RecordColumns,
    ServiceNowSettings,
    columns_of,
    cut,
    described,
    links,
    plain_columns,
)
from activities.servicenow.session import SYSTEM, Body, Session
from activities.servicenow.tables import (
    DISPLAY,
    MAX_DESCRIPTION,
    MAX_SHORT_DESCRIPTION,
    TIME,
    RecordTable,
    Row,
    correlation_id_of,
    parse,
)
from activities.transport.errors import unavailable
from tidegate.contract import Activity, ChangeRef, CloseChange, OpenChange

log = structlog.get_logger(__name__)

STANDARD = "/api/sn_chg_rest/change/standard"
# States of the baseline's standard change in their order: new, scheduled, implement, review, closed.
PROGRESS = ("-5", "-2", "-1", "0", "3")
NEW, IMPLEMENT, CLOSED, CANCELED = "-5", "-1", "3", "4"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    value: str = Field(pattern=r"^[0-9a-f]{32}$")


class _FromTemplate(BaseModel):
    """The Change Management API wraps each column in its value and how that is displayed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sys_id: _Value


class Changes:
    """The change requests of one instance, each searched for before it is created."""

    def __init__(self, session: Session, settings: ServiceNowSettings) -> None:
        self._session = session
        self._settings = settings
        self._changes = RecordTable(session, "change_request")

    def activities(self) -> list[Callable[..., Any]]:
        """Activities that a worker registers."""
        return [self.open_change, self.close_change]

    @activity.defn(name=Activity.OPEN_CHANGE)
    async def open_change(self, request: OpenChange) -> ChangeRef:
        """Open the change of `request.correlation_id` and bring it to Implement, unless it was brought further.

        Raises ApplicationError `Unavailable` while the instance does not let it go on, and whatever else opening an
        incident raises.
        """
        correlation_id = correlation_id_of(request.correlation_id)
        columns = self._columns(request)
        body = self._body(request, correlation_id, columns)
        row = await self._changes.find(correlation_id)
        created = row is None
        if row is None:
            row = await self._create(body, columns)
            log.info("change opened", number=row.number, correlation_id=correlation_id)
        if self._settings.change_template and (created or row.state == NEW):
            # The API for templates ignores columns that its administrators did not open, and knows no displayed names.
            row = await self._changes.update(row.sys_id, {**body, **columns.all}, displayed=True)
        row = await self._advance(row, IMPLEMENT, {"start_date": _time(request.start)})
        return await self._reference(row, created, f"{row.number} is open")

    @activity.defn(name=Activity.CLOSE_CHANGE)
    async def close_change(self, request: CloseChange) -> ChangeRef:
        """Close the change with its outcome; one that operators closed or canceled stays as it is. Raises as
        `open_change`.

        A missing change is `Unavailable`: it may still be opened.
        """
        row = await self._changes.find(correlation_id_of(request.correlation_id))
        if row is None:
            raise unavailable(SYSTEM, f"the change {request.correlation_id} is not there yet")
        if row.state in (CLOSED, CANCELED):
            return await self._reference(row, False, f"{row.number} was ended before")
        code = self._settings.success_code if request.successful else self._settings.failure_code
        outcome = {"close_code": code, "close_notes": cut(request.text, MAX_DESCRIPTION)}
        row = await self._advance(row, CLOSED, {**outcome, "end_date": _time(request.end)})
        return await self._reference(row, False, f"{row.number} is closed as {code}")

    def _columns(self, request: OpenChange) -> RecordColumns:
        settings = self._settings
        # A template says how a standard change is done; its owners say what it holds.
        defaults = {} if settings.change_template else {"type": "standard", "chg_model": "Standard"}
        templates = {**defaults, **settings.change_fields}
        return columns_of(templates, request.fields, settings.allowed_fields, request.facts)

    def _body(self, request: OpenChange, correlation_id: str, columns: RecordColumns) -> dict[str, str]:
        found = links(request.facts, (), self._settings.temporal_ui, self._settings.graph_url)
        return {
            "short_description": cut(request.short_description, MAX_SHORT_DESCRIPTION),
            "description": described("\n".join([*found, request.description]), columns.complaints, MAX_DESCRIPTION),
            "correlation_id": correlation_id,
            "correlation_display": DISPLAY,
        }

    async def _create(self, body: dict[str, str], columns: RecordColumns) -> Row:
        if not self._settings.change_template:
            return await self._changes.create(body, columns)
        path = f"{STANDARD}/{self._settings.change_template}"
        made = parse(_FromTemplate, await self._session.call("POST", path, {}, Body(json.dumps(plain_columns(body)))))
        return await self._changes.read(made.sys_id.value)

    async def _advance(self, row: Row, target: str, body: dict[str, str]) -> Row:
        """Move through the states one by one, as the platform asks; the last move brings `body` along."""
        while row.state in PROGRESS and (reached := PROGRESS.index(row.state)) < PROGRESS.index(target):
            following = PROGRESS[reached + 1]
            more = body if following == target else {}
            moved = await self._changes.update(row.sys_id, {"state": following, **more})
            if moved.state in PROGRESS[: reached + 1]:
                raise unavailable(SYSTEM, f"{row.number} does not go on from state {row.state} to {following}")
            row = moved
        if row.state not in (*PROGRESS, CANCELED):
            raise unavailable(SYSTEM, f"{row.number} is in state {row.state[:40]!r}, which no standard change has")
        return row

    async def _reference(self, row: Row, created: bool, message: str) -> ChangeRef:
        link = await self._changes.link(row.sys_id)
        return ChangeRef(number=row.number, sys_id=row.sys_id, url=link, created=created, message=message)


def _time(time: datetime) -> str:
    return time.astimezone(UTC).strftime(TIME)
