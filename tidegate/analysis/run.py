"""An analysis run as a state machine without a clock: what is due, what a reading changes, when it is over."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidegate.analysis.assess import measured
from tidegate.analysis.metric import MetricRules
from tidegate.analysis.reading import Reading
from tidegate.analysis.status import AnalysisStatus, Measurement, MetricStatus, Phase, Summary

DEFAULT_RETENTION = 10
_WORST_LAST = (
    Phase.SUCCESSFUL,
    Phase.RUNNING,
    Phase.PENDING,
    Phase.INCONCLUSIVE,
    Phase.ERROR,
    Phase.FAILED,
)
_ENDS_A_RUN = (Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE)


@dataclass(frozen=True)
class RunRules:
    """An AnalysisRun spec, read."""

    metrics: tuple[MetricRules, ...]
    dry_run: frozenset[str]
    retention: Mapping[str, int]

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> RunRules:
        """Read a spec. Raises ValueError with Argo's text for one that is invalid."""
        metrics = tuple(MetricRules.of(metric) for metric in spec.get("metrics") or [])
        if not metrics:
            raise ValueError("no metrics specified")
        return cls(
            metrics=metrics,
            dry_run=frozenset(name for name, _ in _matches(spec.get("dryRun") or [], metrics, "dryRun")),
            retention={
                name: int(rule.get("limit") or 0) or DEFAULT_RETENTION
                for name, rule in _matches(spec.get("measurementRetention") or [], metrics, "measurementRetention")
            },
        )


class Run:
    """One analysis run. `status` is all of its state, so it can be stored and taken up again."""

    def __init__(self, rules: RunRules, status: AnalysisStatus) -> None:
        self._rules = rules
        self.status = status
        self._terminate = False

    @classmethod
    def begin(cls, name: str, rules: RunRules, now: datetime) -> Run:
        """A run that starts now, with nothing measured."""
        metrics = tuple(
            MetricStatus(
                name=rule.name,
                phase=Phase.PENDING,
                dry_run=rule.name in rules.dry_run,
                success_condition=rule.success,
                failure_condition=rule.failure,
            )
            for rule in rules.metrics
        )
        return cls(rules, AnalysisStatus(name=name, phase=Phase.RUNNING, started_at=now, metrics=metrics))

    @property
    def terminating(self) -> bool:
        """Whether nothing more is measured: it was asked to end, or a metric that counts ended badly."""
        return self._terminate or any(m.phase in _ENDS_A_RUN for m in self.status.metrics if not m.dry_run)

    def due(self, now: datetime) -> list[MetricRules]:
        """Metrics to be measured now, all at once."""
        if self.terminating or self.status.phase.completed:
            return []
        return [rule for rule, at in self._due_times() if at <= now]

    def next_due(self) -> datetime | None:
        """When the next metric is due; None when nothing more is measured."""
        return None if self.terminating else min((at for _, at in self._due_times()), default=None)

    def record(self, readings: Sequence[Reading], now: datetime) -> None:
        """Take in readings and decide what they mean for their metrics and for the run."""
        by_name = {reading.metric: reading for reading in readings}
        metrics = [
            self._counted(rule, metric, measured(rule, by_name[rule.name])) if rule.name in by_name else metric
            for rule, metric in zip(self._rules.metrics, self.status.metrics, strict=True)
        ]
        self.status = self.status.model_copy(update={"metrics": tuple(metrics)})
        self.settle(now)

    def terminate(self, now: datetime) -> None:
        """End with what was measured."""
        self._terminate = True
        self.settle(now)

    def settle(self, now: datetime) -> None:
        """Bring the phases of the metrics and of the run up to date."""
        if self.status.phase.completed:
            return
        pairs = list(zip(self._rules.metrics, self.status.metrics, strict=True))
        self._set_phases([_phased(rule, metric, terminating=False) for rule, metric in pairs])
        if self.terminating:
            self._set_phases([_phased(rule, m, terminating=True) for rule, m in self._pairs() if m.measurements])
            measured_ones = [m for m in self.status.metrics if m.measurements]
        else:
            measured_ones = list(self.status.metrics)
        if all(m.phase.completed for m in measured_ones):
            self._complete(measured_ones, now)

    def _complete(self, metrics: Sequence[MetricStatus], now: datetime) -> None:
        counting = [metric for metric in metrics if not metric.dry_run]
        worst = max(counting, key=lambda m: _WORST_LAST.index(m.phase), default=None)
        phase = worst.phase if worst else Phase.SUCCESSFUL
        message = ""
        if worst is not None and worst.message and phase is not Phase.SUCCESSFUL:
            message = f'Metric "{worst.name}" {worst.message}'
        elif self._terminate:
            message = "Run Terminated"
        self.status = self.status.model_copy(
            update={
                "phase": phase,
                "message": message,
                "completed_at": now,
                "run_summary": _summary(counting),
                "dry_run_summary": _summary([metric for metric in metrics if metric.dry_run]),
            }
        )

    def _pairs(self) -> list[tuple[MetricRules, MetricStatus]]:
        return list(zip(self._rules.metrics, self.status.metrics, strict=True))

    def _due_times(self) -> list[tuple[MetricRules, datetime]]:
        started = self.status.started_at
        times = [(rule, rule.due(metric, started)) for rule, metric in self._pairs()] if started else []
        return [(rule, at) for rule, at in times if at is not None]

    def _set_phases(self, changed: Sequence[MetricStatus]) -> None:
        by_name = {metric.name: metric for metric in changed}
        metrics = tuple(by_name.get(metric.name, metric) for metric in self.status.metrics)
        self.status = self.status.model_copy(update={"metrics": metrics})

    def _counted(self, rule: MetricRules, metric: MetricStatus, new: Measurement) -> MetricStatus:
        phase = new.phase
        kept = (*metric.measurements, new)[-self._rules.retention.get(rule.name, DEFAULT_RETENTION) :]
        return metric.model_copy(
            update={
                "measurements": kept,
                "message": metric.message,
                "count": metric.count + (phase is not Phase.ERROR),
                "successful": metric.successful + (phase is Phase.SUCCESSFUL),
                "failed": metric.failed + (phase is Phase.FAILED),
                "inconclusive": metric.inconclusive + (phase is Phase.INCONCLUSIVE),
                "error": metric.error + (phase is Phase.ERROR),
                "consecutive_error": metric.consecutive_error + 1 if phase is Phase.ERROR else 0,
                "consecutive_success": metric.consecutive_success + 1 if phase is Phase.SUCCESSFUL else 0,
            }
        )


def _phased(rule: MetricRules, metric: MetricStatus, *, terminating: bool) -> MetricStatus:
    phase = rule.phase(metric, terminating=terminating)
    violated = rule.violation(metric)
    message = metric.message
    if violated and not metric.phase.completed:
        message = f"assessed {violated[0]} due to {violated[1]}"
        last = metric.measurements[-1].message
        message += f': "Error Message: {last}"' if last else ""
    return metric.model_copy(update={"phase": phase, "message": message})


def _summary(metrics: Sequence[MetricStatus]) -> Summary:
    def number(phase: Phase) -> int:
        return sum(1 for metric in metrics if metric.phase is phase)

    return Summary(
        count=len(metrics),
        successful=number(Phase.SUCCESSFUL),
        failed=number(Phase.FAILED),
        inconclusive=number(Phase.INCONCLUSIVE),
        error=number(Phase.ERROR),
    )


def _matches(
    rules: Sequence[Mapping[str, Any]], metrics: Sequence[MetricRules], field: str
) -> list[tuple[str, Mapping[str, Any]]]:
    """(metric name, rule) for each metric that a rule's regular expression is found in; the first rule counts."""
    found: dict[str, Mapping[str, Any]] = {}
    for index, rule in enumerate(rules):
        try:
            pattern = re.compile(str(rule.get("metricName", "")))
        except re.error:
            pattern = re.compile(r"(?!)")  # an invalid expression matches nothing
        names = [metric.name for metric in metrics if pattern.search(metric.name)]
        if not names:
            raise ValueError(f"{field}[{index}]: Rule didn't match any metric name(s)")
        for name in names:
            found.setdefault(name, rule)
    return list(found.items())
