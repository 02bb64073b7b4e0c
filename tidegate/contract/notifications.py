"""Payloads of notifications about a release."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from tidegate.contract.follow_up import Chart
from tidegate.contract.payload import Payload


class Notification(Payload):
    """One event for one recipient. It holds facts; the worker has the templates."""

    # The cause: the same for the same event, trigger, service and recipient, and for nothing else.
    id: str = Field(max_length=200)
    trigger: str  # of Argo's notification engine
    service: str  # `slack`, or the name of a webhook in the worker's settings
    recipient: str = ""  # a channel, empty where the service needs none
    at: datetime
    reason: str  # of the event
    message: str = ""
    analysis: str = ""
    cluster: str
    namespace: str
    name: str
    revision: int = 0
    phase: str = ""
    step: int | None = None  # from 1; None outside the steps
    steps: int = 0
    step_text: str = ""
    weight: int = 0  # percent of the traffic on the canary
    images: dict[str, str] = Field(default_factory=dict)
    by: str = ""
    commit: str = ""
    ci_url: str = ""
    workflow_id: str = ""
    run_id: str = ""
    incident: str = ""
    incident_url: str = ""
    reading: str = ""  # sentence of the analysis run that the event is about: the reading against its threshold
    command: str = ""  # the command that helps now
    thread: str = ""  # the same for all of one version's notifications; empty: none
    opens_thread: bool = False  # the first of them for this recipient
    chart: Chart | None = None  # of the readings, with the notification of an abort


class NotificationSent(Payload):
    """A sent notification."""

    service: str
    recipient: str
    reference: str = ""  # the service's id of it
    created: bool = True  # False: an earlier attempt sent it
