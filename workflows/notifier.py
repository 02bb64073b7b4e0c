"""Tells people of a release's events as its annotations ask for, beside everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import Event
    from tidegate.story import Subscriptions, notices_for, read_subscriptions
    from workflows.follow_ups import FollowUps
    from workflows.journal import Journal


class Notifier:
    """Hears of every event from the journal; nothing waits for it."""

    def __init__(self, journal: Journal, follow_ups: FollowUps) -> None:
        self._journal = journal
        self._follow_ups = follow_ups
        self._subscriptions = Subscriptions()
        journal.tell = self._tell

    def subscribe(self, annotations: Mapping[str, Any]) -> tuple[str, ...]:
        """Tell whom the annotations of a version name from here on; what of them cannot be done."""
        self._subscriptions = read_subscriptions(annotations)
        return self._subscriptions.warnings

    def _tell(self, event: Event, number: int) -> None:
        self._follow_ups.tell(number, notices_for(event, self._subscriptions, self._journal.status(), number=number))
