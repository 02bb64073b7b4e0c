"""Change requests of the embedded ServiceNow, with the states of the baseline's standard change."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime

from sandbox.servicenow.records import FIELDS, JOURNALS, Incident, Note, RecordError, now_text, record_text

FIRST_NUMBER = 30001
STATES = {"-5": "New", "-2": "Scheduled", "-1": "Implement", "0": "Review", "3": "Closed", "4": "Canceled"}
CHANGE_FIELDS = FIELDS | {"type", "chg_model", "start_date", "end_date", "std_change_producer_version", "risk"}
_NEXT = {"-5": ("-2", "4"), "-2": ("-1", "4"), "-1": ("0", "4"), "0": ("3", "4")}


class Changes:
    """All change requests, in memory and in the order of their creation.

    `templates` are standard change templates by sys_id: the columns that they fill. `groups` are the assignment groups
    that there are, as for `Records`. `clock` gives the time in UTC.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.rows: dict[str, Incident] = {}
        self.templates: dict[str, Mapping[str, str]] = {}
        self.groups: frozenset[str] | None = None
        self._clock = clock

    def create(self, given: Mapping[str, object], by: str) -> Incident:
        """A new change request. Raises RecordError."""
        now = now_text(self._clock)
        change = Incident(
            dict.fromkeys(CHANGE_FIELDS, "")
            | {
                "sys_id": uuid.uuid4().hex,
                "number": f"CHG{FIRST_NUMBER + len(self.rows):07d}",
                "sys_created_by": by,
                "sys_created_on": now,
                "opened_at": now,
                "state": "-5",
                "type": "normal",
                "urgency": "3",
                "impact": "3",
                "priority": "4",
                "active": "true",
            }
        )
        self.update(change, given, by)
        self.rows[change.fields["sys_id"]] = change
        return change

    def create_standard(self, template: str, given: Mapping[str, object], by: str) -> Incident:
        """A change by a template, whose own columns cannot be overridden. Raises RecordError."""
        if template not in self.templates:
            raise RecordError(404, "No Record found", f"there is no standard change template {template}")
        fixed = {**self.templates[template], "type": "standard", "std_change_producer_version": template}
        return self.create({**given, **fixed}, by)

    def update(self, change: Incident, given: Mapping[str, object], by: str) -> None:
        """Change it. Raises RecordError, and changes nothing then, for a move that its state does not allow."""
        changed = change.fields | {
            name: record_text(value) for name, value in given.items() if name in CHANGE_FIELDS or name.startswith("u_")
        }
        if self.groups is not None and changed["assignment_group"] not in self.groups:
            changed["assignment_group"] = ""
        before, after = change.fields["state"], changed["state"]
        if after != before and after not in _NEXT.get(before, ()):
            raise RecordError(403, "Operation Failed", f"Change cannot be moved to state : {after}")
        if after != before and changed["type"] == "standard":
            _check_mandatory(changed)
        changed["active"] = str(after not in ("3", "4")).lower()
        changed["sys_updated_on"] = now_text(self._clock)
        change.fields.update(changed)
        for name in JOURNALS:
            if text := record_text(given.get(name, "")):
                change.journals.setdefault(name, []).append(Note(changed["sys_updated_on"], by, text))


def _check_mandatory(changed: Mapping[str, str]) -> None:
    closing = ("close_code", "close_notes") if changed["state"] == "3" else ()
    wanted = () if changed["state"] == "4" else ("assignment_group", *closing)
    if missing := [name for name in wanted if not changed[name]]:
        detail = f"Data Policy Exception: The following fields are mandatory: {', '.join(missing)}"
        raise RecordError(403, "Operation Failed", detail)
