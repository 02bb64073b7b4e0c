"""Rows of one table of ServiceNow that Tidegate made: found by correlation id, created, changed, noted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from temporalio.exceptions import ApplicationError

from activities.servicenow.fields import RecordColumns, described, plain_columns
from activities.servicenow.session import SYSTEM, Body, Session
from activities.transport.errors import rejected, unavailable
from tidegate.contract import ErrorType

T = TypeVar("T", bound=BaseModel)

# Lengths of the platform's columns. It cuts longer texts without a word, and a cut correlation id would not be found.
MAX_CORRELATION_ID = 100
MAX_SHORT_DESCRIPTION = 160
MAX_DESCRIPTION = 4000
MAX_ROWS = 500
MAX_SAME = 10
DISPLAY = "Tidegate"
TIME = "%Y-%m-%d %H:%M:%S"  # UTC, as the platform stores it
# Of a correlation id. What remains has room for a revision, a run id (36) and an event.
MAX_RELEASE = 44
_DIGEST = 32
_FIELDS = "sys_id,number,correlation_id,state,sys_created_on"
_INPUT = {"sysparm_input_display_value": "true", "sysparm_exclude_reference_link": "true"}


class Row(BaseModel):
    """Columns of every record; `sys_created_on` is UTC, as the platform stores it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    sys_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    number: str = Field(min_length=1, max_length=40)
    correlation_id: str = ""
    state: str = ""
    sys_created_on: str = ""

    def column(self, name: str) -> str:
        """Content of a column as text; "" for a missing one."""
        value = (self.__pydantic_extra__ or {}).get(name, "")
        return value if isinstance(value, str) else str(value)


class JournalField(BaseModel):
    """The work notes of a record, as they are displayed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    work_notes: str = ""


class RecordTable:
    """One table of an instance. The platform has no unique keys: every record is searched for before it is created."""

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self._name = name
        self._path = f"/api/now/table/{name}"

    async def find(self, correlation_id: str) -> Row | None:
        """The oldest row of that correlation id."""
        rows = await self.rows(f"correlation_id={correlation_id}^ORDERBYsys_created_on", MAX_SAME)
        # A query that the platform does not understand finds every row, so what it found is compared again.
        return next((row for row in rows if row.correlation_id == correlation_id), None)

    async def rows(self, query: str, limit: int = MAX_ROWS) -> list[Row]:
        """At most `limit` rows that an encoded query finds, and perhaps others."""
        parameters = {"sysparm_query": query, "sysparm_fields": _FIELDS, "sysparm_limit": str(limit)}
        return parse_all(Row, await self._session.call("GET", self._path, parameters))

    async def read(self, sys_id: str) -> Row:
        """The row as it is now."""
        return parse(Row, await self._session.call("GET", f"{self._path}/{sys_id}", {"sysparm_fields": _FIELDS}))

    async def create(self, body: Mapping[str, str], columns: RecordColumns) -> Row:
        """A new row with these columns, in which names of groups and users are as displayed.

        The columns come before those of `body`. A requested column that the instance does not take falls back to
        settings; the row's description, which is part of `body`, names it.
        """
        try:
            row = await self._create({**body, **columns.all})
            refused = [name for name in columns.requested if not row.column(name)]
        except ApplicationError as error:
            if error.type != ErrorType.REJECTED or not columns.requested:
                raise
            row = await self._create({**body, **columns.fixed})
            refused = list(columns.requested)
        if refused:
            complaints = [
                f"ServiceNow did not take {name}={columns.requested[name]!r} of the Rollout" for name in refused
            ]
            description = {"description": described(body["description"], complaints, MAX_DESCRIPTION)}
            instead = {name: columns.fixed[name] for name in refused if name in columns.fixed}
            await self.update(row.sys_id, {**description, **instead}, displayed=True)
        return row

    async def _create(self, body: Mapping[str, str]) -> Row:
        return parse(Row, await self._session.call("POST", self._path, _INPUT, Body(json.dumps(plain_columns(body)))))

    async def update(self, sys_id: str, body: Mapping[str, str], *, displayed: bool = False) -> Row:
        """Change a row. Returns the row after it.

        `displayed`: names of groups and users are as displayed. Times would then be those of the user's zone.
        """
        path, content = f"{self._path}/{sys_id}", Body(json.dumps(plain_columns(body)))
        query = {**(_INPUT if displayed else {}), "sysparm_fields": _FIELDS}
        return parse(Row, await self._session.call("PATCH", path, query, content))

    async def has_note(self, sys_id: str, mark: str) -> bool:
        """True when there is a work note with `mark`."""
        # A journal has entries only for who wants to be shown them.
        shown = {"sysparm_fields": "work_notes", "sysparm_display_value": "true"}
        found = parse(JournalField, await self._session.call("GET", f"{self._path}/{sys_id}", shown))
        return mark in found.work_notes

    async def link(self, sys_id: str) -> str:
        """Address of the row in the UI."""
        target = quote(f"{self._name}.do?sys_id={sys_id}", safe="")
        return f"{await self._session.address()}/nav_to.do?uri={target}"


def parse(model: type[T], value: Any) -> T:
    """An answer as `model`. Raises ApplicationError `Unavailable`: such an answer is not the platform's."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise unavailable(SYSTEM, f"the answer cannot be understood: {where}: {first['msg']}") from None


def parse_all(model: type[T], value: Any) -> list[T]:
    """A list of answers. Raises as `parse` does."""
    if not isinstance(value, list):
        raise unavailable(SYSTEM, "the answer cannot be understood: result is no list")
    return [parse(model, each) for each in value]


def correlation_id_of(cause: str) -> str:
    """Correlation id of a cause `<release>/<revision>/<run>/<event>`, or of any other text.

    It begins with `correlation_prefix(release)`, and is the cause itself where the column and the query language can
    hold that. Raises ApplicationError `Rejected` for an empty cause.
    """
    if not cause.strip():
        raise rejected(SYSTEM, "correlation_id is empty: without it a record cannot be found again")
    parts = cause.rsplit("/", 3)
    if len(parts) < 4:
        return _fitting(cause, MAX_CORRELATION_ID)
    prefix = correlation_prefix(parts[0])
    return prefix + _fitting("/".join(parts[1:]), MAX_CORRELATION_ID - len(prefix))


def correlation_prefix(release: str) -> str:
    """Common prefix of the correlation ids of a release's causes, and of no other's; it ends with `/`."""
    return f"{_fitting(release, MAX_RELEASE)}/"


def _fitting(text: str, length: int) -> str:
    if text and len(text) <= length and "^" not in text and text == text.strip():
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
    return f"{text.replace('^', '_').strip()[: length - _DIGEST - 1]}-{digest}"
