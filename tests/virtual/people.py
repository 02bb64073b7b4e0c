"""Doubles of the systems of people, for releases whose story they are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from tidegate.contract import (
    Activity,
    ChangeRef,
    CloseChange,
    ErrorType,
    IncidentNote,
    IncidentRef,
    IncidentRequest,
    Notification,
    NotificationSent,
    OpenChange,
    ResolvedIncidents,
    ResolveIncidents,
    RevertRequest,
    RevertResult,
)


class ServiceNowDouble:
    """Does what it is asked, and keeps it."""

    def __init__(self) -> None:
        self.incidents: list[IncidentRequest] = []
        self.notes: list[IncidentNote] = []
        self.resolutions: list[ResolveIncidents] = []
        self.opened: list[OpenChange] = []
        self.closed: list[CloseChange] = []
        self.refuses_changes = False

    @activity.defn(name=Activity.OPEN_INCIDENT)
    async def open(self, request: IncidentRequest) -> IncidentRef:
        self.incidents.append(request)
        return IncidentRef(number="INC0010001", sys_id="1", url="https://servicenow.example/INC0010001")

    @activity.defn(name=Activity.NOTE_INCIDENT)
    async def note(self, note: IncidentNote) -> None:
        self.notes.append(note)

    @activity.defn(name=Activity.RESOLVE_INCIDENTS)
    async def resolve(self, request: ResolveIncidents) -> ResolvedIncidents:
        self.resolutions.append(request)
        return ResolvedIncidents(message="resolved: INC0010001", numbers=("INC0010001",))

    @activity.defn(name=Activity.OPEN_CHANGE)
    async def open_change(self, request: OpenChange) -> ChangeRef:
        self.opened.append(request)
        if self.refuses_changes:
            raise ApplicationError("ServiceNow: no change", type=ErrorType.REJECTED, non_retryable=True)
        return ChangeRef(number="CHG0030001", sys_id="2", url="https://servicenow.example/CHG0030001", message="open")

    @activity.defn(name=Activity.CLOSE_CHANGE)
    async def close_change(self, request: CloseChange) -> ChangeRef:
        self.closed.append(request)
        return ChangeRef(number="CHG0030001", sys_id="2", url="https://servicenow.example/CHG0030001", message="closed")

    def activities(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [self.open, self.note, self.resolve, self.open_change, self.close_change]


class GitDouble:
    """Pushes every revert, unless it is to refuse them."""

    def __init__(self) -> None:
        self.reverts: list[RevertRequest] = []
        self.refuses = False

    @activity.defn(name=Activity.REVERT_COMMIT)
    async def revert(self, request: RevertRequest) -> RevertResult:
        self.reverts.append(request)
        if self.refuses:
            raise ApplicationError("Git: the branch is protected", type=ErrorType.REJECTED, non_retryable=True)
        return RevertResult(message="commit 1a2b3c puts it back", commit="1a2b3c", branch=request.branch, created=True)


class NoticesDouble:
    """Sends every notice."""

    def __init__(self) -> None:
        self.notifications: list[Notification] = []

    @activity.defn(name=Activity.SEND_NOTIFICATION)
    async def send(self, notification: Notification) -> NotificationSent:
        self.notifications.append(notification)
        return NotificationSent(service=notification.service, recipient=notification.recipient)
