"""The rules of one metric: when it is measured, which limits it has, when it is done.

Source: argo-rollouts, analysis run controller. The one departure is the patient rule, in force where there is no
`inconclusiveLimit`: a reading that is neither good nor bad does not use up `count`, and three times `count` readings
without `count` conclusive ones end the metric Inconclusive, as does an end that is asked for before any conclusive one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tidegate.analysis.status import MetricStatus, Phase
from tidegate.manifests.analysis_template import Metric
from tidegate.manifests.durations import int_or_zero, parse_duration
from tidegate.manifests.providers.compare import KEY as COMPARE
from tidegate.manifests.providers.job import KEY as JOB

DEFAULT_CONSECUTIVE_ERROR_LIMIT: Final = 4
RETRY_INTERVAL: Final = timedelta(seconds=10)
"""Wait after an Error, whatever the metric's interval."""
PATIENCE: Final = 3
"""Readings that the patient rule allows for each one that `count` wants."""


@dataclass(frozen=True)
class MetricRules:
    """A metric of an AnalysisRun, read. `count` None means without end; `inconclusive_limit` None the patient rule.

    `document` is the metric as a provider gets it.
    """

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
    def of(cls, metric: Metric) -> MetricRules:
        """Read a metric whose arguments are substituted. Raises ValueError for a duration that cannot be read."""
        count = int_or_zero(metric.count)
        errors = metric.consecutive_error_limit
        provider = next(iter(metric.provider.names()), "")
        inconclusive = None if metric.inconclusive_limit is None else int_or_zero(metric.inconclusive_limit)
        return cls(
            name=metric.name,
            provider=provider,
            document=metric.to_wire(),
            success=metric.success_condition,
            failure=metric.failure_condition,
            interval=parse_duration(metric.interval) if metric.interval else None,
            initial_delay=parse_duration(metric.initial_delay or "0"),
            count=count if count > 0 else None if metric.interval else 1,
            failure_limit=int_or_zero(metric.failure_limit),
            inconclusive_limit=0 if provider == COMPARE and inconclusive is None else inconclusive,
            consecutive_error_limit=DEFAULT_CONSECUTIVE_ERROR_LIMIT if errors is None else int_or_zero(errors),
            consecutive_success_limit=int_or_zero(metric.consecutive_success_limit),
        )

    @property
    def compares(self) -> bool:
        """True when it compares two versions: it is read on and on until it is decided, and has no interval."""
        return self.provider == COMPARE

    @property
    def source(self) -> str:
        """Key of the source of a comparison's counts: `datadog` or `prometheus`."""
        return "prometheus" if self.document["provider"]["plugin"][COMPARE].get("prometheus") else "datadog"

    @property
    def patient(self) -> bool:
        """True when an inconclusive reading is only one more look."""
        return self.inconclusive_limit is None

    @property
    def proves_by_reading(self) -> bool:
        """True when an end before any verdict proves nothing: the end of a Job or a comparison is not known then."""
        return self.patient or self.compares or self.provider == JOB

    def due(self, status: MetricStatus, started_at: datetime) -> datetime | None:
        """When to measure next, the run having started at `started_at`; None when nothing more is measured.

        The interval counts from the end of the measurement before, and has passed only when the time is later than it.
        """
        if status.phase.completed or self.compares:
            return None
        if not status.measurements:
            return started_at + self.initial_delay
        last = status.measurements[-1]
        if last.phase is Phase.RUNNING:
            return last.resume_at
        wait = RETRY_INTERVAL if last.phase is Phase.ERROR or self.interval is None else self.interval
        return (last.finished_at or last.started_at) + wait + timedelta.resolution

    def is_unread(self, status: MetricStatus) -> bool:
        """True when it has no reading that says anything, and none is being made."""
        at_work = bool(status.measurements) and status.measurements[-1].phase is Phase.RUNNING
        return not (status.phase.completed or at_work or self.compares) and self._used(status) == 0

    def violation(self, status: MetricStatus, *, ended: bool) -> tuple[Phase, str] | None:
        """The limit that is exceeded, and how it is said. Error beats Inconclusive beats Failed.

        `ended` says that no further reading will come.
        """
        found = None
        if 0 <= self.failure_limit < status.failed:
            found = Phase.FAILED, f"failed ({status.failed}) > failureLimit ({self.failure_limit})"
        limit = self.inconclusive_limit
        if limit is not None and status.inconclusive > limit:
            found = Phase.INCONCLUSIVE, f"inconclusive ({status.inconclusive}) > inconclusiveLimit ({limit})"
        elif found is None and (shortage := self._shortage(status, ended=ended)):
            found = Phase.INCONCLUSIVE, shortage
        if status.consecutive_error > self.consecutive_error_limit:
            limits = f"({status.consecutive_error}) > consecutiveErrorLimit ({self.consecutive_error_limit})"
            found = Phase.ERROR, f"consecutiveErrors {limits}"
        return found

    def phase(self, status: MetricStatus, *, terminating: bool) -> Phase:
        """Phase of the metric after its newest measurement."""
        if status.phase.completed:
            return status.phase
        if not status.measurements:
            ended = Phase.INCONCLUSIVE if self.compares else Phase.SUCCESSFUL
            return ended if terminating else Phase.PENDING
        if status.measurements[-1].phase is Phase.RUNNING:
            return Phase.RUNNING
        if violated := self.violation(status, ended=terminating):
            return violated[0]
        if self._streak_reached(status):
            return Phase.SUCCESSFUL
        if self.count is not None and self._used(status) >= self.count:
            return self._at_count()
        return Phase.SUCCESSFUL if terminating else Phase.RUNNING

    def _streak_reached(self, status: MetricStatus) -> bool:
        return 0 < self.consecutive_success_limit <= status.consecutive_success

    def _used(self, status: MetricStatus) -> int:
        """How much of `count` is used up."""
        return status.successful + status.failed if self.patient else status.count

    def _at_count(self) -> Phase:
        """Phase of a metric that was measured often enough: a streak that is wanted and missing is not forgiven."""
        if self.consecutive_success_limit <= 0:
            return Phase.SUCCESSFUL
        return Phase.INCONCLUSIVE if self.failure_limit >= 0 else Phase.FAILED

    def _shortage(self, status: MetricStatus, *, ended: bool) -> str:
        """Why the patient rule gives up, or nothing."""
        if not self.patient or self._streak_reached(status):
            return ""
        conclusive = self._used(status)
        if self.count is not None and conclusive < self.count and status.count >= PATIENCE * self.count:
            return f"conclusive ({conclusive}) < count ({self.count}) after {status.count} readings"
        return "no conclusive reading" if ended and conclusive == 0 else ""
