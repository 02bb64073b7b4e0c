"""Records of the embedded ServiceNow: incidents with their journal and attachments, and the queries that find them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

FIRST_NUMBER = 10001
CLOSED_STATES = ("6", "7")
JOURNALS = ("work_notes", "comments")
# What the standard incident form has; other names are dropped without a word, as the platform does, unless custom.
FIELDS = frozenset(
    {
        "short_description",
        "description",
        "urgency",
        "impact",
        "state",
        "category",
        "subcategory",
        "assignment_group",
        "assigned_to",
        "caller_id",
        "cmdb_ci",
        "business_service",
        "contact_type",
        "correlation_id",
        "correlation_display",
        "close_code",
        "close_notes",
    }
)
_PART = re.compile(r"(?P<field>[a-z_0-9]+)(?P<operator>!=|=|LIKE|STARTSWITH|NOT IN)(?P<value>.*)", re.DOTALL)
_ORDER = re.compile(r"ORDERBY(?P<descending>DESC)?(?P<field>[a-z_0-9]+)")
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda actual, wanted: actual == wanted,
    "!=": lambda actual, wanted: actual != wanted,
    "NOT IN": lambda actual, wanted: actual not in wanted.split(","),
    "LIKE": lambda actual, wanted: wanted.lower() in actual.lower(),
    "STARTSWITH": lambda actual, wanted: actual.lower().startswith(wanted.lower()),
}

Row = Mapping[str, str]


class RecordError(Exception):
    """A record cannot be stored as asked; `status` is the HTTP status."""

    def __init__(self, status: int, message: str, detail: str) -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail


@dataclass(frozen=True)
class Note:
    """One entry of a journal field."""

    at: str
    by: str
    text: str


@dataclass(frozen=True)
class Attachment:
    """One file; `fields` are those of the table sys_attachment."""

    fields: Row
    content: bytes


@dataclass
class Incident:
    """One incident: the fields of its row, and its journals by field."""

    fields: dict[str, str]
    journals: dict[str, list[Note]] = field(default_factory=dict)


class Records:
    """All records, in memory and in the order of their creation. `clock` gives the time in UTC.

    `groups` are the assignment groups that there are, None standing for any: another name leaves the column empty.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.incidents: dict[str, Incident] = {}
        self.attachments: dict[str, Attachment] = {}
        self.groups: frozenset[str] | None = None
        self._clock = clock

    def create(self, given: Mapping[str, object], by: str) -> Incident:
        """A new incident. Raises RecordError."""
        now = self._now()
        number = f"INC{FIRST_NUMBER + len(self.incidents):07d}"
        incident = Incident(
            dict.fromkeys(FIELDS, "")
            | {
                "sys_id": uuid.uuid4().hex,
                "number": number,
                "sys_created_by": by,
                "sys_created_on": now,
                "opened_at": now,
                "state": "1",
                "urgency": "3",
                "impact": "3",
                "active": "true",
            }
        )
        self.update(incident, given, by)
        self.incidents[incident.fields["sys_id"]] = incident
        return incident

    def update(self, incident: Incident, given: Mapping[str, object], by: str) -> None:
        """Change an incident. Raises RecordError, and changes nothing then, when it is closed without a reason."""
        changed = incident.fields | {
            name: record_text(value) for name, value in given.items() if name in FIELDS or name.startswith("u_")
        }
        if changed["state"] in CLOSED_STATES and not (changed["close_code"] and changed["close_notes"]):
            raise RecordError(
                403,
                "Operation Failed",
                "Data Policy Exception: The following fields are mandatory: Resolution code, Resolution notes",
            )
        if self.groups is not None and changed["assignment_group"] not in self.groups:
            changed["assignment_group"] = ""
        changed["priority"] = _priority(changed)
        changed["active"] = str(changed["state"] != "7").lower()
        changed["sys_updated_on"] = self._now()
        incident.fields.update(changed)
        for name in JOURNALS:
            if text := record_text(given.get(name, "")):
                incident.journals.setdefault(name, []).append(Note(changed["sys_updated_on"], by, text))

    def attach(self, table: str, record: str, name: str, content_type: str, content: bytes, by: str) -> Attachment:
        """A new file of a record, whether or not one of that name is there. Raises RecordError."""
        if table != "incident" or record not in self.incidents:
            raise RecordError(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
        fields = {
            "sys_id": uuid.uuid4().hex,
            "table_name": table,
            "table_sys_id": record,
            "file_name": name,
            "content_type": content_type,
            "size_bytes": str(len(content)),
            "sys_created_by": by,
            "sys_created_on": self._now(),
        }
        attachment = Attachment(fields, content)
        self.attachments[fields["sys_id"]] = attachment
        return attachment

    def by_number(self, number: str) -> Incident | None:
        """The incident with a number such as INC0010001."""
        return next((each for each in self.incidents.values() if each.fields["number"] == number), None)

    def files_of(self, incident: Incident) -> list[Attachment]:
        """The files of an incident."""
        return [each for each in self.attachments.values() if each.fields["table_sys_id"] == incident.fields["sys_id"]]

    def _now(self) -> str:
        return now_text(self._clock)


def now_text(clock: Callable[[], datetime]) -> str:
    """The time of a clock in UTC, as the platform writes it."""
    return clock().strftime("%Y-%m-%d %H:%M:%S")


def search(rows: Iterable[Row], query: str) -> list[Row]:
    """The rows that an encoded query finds: conditions joined by `^`, and `ORDERBYfield`.

    A part that is no valid condition is dropped and so may leave every row: the platform's default, and a trap.
    """
    found = list(rows)
    for part in query.split("^"):
        if order := _ORDER.fullmatch(part):
            found.sort(key=partial(_value, order["field"]), reverse=bool(order["descending"]))
        elif condition := _PART.fullmatch(part):
            matches, name, value = _OPERATORS[condition["operator"]], condition["field"], condition["value"]
            found = [row for row in found if name not in row or matches(row[name], value)]
    return found


def _value(name: str, row: Row) -> str:
    return row.get(name, "")


def _priority(row: Row) -> str:
    """The platform's default lookup: 1 (critical) for high impact and urgency to 5 (planning) for low ones."""
    levels = [int(row[name]) if row[name] in ("1", "2", "3") else 3 for name in ("impact", "urgency")]
    return str(sum(levels) - 1)


def record_text(value: object) -> str:
    """A value of JSON as a column holds it."""
    if isinstance(value, bool):
        return str(value).lower()
    # JSON may hold half a surrogate pair, which no page could show.
    return "" if value is None else str(value).encode(errors="replace").decode()
