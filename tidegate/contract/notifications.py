"""Payloads of what people are told of a release while it goes on."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from tidegate.contract.payload import Payload


class Notification(Payload):
    """What one recipient is told of one event; it holds facts, the words are the worker's.

    `id` is the cause, at most 200 characters: the same for the same event, trigger, service and recipient, and for
    nothing else. `reason` is the event's, `trigger` what Argo's notification engine calls it. `service` is `slack` or
    the name of a webhook in the worker's settings; `recipient` a channel, empty where the service needs none. `step`
    counts from 1 and is None outside the steps. `weight` is percent of traffic on the canary.
    """

    id: str = Field(max_length=200)
    trigger: str
    service: str
    recipient: str = ""
    at: datetime
    reason: str
    message: str = ""
    analysis: str = ""
    cluster: str
    namespace: str
    name: str
    revision: int = 0
    phase: str = ""
    step: int | None = None
    steps: int = 0
    step_text: str = ""
    weight: int = 0
    images: dict[str, str] = Field(default_factory=dict)
    by: str = ""
    commit: str = ""
    ci_url: str = ""
    workflow_id: str = ""
    run_id: str = ""
    incident: str = ""
    incident_url: str = ""


class NotificationSent(Payload):
    """A notification arrived; `created` False: an earlier attempt sent it. `reference` is the service's name for it."""

    service: str
    recipient: str
    reference: str = ""
    created: bool = True
