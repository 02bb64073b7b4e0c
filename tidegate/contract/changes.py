"""Payloads of a release's records in ServiceNow beside its incident."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from tidegate.contract.facts import Facts
from tidegate.contract.payload import Payload


class ResolveIncidents(Payload):
    """Resolve the incidents of earlier aborts of a Rollout, after a run of its release ended well.

    These are the incidents of revisions below `revision`, and those of other runs of the same revision that were opened
    before `at`.
    """

    release: str  # workflow id
    revision: int
    run_id: str
    at: datetime
    text: str  # of the work note


class ResolvedIncidents(Payload):
    """The incidents that are resolved."""

    message: str  # for operators
    numbers: tuple[str, ...] = ()


class OpenChange(Payload):
    """A standard change for one run of a release."""

    correlation_id: str  # (rollout, revision, run, event)
    short_description: str
    description: str
    start: datetime
    facts: Facts = Facts()
    fields: dict[str, str] = Field(default_factory=dict)  # column -> template, from the Rollout's annotations


class ChangeRef(Payload):
    """The change of a release."""

    number: str
    sys_id: str
    url: str
    created: bool = True  # False: an earlier attempt opened it
    message: str = ""  # for operators


class CloseChange(Payload):
    """Close a change with the outcome of the release."""

    correlation_id: str
    successful: bool
    text: str  # for operators
    end: datetime
