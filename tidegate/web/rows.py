"""Releases of a fleet as they were read: what Temporal keeps of each, and its own status where a worker gave one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from tidegate.client import ReleaseSummary, RolloutRef
from tidegate.contract import FOR_AN_OPERATOR, ReleaseStatus
from tidegate.report.aborted import operator_tasks

RECENT: Final = timedelta(days=1)
"""Time for which an aborted release is shown in full."""


class FleetPart(StrEnum):
    """Part of the page that a release is in, by what it asks of people."""

    OPERATOR = "Waiting for an operator"
    UNDER_WAY = "Under way"
    TAKEN_BACK = "Taken back"
    ENDED = "Ended"


@dataclass(frozen=True)
class FleetRow:
    """One release. `read_at` is the time of its status; `trouble` says why that is an old one, or missing."""

    summary: ReleaseSummary
    status: ReleaseStatus | None = None
    read_at: datetime | None = None
    trouble: str = ""

    @property
    def rollout(self) -> RolloutRef:
        """The Rollout that it is a release of."""
        return RolloutRef(self.summary.namespace, self.summary.name, self.summary.cluster)

    @property
    def is_under_way(self) -> bool:
        """True while it may change."""
        return self.summary.finished_at is None

    def group(self, now: datetime) -> FleetPart:
        """Part of the page for it."""
        return self._known_group(now) if self.status is None else self._group(self.status, now)

    def _group(self, status: ReleaseStatus, now: datetime) -> FleetPart:
        waits = status.waiting is not None and status.waiting.only_operator and status.finished_at is None
        if operator_tasks(status) or waits or status.manual_pause is not None:
            return FleetPart.OPERATOR
        if status.aborting:
            return FleetPart.TAKEN_BACK
        return FleetPart.UNDER_WAY if status.finished_at is None and self.is_under_way else self._ended(now)

    def _known_group(self, now: datetime) -> FleetPart:
        """Part of the page by Temporal's own records."""
        if self.is_under_way:
            waits = self.summary.waiting_for == FOR_AN_OPERATOR or self.summary.state == "Paused"
            return FleetPart.OPERATOR if waits else FleetPart.UNDER_WAY
        return self._ended(now)

    def _ended(self, now: datetime) -> FleetPart:
        return FleetPart.TAKEN_BACK if self.ended_badly_since(now - RECENT) else FleetPart.ENDED

    def ended_badly_since(self, since: datetime) -> bool:
        """True for a release that ended after that time, and not well."""
        finished = self.summary.finished_at
        return finished is not None and finished > since and self.summary.state != "Completed"


@dataclass(frozen=True)
class Fleet:
    """All releases at one time. `trouble` says why they are old ones: Temporal did not answer."""

    rows: Sequence[FleetRow] = field(default_factory=tuple)
    read_at: datetime | None = None
    trouble: str = ""

    def find(self, rollout: RolloutRef) -> FleetRow | None:
        """The release of a Rollout, if it is among them."""
        return next((row for row in self.rows if row.rollout == rollout), None)

    def of(self, namespace: str, cluster: str) -> Fleet:
        """The same with the releases of a namespace and of a cluster; empty means every one."""
        rows = [
            row
            for row in self.rows
            if namespace in ("", row.summary.namespace) and cluster in ("", row.summary.cluster)
        ]
        return Fleet(rows, self.read_at, self.trouble)
