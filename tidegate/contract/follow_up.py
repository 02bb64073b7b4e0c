"""Payloads of what follows a decision."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from tidegate.analysis.status import Phase
from tidegate.contract.payload import Document, Payload


class IncidentRef(Payload):
    """The ServiceNow incident of an aborted release; `created` False when an earlier attempt had opened it."""

    number: str
    sys_id: str
    url: str
    created: bool = True


class Point(Payload):
    """One reading of a gate; `value` is None where there was no number."""

    at: datetime
    value: float | None
    verdict: Phase


class Limit(Payload):
    """A number that a condition compares readings with; `text` begins with `success:` or `failure:`."""

    text: str
    value: float


class Curve(Payload):
    """Readings of one metric of a gate over time, the oldest first."""

    gate: str
    metric: str
    points: tuple[Point, ...]
    limits: tuple[Limit, ...] = ()


class Chart(Payload):
    """What a picture of a release shows; `weights` are percent of the traffic on the canary, from each moment on."""

    title: str
    curves: tuple[Curve, ...]
    weights: tuple[tuple[datetime, int], ...] = ()


class IncidentNote(Payload):
    """What to add to the work notes of the incident of that sys_id. `event` is what it tells of: one note, ever."""

    sys_id: str
    event: str
    text: str


class IncidentRequest(Payload):
    """What an incident says. `correlation_id` is (rollout, revision, event): one incident, however often asked for."""

    correlation_id: str
    short_description: str
    description: str
    urgency: int = 2
    impact: int = 2
    attachments: Document = Field(default_factory=dict)  # file name -> JSON document
    chart: Chart | None = None  # attached as a picture
