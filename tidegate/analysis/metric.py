"""The rules of one metric: when it is measured, what its conditions say, when it is done.

Source of the rules: argo-rollouts, analysis run controller. The one departure: without `inconclusiveLimit` a reading
between the conditions does not use up `count`, and three times `count` readings without `count` conclusive ones end it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tidegate.analysis.status import MetricStatus, Phase
from tidegate.manifests.durations import int_or_zero, parse_duration

DEFAULT_CONSECUTIVE_ERROR_LIMIT = 4
ERROR_INTERVAL = timedelta(seconds=10)
BAND_PATIENCE = 3  # readings for each one that is wanted


@dataclass(frozen=True)
class MetricRules:
    """A metric of an AnalysisRun, read. `count` None means without end; `inconclusive_limit` None the patient rule."""

    name: str
    provider: str
    document: Mapping[str, Any]
    success: str
    failure: str
    interval: timedelta | None
    initial_delay: timedelta
    count: int | None
    failure_limit: int
    inconclusive_limit: int | None
    consecutive_error_limit: int
    consecutive_success_limit: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> MetricRules:
        """Read a metric whose arguments are substituted. Raises ValueError for a duration that cannot be read."""
        interval = document.get("interval")
        count = int_or_zero(document.get("count"))
        inconclusive = document.get("inconclusiveLimit")
        errors = document.get("consecutiveErrorLimit")
        return cls(
            name=str(document["name"]),
            provider=next(iter(document.get("provider") or {}), ""),
            document=document,
            success=str(document.get("successCondition") or ""),
            failure=str(document.get("failureCondition") or ""),
            interval=parse_duration(str(interval)) if interval else None,
            initial_delay=parse_duration(str(document.get("initialDelay") or "0")),
            count=count if count > 0 else None if interval else 1,
            failure_limit=int_or_zero(document.get("failureLimit")),
            inconclusive_limit=None if inconclusive is None else int_or_zero(inconclusive),
            consecutive_error_limit=DEFAULT_CONSECUTIVE_ERROR_LIMIT if errors is None else int_or_zero(errors),
            consecutive_success_limit=int_or_zero(document.get("consecutiveSuccessLimit")),
        )

    @property
    def patient(self) -> bool:
        """Whether an inconclusive reading is only one more look."""
        return self.inconclusive_limit is None

    def due(self, status: MetricStatus, started_at: datetime) -> datetime | None:
        """When to measure next; None when nothing more is measured. An Error is repeated after 10 s."""
        if status.phase.completed:
            return None
        if not status.measurements:
            return started_at + self.initial_delay
        last = status.measurements[-1]
        wait = ERROR_INTERVAL if last.phase is Phase.ERROR or self.interval is None else self.interval
        return (last.finished_at or last.started_at) + wait

    def violation(self, status: MetricStatus) -> tuple[Phase, str] | None:
        """The limit that is exceeded, and how it is said. Error beats Inconclusive beats Failed."""
        found = None
        if 0 <= self.failure_limit < status.failed:
            found = Phase.FAILED, f"failed ({status.failed}) > failureLimit ({self.failure_limit})"
        limit = self._inconclusive_limit(status)
        if limit is not None and status.inconclusive > limit:
            found = Phase.INCONCLUSIVE, f"inconclusive ({status.inconclusive}) > inconclusiveLimit ({limit})"
        if status.consecutive_error > self.consecutive_error_limit:
            found = (
                Phase.ERROR,
                f"consecutiveErrors ({status.consecutive_error}) > "
                f"consecutiveErrorLimit ({self.consecutive_error_limit})",
            )
        return found

    def phase(self, status: MetricStatus, *, terminating: bool) -> Phase:
        """Phase of the metric after its newest measurement."""
        if status.phase.completed:
            return status.phase
        if not status.measurements:
            return Phase.SUCCESSFUL if terminating else Phase.PENDING
        if violated := self.violation(status):
            return violated[0]
        streak = self.consecutive_success_limit
        if 0 < streak <= status.consecutive_success:
            return Phase.SUCCESSFUL
        if ended := self._ended_by_count(status):
            return ended
        return Phase.SUCCESSFUL if terminating else Phase.RUNNING

    def _ended_by_count(self, status: MetricStatus) -> Phase | None:
        if self.count is None:
            return None
        conclusive = status.successful + status.failed
        if (conclusive if self.patient else status.count) >= self.count:
            if self.consecutive_success_limit > 0:
                return Phase.INCONCLUSIVE if self.failure_limit >= 0 else Phase.FAILED
            return Phase.SUCCESSFUL
        return None

    def _inconclusive_limit(self, status: MetricStatus) -> int | None:
        """The limit in force; the patient rule is over with the last of its readings, which is one too many."""
        if not self.patient:
            return self.inconclusive_limit
        over = self.count is not None and status.count >= BAND_PATIENCE * self.count
        return status.inconclusive - 1 if over and status.successful + status.failed < (self.count or 0) else None
