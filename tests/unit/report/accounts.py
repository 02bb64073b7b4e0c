"""A release with a step gate and a gate in the background, as it tells of itself: minutes count from its start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tidegate.analysis.status import AnalysisStatus, Measurement, MetricStatus, Phase
from tidegate.contract import (
    AnalysisRef,
    Compensation,
    CompensationStatus,
    Event,
    IncidentRef,
    ReleaseStatus,
    StepState,
    StepStatus,
    WeightStatus,
)

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
GATE = "checkout-abc-2-1"
BESIDE = "checkout-abc-2"
TEXTS = ("setWeight: 10", "analysis", "setWeight: 25", "pause: 5m")


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def measured(minute: float, value: str, phase: Phase) -> Measurement:
    return Measurement(phase=phase, value=value, reason=f"{value} seen", started_at=at(minute), finished_at=at(minute))


def metric(*measurements: Measurement, **more: Any) -> MetricStatus:
    return MetricStatus(**{"name": "error-rate", "phase": Phase.RUNNING, "measurements": measurements, **more})


def failed() -> MetricStatus:
    return metric(
        measured(2, "0.2", Phase.FAILED),
        measured(3, "0.001", Phase.SUCCESSFUL),
        measured(4, "0.3", Phase.FAILED),
        phase=Phase.FAILED,
        exceeded="failed (2) > failureLimit (1)",
    )


def gate(phase: Phase, *metrics: MetricStatus, name: str = GATE, **more: Any) -> AnalysisRef:
    ended = at(4) if phase.completed else None
    status = AnalysisStatus(name=name, phase=phase, started_at=at(1), completed_at=ended, metrics=metrics)
    step = 1 if name == GATE else None
    return AnalysisRef(
        workflow_id=f"analysis/default/payments/{name}",
        name=name,
        kind="Background" if step is None else "Step",
        step=step,
        revision=2,
        status=status.model_copy(update=more),
    )


def weight(minute: float, canary: int) -> WeightStatus:
    return WeightStatus(at=at(minute), canary=canary, reason=f"setWeight: {canary}")


def steps(done: int) -> tuple[StepStatus, ...]:
    states = [StepState.DONE] * done + [StepState.RUNNING] + [StepState.PENDING] * len(TEXTS)
    starts = (at(0), at(1), at(4), at(5))
    return tuple(
        StepStatus(index=index, text=text, state=state, started_at=None if state is StepState.PENDING else start)
        for index, (text, state, start) in enumerate(zip(TEXTS, states, starts, strict=False))
    )


def event(minute: float, reason: str, message: str = "", **more: Any) -> Event:
    return Event(at=at(minute), reason=reason, message=message, **more)


def release(*gates: AnalysisRef, **more: Any) -> ReleaseStatus:
    fields: dict[str, Any] = {
        "workflow_id": "rollout/default/payments/checkout",
        "run_id": "1",
        "cluster": "default",
        "namespace": "payments",
        "name": "checkout",
        "phase": "Progressing",
        "started_at": START,
        "revision": 2,
        "step_index": 1,
        "steps": steps(1),
        "actual_weight": 10,
        "weights": (weight(1, 10),),
        "analyses": gates,
    }
    return ReleaseStatus(**{**fields, **more})


def rolled_back(*gates: AnalysisRef, cause: str = GATE, **more: Any) -> ReleaseStatus:
    aborted = event(4, "RolloutAborted", "Rollout aborted update to revision 2: because", warning=True, analysis=cause)
    fields: dict[str, Any] = {
        "phase": "Degraded",
        "aborting": True,
        "ended_by": "RolloutAborted",
        "cause": "because",
        "finished_at": at(5),
        "actual_weight": 0,
        "events": (aborted,),
        "weights": (
            weight(1, 10),
            WeightStatus(at=at(4.1), canary=0, reason="back to stable"),
        ),
        "compensations": (
            CompensationStatus(name=Compensation.TRAFFIC, state="done", at=at(4.1)),
            CompensationStatus(name=Compensation.SCALE, state="done", at=at(5)),
            CompensationStatus(name=Compensation.INCIDENT, state="done", at=at(4.2)),
        ),
        "incident": IncidentRef(number="INC1", sys_id="a", url="https://now/INC1"),
    }
    return release(*gates, **{**fields, **more})
