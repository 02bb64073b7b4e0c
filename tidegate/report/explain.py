"""Explanation of a release: for each gate the measurements that decided, their limit, and the consequences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from tidegate.analysis.compare.measurement import comparison_of
from tidegate.analysis.compare.phrases import time
from tidegate.analysis.status import AnalysisStatus, Measurement, MetricStatus, Phase
from tidegate.contract import AnalysisKind, AnalysisRef, Compensation, CompensationState, ReleaseStatus, StepStatus
from tidegate.report.explanation_models import Explanation, GateExplanation, MetricExplanation
from tidegate.report.timeline import abort_of, began, consequences, decided, ending, weight_at
from tidegate.report.versions import reach
from tidegate.rollouts.phase import RolloutPhase

_TEXTS: Final = {
    Phase.PENDING: "was not measured yet",
    Phase.RUNNING: "is being measured",
    Phase.SUCCESSFUL: "is good",
    Phase.FAILED: "is bad",
    Phase.ERROR: "could not be measured",
    Phase.INCONCLUSIVE: "could not be judged",
}
_FINAL_TEXTS: Final = _TEXTS | {Phase.PENDING: "was never measured", Phase.RUNNING: "came to no verdict"}
_OPEN: Final = ("Running", "Paused")
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


def explain(status: ReleaseStatus, state: str = "Running") -> Explanation:
    """The account of a release; its gates in the order in which they began.

    `state` is Temporal's word for its workflow (Running, Completed, Terminated, ...): a release that was stopped from
    outside does not know it.
    """
    gates = [each for each in status.analyses if each.revision == status.revision]
    gates.sort(key=lambda gate: began(status, gate) or _NEVER)
    abort = abort_of(status)
    subject = f"{status.namespace}/{status.name}" + (f" revision {status.revision}" if status.revision else "")
    verdict, reason = _verdict(status, state, gates)
    images = f" ({', '.join(status.images.values())})" if status.images else ""
    return Explanation(
        subject=subject,
        headline=f"{subject}{images} {verdict}: {reason}" if reason else f"{subject}{images} {verdict}",
        phase=state if _stopped(status, state) else status.phase,
        decided_by=abort.analysis if abort is not None else "",
        gates=tuple(_gate(status, gate) for gate in gates),
        ending=ending(status),
        workflow_id=status.workflow_id,
        run_id=status.run_id,
    )


def explain_run(run: AnalysisStatus, workflow_id: str, release: Explanation | None = None) -> Explanation:
    """The account of one analysis run; with that of its release, what the release did because of it."""
    gates = [gate for gate in release.gates if gate.workflow_id == workflow_id] if release is not None else []
    account = gates[0] if gates else _account(run, workflow_id)
    subject = f"analysis run {run.name}"
    verdict = f"ended {run.phase}" if run.phase.completed else f"is {run.phase}"
    reason = reason_of(run)
    return Explanation(
        subject=subject,
        headline=f"{subject} {verdict}: {reason}" if reason else f"{subject} {verdict}",
        phase=run.phase,
        gates=(account,),
        workflow_id=workflow_id,
    )


def _verdict(status: ReleaseStatus, state: str, gates: Sequence[AnalysisRef]) -> tuple[str, str]:
    """Outcome of the release, with its one reason."""
    abort, now = abort_of(status), reach(status, status.actual_weight)
    if _stopped(status, state):
        remedy = "nothing was undone; look at the weights, then start it again, or the stable version"
        return f"was stopped from outside ({state}) {now}", remedy
    if status.is_refused:
        return "was refused, and nothing of it was done", status.cause
    if abort is not None:
        decisive = next((gate for gate in gates if gate.name == abort.analysis), None)
        return _undone(status, abort.at), reason_of(decisive.status) if decisive is not None else status.cause
    if status.phase is RolloutPhase.HEALTHY:
        return "is fully promoted", _evidence(status, gates)
    if status.phase is RolloutPhase.DEGRADED:
        return f"is degraded {now}, and goes on trying", status.message
    if status.held and status.waiting is not None:
        return f"waits for an operator {now}", status.waiting.what
    return f"is under way {now}", _progress(status)


def _stopped(status: ReleaseStatus, state: str) -> bool:
    """True when a release was ended on the server, which its status does not show."""
    return status.finished_at is None and state not in _OPEN


def _undone(status: ReleaseStatus, abort: datetime) -> str:
    failed = [each.name for each in status.compensations if each.state is CompensationState.FAILED]
    if failed:
        return f"was aborted, and an operator is needed, since this failed: {', '.join(failed)}"
    weight = reach(status, weight_at(status, abort))
    if not any(each.name == Compensation.TRAFFIC for each in status.compensations):
        return f"was aborted {weight}"
    return f"was rolled back {weight}" if status.finished_at is not None else f"is being rolled back {weight}"


def _evidence(status: ReleaseStatus, gates: Sequence[AnalysisRef]) -> str:
    """Evidence for a full promotion: its reason, gates, and operators' promotions."""
    promotions = [event.message for event in status.events if event.reason == "RolloutPromoted"]
    good = [gate for gate in gates if gate.status.phase is Phase.SUCCESSFUL]
    evidence = f"{len(good)} of {len(gates)} gates were Successful" if gates else "no gate was asked"
    return "; ".join(filter(None, [status.promotion_reason, evidence, *promotions]))


def _progress(status: ReleaseStatus) -> str:
    index = status.step_index
    parts = []
    if index is not None and index < len(status.steps):
        parts.append(f"step {index + 1}/{len(status.steps)} ({status.steps[index].text})")
    if status.waiting is not None:
        until = f" until {status.waiting.until:%H:%M:%S} UTC" if status.waiting.until else ""
        parts.append(f"waits for {status.waiting.what}{until}")
    return ", ".join(parts) or status.message


def _gate(status: ReleaseStatus, gate: AnalysisRef) -> GateExplanation:
    at = decided(status, gate)
    step = _step_of(status, gate, at)
    return _account(gate.status, gate.workflow_id).model_copy(
        update={
            "kind": gate.kind,
            "step": step.index + 1 if step is not None else None,
            "step_text": step.text if step is not None else "",
            "weight": weight_at(status, at) if at is not None else status.actual_weight,
            "started_at": began(status, gate),
            "timeline": consequences(status, gate),
        }
    )


def _step_of(status: ReleaseStatus, gate: AnalysisRef, at: datetime | None) -> StepStatus | None:
    """A gate's own step; of a background gate the one that was under way at that time, now by default."""
    if gate.kind is AnalysisKind.BAKE:
        return None
    if gate.step is not None:
        return next(iter(status.steps[gate.step : gate.step + 1]), None)
    if at is None:
        return next((each for each in status.steps if each.index == status.step_index), None)
    started = [each for each in status.steps if each.started_at is not None and each.started_at <= at]
    return started[-1] if started else None


def _account(run: AnalysisStatus, workflow_id: str) -> GateExplanation:
    return GateExplanation(
        name=run.name,
        workflow_id=workflow_id,
        phase=run.phase,
        message=run.message,
        started_at=run.started_at,
        completed_at=run.completed_at,
        metrics=tuple(_metric(metric, run) for metric in run.metrics),
    )


def _metric(metric: MetricStatus, run: AnalysisStatus) -> MetricExplanation:
    return MetricExplanation(
        sentence=_sentence(metric, run), metric=metric.model_copy(update={"measurements": _deciding(metric)})
    )


def reason_of(run: AnalysisStatus) -> str:
    """Sentence of the metric that gave a run its phase, else what the run says of itself."""
    metric = decisive_metric(run)
    return _sentence(metric, run) if metric is not None else run.message


def decisive_metric(run: AnalysisStatus) -> MetricStatus | None:
    """The metric that gave a run its phase, if that is a bad one; None where none did."""
    if not run.phase.completed or run.phase is Phase.SUCCESSFUL:
        return None
    return next((metric for metric in run.metrics if metric.phase is run.phase and not metric.dry_run), None)


def _sentence(metric: MetricStatus, run: AnalysisStatus) -> str:
    if (judged := comparison_of(metric)) is not None:
        return _comparison(metric, judged, run)
    text = (_FINAL_TEXTS if run.phase.completed else _TEXTS)[metric.phase]
    latest = next((each.reason or each.message for each in reversed(_deciding(metric))), "")
    limit = f" ({metric.exceeded})" if metric.exceeded else ""
    dry = "; a dry run, which has no say" if metric.dry_run else ""
    return f"{metric.name} {text}{limit}" + (f": {latest}" if latest else "") + dry


def _comparison(metric: MetricStatus, judged: Measurement, run: AnalysisStatus) -> str:
    """The judgement's own sentence; in a dry run with when it would have aborted."""
    if not metric.dry_run:
        return f"{metric.name}: {judged.value}"
    if metric.phase is not Phase.FAILED or judged.finished_at is None:
        return f"{metric.name} (a dry run, which has no say): {judged.value}"
    at = judged.finished_at
    return f"{metric.name} (a dry run) would have aborted at {at:%H:%M:%S} UTC{_lead(at, run)}: {judged.value}"


def _lead(at: datetime, run: AnalysisStatus) -> str:
    """Time between a dry run's abort and the first metric that did fail; empty where none did."""
    others = [
        (each.finished_at, metric.name)
        for metric in run.metrics
        if metric.phase is Phase.FAILED and not metric.dry_run
        for each in metric.measurements[-1:]
        if each.finished_at is not None
    ]
    if not others:
        return ""
    failed, name = min(others)
    seconds = (failed - at).total_seconds()
    return f", {time(abs(seconds))} {'before' if seconds >= 0 else 'after'} {name} did"


def _deciding(metric: MetricStatus) -> tuple[Measurement, ...]:
    """The kept measurements with the metric's own verdict where it ended badly; else the latest one.

    Errors count only when they come one after another.
    """
    kept = metric.measurements
    if metric.phase is Phase.ERROR:
        kept = kept[len(kept) - metric.consecutive_error :] if metric.consecutive_error < len(kept) else kept
    bad = metric.phase in (Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE)
    found = tuple(each for each in kept if each.phase is metric.phase) if bad else ()
    return found or metric.measurements[-1:]
