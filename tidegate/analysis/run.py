"""An analysis run as a state machine without a clock: what is due, what a reading changes, when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from tidegate.analysis.assess import measured
from tidegate.analysis.compare.measurement import comparison_of
from tidegate.analysis.metric import MetricRules
from tidegate.analysis.reading import Reading
from tidegate.analysis.rules import RunRules
from tidegate.analysis.status import AnalysisStatus, Measurement, MetricStatus, Phase, Summary

_BEST_TO_WORST: Final = (
    Phase.SUCCESSFUL,
    Phase.RUNNING,
    Phase.PENDING,
    Phase.INCONCLUSIVE,
    Phase.ERROR,
    Phase.FAILED,
)
_ENDS_A_RUN: Final = (Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE)
_STOPPED: Final = "Metric Terminated"


class Run:
    """One analysis run. `status` is all of its state, so it can be stored and taken up again.

    Every method that takes `now` expects times that never go back.
    """

    def __init__(self, rules: RunRules, status: AnalysisStatus) -> None:
        self._rules = rules
        self._asked_to_end = False
        self._only_dry_runs_left = False
        self.status = status

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

    @classmethod
    def resume(cls, rules: RunRules, status: AnalysisStatus) -> Run:
        """A run that goes on from `status`. Raises ValueError when no run with these rules can have come to it."""
        if status.started_at is None or [m.name for m in status.metrics] != [rule.name for rule in rules.metrics]:
            raise ValueError("the status is not one of a run with these metrics")
        return cls(rules, status)

    @property
    def over(self) -> bool:
        """True when the verdict stands."""
        return self.status.phase.completed

    def due(self, now: datetime) -> list[MetricRules]:
        """Metrics to be measured now, all at once; those whose provider is still at work are asked again."""
        return [rule for rule, at in self._due_times() if at <= now]

    def next_due(self, within: timedelta = timedelta(0)) -> datetime | None:
        """When the next metric is due; None when nothing more is measured.

        Metrics that come due up to `within` after it are waited for, so that they can be measured together.
        """
        times = sorted(at for _, at in self._due_times())
        return max((at for at in times if at - times[0] <= within), default=None)

    def unread(self, now: datetime) -> list[MetricRules]:
        """Metrics that count, may be measured by now, and have no conclusive reading: they prove nothing yet.

        A reading that the provider is still at work on is none that another one could replace.
        """
        started = self.status.started_at
        if started is None or self.over:
            return []
        return [
            rule
            for rule, metric in self._pairs()
            if not metric.dry_run and rule.is_unread(metric) and started + rule.initial_delay <= now
        ]

    def number(self, rule: MetricRules) -> int:
        """Number of the metric's next measurement, counted from 1; of the one under way while there is one."""
        metric = self._of(rule)
        return metric.count + metric.error + 1

    def pending(self, rule: MetricRules) -> Mapping[str, str]:
        """Notes of the provider on the measurement that is under way; empty when there is none."""
        newest = self._of(rule).measurements[-1:]
        return newest[0].metadata if newest and newest[0].phase is Phase.RUNNING else {}

    def record(self, readings: Iterable[Reading], now: datetime) -> None:
        """Take in readings and decide what they mean for their metrics and for the run.

        A reading that says that an argument has no value ends the run as an Error: it can never be carried out.
        """
        by_name = {reading.metric: reading for reading in readings}
        self._update(rate_limited_until=None)
        if broken := next((reading for reading in by_name.values() if reading.unresolved), None):
            self._update(phase=Phase.ERROR, message=broken.error)
            return
        self._change(
            self._counted(rule, metric, measured(rule, by_name[rule.name])) if rule.name in by_name else metric
            for rule, metric in self._pairs()
        )
        self._settle(now)

    def rate_limited(self, until: datetime) -> None:
        """Show that a provider makes the run wait."""
        self._update(rate_limited_until=until)

    def terminate(self, now: datetime) -> None:
        """End with what was measured."""
        self._asked_to_end = True
        self._settle(now)

    def end_dry_runs(self, now: datetime) -> None:
        """End dry-run metrics that go on beside completed ones: the run says the same as without them."""
        self._only_dry_runs_left = True
        self.terminate(now)

    def _settle(self, now: datetime) -> None:
        """Bring the phases up to date; a metric that ended badly in this pass ends its siblings in the next one."""
        self._pass(now)
        if self._terminating and not self.over:
            self._pass(now)

    def _pass(self, now: datetime) -> None:
        if self.over:
            return
        terminating = self._terminating
        if terminating:
            self._change(self._stopped(rule, metric, now) for rule, metric in self._pairs())
        self._change(_phased(rule, metric, terminating=terminating) for rule, metric in self._pairs())
        self._summarise()
        if terminating or all(metric.phase.completed for metric in self.status.metrics):
            self._complete(now)

    @property
    def _terminating(self) -> bool:
        """True when nothing more is measured: it was asked to end, or a metric that counts ended badly."""
        return self._asked_to_end or any(m.phase in _ENDS_A_RUN for m in self.status.metrics if not m.dry_run)

    def _complete(self, now: datetime) -> None:
        cut_short = self._asked_to_end and not self._only_dry_runs_left
        phase, message = Phase.SUCCESSFUL, "Run Terminated" if cut_short else ""
        if self._unmeasured:
            phase, message = Phase.INCONCLUSIVE, "Run Terminated before anything was measured"
        for rule, metric in self._pairs():
            if metric.dry_run or _rank(metric.phase) <= _rank(phase) or not metric.phase.completed:
                continue
            phase = metric.phase
            if violated := rule.violation(metric, ended=True):
                last = f': "Error Message: {metric.message}"' if metric.message else ""
                message = f'Metric "{metric.name}" assessed {metric.phase} due to {violated[1]}{last}'
            if comparison_of(metric) is not None and metric.message:  # a judgement is its own reason
                message = f'Metric "{metric.name}" assessed {metric.phase}: {metric.message}'
        self._update(phase=phase, message=message, completed_at=now)

    @property
    def _unmeasured(self) -> bool:
        """True when the run proves nothing. Argo calls that a success; the patient rule does not."""
        counting = [(rule, metric) for rule, metric in self._pairs() if not metric.dry_run]
        demanding = any(rule.patient or rule.compares for rule, _ in counting)
        return demanding and not any(metric.measurements for _, metric in counting)

    def _summarise(self) -> None:
        pairs = list(self._pairs())
        self._update(
            run_summary=_summary([pair for pair in pairs if not pair[1].dry_run]),
            dry_run_summary=_summary([pair for pair in pairs if pair[1].dry_run]),
        )

    def _counted(self, rule: MetricRules, metric: MetricStatus, new: Measurement) -> MetricStatus:
        before = metric.measurements
        if before and before[-1].phase is Phase.RUNNING:
            new = new.model_copy(update={"started_at": before[-1].started_at})
            before = before[:-1]
        phase, retention = new.phase, self._rules.kept(rule.name)
        changes: dict[str, object] = {
            "phase": Phase.RUNNING if metric.phase is Phase.PENDING else metric.phase,
            "measurements": (*before, new)[-retention:],
        }
        if phase is not Phase.RUNNING:
            changes |= {
                "count": metric.count + (phase is not Phase.ERROR),
                "successful": metric.successful + (phase is Phase.SUCCESSFUL),
                "failed": metric.failed + (phase is Phase.FAILED),
                "inconclusive": metric.inconclusive + (phase is Phase.INCONCLUSIVE),
                "error": metric.error + (phase is Phase.ERROR),
                "consecutive_error": metric.consecutive_error + 1 if phase is Phase.ERROR else 0,
                "consecutive_success": metric.consecutive_success + 1 if phase is Phase.SUCCESSFUL else 0,
            }
        return metric.model_copy(update=changes)

    def _stopped(self, rule: MetricRules, metric: MetricStatus, now: datetime) -> MetricStatus:
        """The metric with the measurement that is under way, if any, ended by the run.

        That is a success by Argo's rule, but where only a verdict proves anything.
        """
        if not metric.measurements or metric.measurements[-1].phase is not Phase.RUNNING:
            return metric
        phase = Phase.INCONCLUSIVE if rule.proves_by_reading else Phase.SUCCESSFUL
        ended = {"phase": phase, "message": _STOPPED, "finished_at": now, "resume_at": None}
        return self._counted(rule, metric, metric.measurements[-1].model_copy(update=ended))

    def _of(self, rule: MetricRules) -> MetricStatus:
        return next(metric for metric in self.status.metrics if metric.name == rule.name)

    def _pairs(self) -> Iterable[tuple[MetricRules, MetricStatus]]:
        return zip(self._rules.metrics, self.status.metrics, strict=True)

    def _due_times(self) -> list[tuple[MetricRules, datetime]]:
        started = self.status.started_at
        if started is None or self.over:
            return []
        times = [(rule, rule.due(metric, started)) for rule, metric in self._pairs()]
        return [(rule, at) for rule, at in times if at is not None]

    def _change(self, metrics: Iterable[MetricStatus]) -> None:
        self._update(metrics=tuple(metrics))

    def _update(self, **changes: object) -> None:
        self.status = self.status.model_copy(update=changes)


def _rank(phase: Phase) -> int:
    return _BEST_TO_WORST.index(phase)


def _phased(rule: MetricRules, metric: MetricStatus, *, terminating: bool) -> MetricStatus:
    """The metric with its phase; it takes over the message of the measurement that changed it."""
    if not metric.measurements:
        return metric
    phase = rule.phase(metric, terminating=terminating)
    if phase is metric.phase:
        return metric
    message, violated = metric.measurements[-1].message, rule.violation(metric, ended=terminating)
    if metric.dry_run and violated:
        message = f"Metric assessed {phase} due to {violated[1]}"
    exceeded = violated[1] if violated and phase is violated[0] else ""
    return metric.model_copy(update={"phase": phase, "message": message, "exceeded": exceeded})


def _summary(pairs: Sequence[tuple[MetricRules, MetricStatus]]) -> Summary:
    """Completed metrics by the limit that they exceeded; what ended otherwise is tallied as successful, as in Argo."""
    ended = [rule.violation(metric, ended=True) for rule, metric in pairs if metric.phase.completed]
    phases = [violated[0] if violated else Phase.SUCCESSFUL for violated in ended]
    return Summary(
        count=len(pairs),
        successful=phases.count(Phase.SUCCESSFUL),
        failed=phases.count(Phase.FAILED),
        inconclusive=phases.count(Phase.INCONCLUSIVE),
        error=phases.count(Phase.ERROR),
    )
