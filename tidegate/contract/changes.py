"""Payloads of what a release does to its records in ServiceNow beside opening an incident."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from tidegate.contract.facts import Facts
from tidegate.contract.payload import Payload


class ResolveIncidents(Payload):
    """Resolve what earlier aborts of a Rollout opened, now that a run of its release ended well.

    `release` is the workflow id. Meant are incidents of revisions below `revision`, and those of other runs of the same
    revision that were opened before `at`. `text` is the note for people.
    """

    release: str
    revision: int
    run_id: str
    at: datetime
    text: str


class ResolvedIncidents(Payload):
    """Numbers of the incidents that are resolved; `message` says it to people."""

    message: str
    numbers: tuple[str, ...] = ()


class OpenChange(Payload):
    """A standard change for one run of a release. `correlation_id` is (rollout, revision, run, event).

    `fields` are columns and their templates as the Rollout's annotations ask for them.
    """

    correlation_id: str
    short_description: str
    description: str
    begin: datetime
    facts: Facts = Facts()
    fields: dict[str, str] = Field(default_factory=dict)


class ChangeRef(Payload):
    """The change of a release; `created` False when an earlier attempt had opened it, `message` is for people."""

    number: str
    sys_id: str
    url: str
    created: bool = True
    message: str = ""


class CloseChange(Payload):
    """Close the change of that `correlation_id` with the outcome of the release; `text` says it to people."""

    correlation_id: str
    successful: bool
    text: str
    end: datetime
