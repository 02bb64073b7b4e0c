"""Sends notifications of a release's events to the subscribers in its annotations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import Event, Notification
    from tidegate.report import Subscriptions, notifications_for, read_subscriptions
    from workflows.follow_ups import FollowUps
    from workflows.release_status import ReleaseState


class Notifier:
    """Gets every event from the release state; nothing waits for it."""

    def __init__(self, state: ReleaseState, follow_ups: FollowUps) -> None:
        self._state = state
        self._follow_ups = follow_ups
        self._subscriptions = Subscriptions()
        self._threads: set[tuple[str, str, str]] = set()
        state.publication.notify = self._notify

    def subscribe(self, annotations: Mapping[str, Any]) -> tuple[str, ...]:
        """Take the subscriptions from a version's annotations. Returns warnings on those that cannot be honoured."""
        self._subscriptions = read_subscriptions(annotations)
        return self._subscriptions.warnings

    def _notify(self, event: Event, number: int) -> None:
        notifications = notifications_for(event, self._subscriptions, self._state.status(), number=number)
        self._follow_ups.notify(number, [self._threaded(each) for each in notifications])

    def _threaded(self, notification: Notification) -> Notification:
        """Mark the first notification of a version for its recipient: the others answer to it."""
        thread = notification.service, notification.recipient, notification.thread
        if thread in self._threads:
            return notification
        self._threads.add(thread)
        return notification.model_copy(update={"opens_thread": True})
