"""Payloads of what follows a decision."""

from __future__ import annotations

from pydantic import Field

from tidegate.contract.payload import Document, Payload


class IncidentRef(Payload):
    """The ServiceNow incident of an aborted release; `created` False when an earlier attempt had opened it."""

    number: str
    sys_id: str
    url: str
    created: bool = True


class IncidentRequest(Payload):
    """What an incident says. `correlation_id` is (rollout, revision, event): one incident, however often asked for."""

    correlation_id: str
    short_description: str
    description: str
    urgency: int = 2
    impact: int = 2
    attachments: Document = Field(default_factory=dict)  # file name -> JSON document
