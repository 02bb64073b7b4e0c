"""Releases in the states that a person looks at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.text import Text

from tidegate.analysis.status import AnalysisStatus, Measurement, MetricStatus, Phase
from tidegate.cli.screen import Terminal, screen
from tidegate.contract import (
    AnalysisKind,
    AnalysisRef,
    CompensationStatus,
    Event,
    IncidentRef,
    Message,
    Observation,
    ReleaseStatus,
    Source,
    StepStatus,
    Waiting,
    WeightStatus,
)
from tidegate.rollouts.replica_sets import PodState, ReplicaSetState

START = datetime(2026, 3, 1, 3, 20, 38, tzinfo=UTC)
STEPS = ("setWeight: 10", "pause: 2m", "analysis", "setWeight: 25", "pause: 5m", "setWeight: 50", "pause: 5m")
OLD, NEW = "registry.internal/payments/checkout:1.1.0", "registry.internal/payments/checkout:1.2.0"
RUN = "Step Analysis Run 'checkout-65fb5ffc84-3-2' Status New:"
PERSON = "an operator: tidegate promote, or tidegate abort"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@dataclass(frozen=True)
class Example:
    """A release at a time, with its pods."""

    status: ReleaseStatus
    now: datetime
    observation: Observation | None = None

    def lines(self, width: int, height: int, **options: Any) -> list[Text]:
        pods, trouble = options.pop("pods", False), options.pop("trouble", "")
        terminal = Terminal(width, height, **options)
        return screen(self.status, self.observation, now=self.now, terminal=terminal, pods=pods, trouble=trouble)


def steps(reached: int, state: str = "running") -> tuple[StepStatus, ...]:
    """The steps; those before the reached one are done, 2 minutes each but for weights."""
    began = [0, 1, 121, 243, 244, 544, 545]
    ended = [1, 121, 243, 244, 544, 545, 845]
    return tuple(
        StepStatus(
            index=index,
            text=text,
            state="done" if index < reached else state if index == reached else "pending",
            started_at=at(began[index]) if index <= reached else None,
            finished_at=at(ended[index]) if index < reached else None,
        )
        for index, text in enumerate(STEPS)
    )


def readings(*values: str | float, limit: float, every: float = 30.0) -> tuple[Measurement, ...]:
    return tuple(
        Measurement(
            phase=Phase.ERROR if isinstance(value, str) else Phase.SUCCESSFUL if value < limit else Phase.FAILED,
            value="" if isinstance(value, str) else f"{value}",
            message=value if isinstance(value, str) else "",
            started_at=at(10 + every * index),
            finished_at=at(10 + every * index),
        )
        for index, value in enumerate(values)
    )


def metric(name: str, limit: float, *values: str | float, phase: Phase = Phase.RUNNING, **more: Any) -> MetricStatus:
    kept = readings(*values, limit=limit)
    counted = [each.phase for each in kept]
    return MetricStatus(
        name=name,
        phase=phase,
        count=len(kept),
        successful=counted.count(Phase.SUCCESSFUL),
        failed=counted.count(Phase.FAILED),
        error=counted.count(Phase.ERROR),
        measurements=kept,
        success_condition=f"result < {limit:g}",
        **more,
    )


def gate(
    kind: AnalysisKind, *metrics: MetricStatus, step: int | None = None, phase: Phase = Phase.RUNNING
) -> AnalysisRef:
    name = "checkout-65fb5ffc84-3" + (f"-{step}" if step is not None else "")
    status = AnalysisStatus(name=name, phase=phase, started_at=at(2), metrics=metrics)
    return AnalysisRef(
        workflow_id=f"analysis/default/payments/{name}", name=name, kind=kind, step=step, revision=3, status=status
    )


def replica_sets(canary: int, *, ready: int | None = None, trouble: str = "") -> tuple[ReplicaSetState, ...]:
    pods = [
        PodState(name=f"checkout-65fb5ffc84-{n:05}", phase="Running", ready=True, created_at=START) for n in range(8)
    ]
    bad = PodState(name="checkout-65fb5ffc84-9wf5r", phase=trouble, ready=False, restarts=4, created_at=START)
    made: dict[str, Any] = {"created_at": START}
    count = canary if ready is None else ready
    return (
        ReplicaSetState(
            name="checkout-65fb5ffc84",
            hash="65fb5ffc84",
            revision=3,
            desired=canary,
            current=canary,
            ready=count,
            available=count,
            images={"checkout": NEW},
            pods=(bad,) if trouble else tuple(pods[:canary]),
            **made,
        ),
        ReplicaSetState(
            name="checkout-877894d5b",
            hash="877894d5b",
            revision=2,
            desired=8,
            current=8,
            ready=8,
            available=8,
            images={"checkout": OLD},
            promoted_at=START - timedelta(days=2),
            **made,
        ),
    )


def event(seconds: float, reason: str, message: str, *, warning: bool = False, analysis: str = "") -> Event:
    return Event(at=at(seconds), reason=reason, message=message, warning=warning, analysis=analysis)


BEGINNING = (
    event(0, "RolloutUpdated", "Rollout updated to revision 3"),
    event(0, "ScalingReplicaSet", "Scaled up ReplicaSet checkout-65fb5ffc84 (revision 3) from 0 to 1"),
    event(1, "TrafficWeightUpdated", "Traffic weight updated from 0 to 10"),
    event(1, "RolloutStepCompleted", "Rollout step 1/7 completed (setWeight: 10)"),
    event(1, "RolloutPaused", "Rollout is paused (CanaryPauseStep)"),
    event(121, "AnalysisRunRunning", f"{RUN} 'Running' Previous: ''", analysis="checkout-65fb5ffc84-3-2"),
)


def release(**changes: Any) -> ReleaseStatus:
    status = ReleaseStatus(
        workflow_id="rollout/default/payments/checkout",
        run_id="01a20693-7f6e-7c15-9f6e-9be0c2b1a111",
        cluster="default",
        namespace="payments",
        name="checkout",
        phase="Progressing",
        started_at=START,
        step_index=2,
        steps=steps(2),
        set_weight=10,
        actual_weight=10,
        desired_hash="65fb5ffc84",
        stable_hash="877894d5b",
        revision=3,
        images={"checkout": NEW},
        replica_sets=replica_sets(1),
        weights=(WeightStatus(at=at(1), canary=10, reason="step 0"),),
        events=BEGINNING,
        by="ci",
        source=Source(repository="payments/checkout", commit="a1b2c3d4e5f6", ci_url="https://ci.example/runs/7"),
    )
    return ReleaseStatus.model_validate(dict(status) | changes)


def running() -> Example:
    status = release(
        waiting=Waiting(what="analysis checkout-65fb5ffc84-3-2", since=at(121), who=f"its verdict; {PERSON}"),
        analyses=(
            gate(
                AnalysisKind.BACKGROUND,
                metric("error-rate", 0.05, 0.004, 0.006, 0.003, 0.011, 0.004, 0.004),
                metric("p99-latency", 600, 187.5, 190.25, 202.0, 377.125, 188.5, 187.25),
            ),
            gate(
                AnalysisKind.STEP,
                metric("error-rate", 0.01, 0.004, 0.006, 0.011, 0.004),
                metric("p99-latency", 400, 187.5, 190.25, "no data", 187.25),
                metric("saturation", 0.8, 0.4, 0.5, 0.45, 0.42, dry_run=True),
                step=2,
            ),
        ),
    )
    return Example(status, at(192))


def passed() -> AnalysisRef:
    """The gate of the third step, which went well."""
    good_one = metric("p99-latency", 400, 187.5, 190.25, 202.0, 188.5, phase=Phase.SUCCESSFUL)
    return gate(AnalysisKind.STEP, good_one, step=2, phase=Phase.SUCCESSFUL)


def paused() -> Example:
    status = release(
        phase="Paused",
        message="CanaryPauseStep",
        pause="CanaryPauseStep",
        paused_at=at(244),
        step_index=4,
        steps=steps(4),
        set_weight=25,
        actual_weight=25,
        manual_pause=Message(by="ana", reason="lunch; back at 13:00"),
        waiting=Waiting(what="resume", since=at(300), who="an operator: tidegate resume"),
        replica_sets=replica_sets(2),
        analyses=(
            passed(),
            gate(AnalysisKind.BACKGROUND, metric("error-rate", 0.05, 0.004, 0.006, 0.003, 0.011, 0.004, 0.004)),
        ),
        events=(
            *BEGINNING,
            event(
                243,
                "AnalysisRunSuccessful",
                f"{RUN} 'Successful' Previous: 'Running'",
                analysis="checkout-65fb5ffc84-3-2",
            ),
            event(243, "TrafficWeightUpdated", "Traffic weight updated from 10 to 25"),
            event(300, "RolloutPaused", "manually paused by ana: lunch; back at 13:00"),
        ),
    )
    return Example(status, at(330))


def holding() -> Example:
    values = [0.02, 0.03, 0.02, 0.04, 0.03]
    unclear = metric("error-rate", 0.05, *values, phase=Phase.INCONCLUSIVE).model_copy(
        update={
            "successful": 0,
            "inconclusive": 5,
            "success_condition": "result < 0.01",
            "failure_condition": "result >= 0.05",
            "measurements": tuple(
                each.model_copy(update={"phase": Phase.INCONCLUSIVE}) for each in readings(*values, limit=1)
            ),
        }
    )
    status = release(
        phase="Paused",
        message="InconclusiveAnalysisRun",
        pause="InconclusiveAnalysisRun",
        paused_at=at(243),
        waiting=Waiting(what="a verdict on an inconclusive analysis", since=at(243), who=PERSON, only_operator=True),
        replica_sets=replica_sets(1, ready=0),
        analyses=(gate(AnalysisKind.STEP, unclear, step=2, phase=Phase.INCONCLUSIVE),),
        events=(
            *BEGINNING,
            event(243, "AnalysisRunInconclusive", "", warning=True, analysis="checkout-65fb5ffc84-3-2"),
            event(243, "RolloutPaused", "Rollout is paused (InconclusiveAnalysisRun)", warning=True),
        ),
        warnings=("error-rate can be inconclusive without end: it has no inconclusiveLimit",),
    )
    observed = Observation(at=at(250), replica_sets=replica_sets(1, ready=0, trouble="CrashLoopBackOff"))
    return Example(status, at(1043), observed)


def aborting() -> Example:
    cause = 'Step analysis phase error/failed: Metric "error-rate" assessed Failed due to failed (3) > failureLimit (2)'
    failed = metric(
        "error-rate",
        0.01,
        0.004,
        0.031,
        0.029,
        0.16666666666666666,
        phase=Phase.FAILED,
        exceeded="failed (3) > failureLimit (2)",
    )
    status = release(
        phase="Degraded",
        message=f"RolloutAborted: Rollout aborted update to revision 3: {cause}",
        aborting=True,
        ended_by="RolloutAborted",
        cause=cause,
        steps=steps(2, "failed"),
        set_weight=0,
        actual_weight=0,
        weights=(
            WeightStatus(at=at(1), canary=10, reason="step 0"),
            WeightStatus(at=at(211.4), canary=0, reason="back to stable"),
        ),
        waiting=Waiting(what="pods without traffic to go", since=at(212), until=at(241), who="the scale-down delay"),
        analyses=(
            gate(
                AnalysisKind.STEP,
                failed,
                metric("p99-latency", 400, 187.5, 190.25, 201.0, 187.25),
                step=2,
                phase=Phase.FAILED,
            ),
        ),
        compensations=(
            CompensationStatus(name="traffic to stable", state="done", at=at(211.4)),
            CompensationStatus(name="canary pods down", state="running"),
            CompensationStatus(name="incident", state="done", at=at(213)),
            CompensationStatus(name="git revert", state="done", at=at(214)),
        ),
        incident=IncidentRef(number="INC0010001", sys_id="ab", url="https://now.example/incident/INC0010001"),
        events=(
            *BEGINNING,
            event(211, "AnalysisRunFailed", "", warning=True, analysis="checkout-65fb5ffc84-3-2"),
            event(
                211,
                "RolloutAborted",
                f"Rollout aborted update to revision 3: {cause}",
                warning=True,
                analysis="checkout-65fb5ffc84-3-2",
            ),
            event(213, "IncidentOpened", "INC0010001 was opened"),
        ),
    )
    return Example(status, at(216))


def comparing() -> Example:
    sentence = (
        "Not yet, errors: a version worse than 1.25 x stable + 0.1 % would look this good in 1 of 6 rollouts "
        "(1 of 20 is asked for) after 3 min of warm pods at 10 %; at 410 requests a second about 2 min more."
    )
    judged = Measurement(
        phase=Phase.RUNNING,
        value=sentence,
        reason=sentence,
        started_at=at(180),
        finished_at=at(180),
        metadata={
            "ruling": "wait",
            "since": f"{at(1).timestamp():.3f}",
            "weight": "0.1",
            "seen": "0.098",
            "event": "errors",
            "proof": "0.616",
            "requests": "7380",
            "failedRequests": "12",
        },
    )
    compared = MetricStatus(name="as-good-as-stable", phase=Phase.RUNNING, measurements=(judged,))
    status = release(
        waiting=Waiting(what="analysis checkout-65fb5ffc84-3-2", since=at(121), who=f"its verdict; {PERSON}"),
        analyses=(
            gate(AnalysisKind.BACKGROUND, metric("error-rate", 0.05, 0.004, 0.006, 0.003, 0.011, 0.004, 0.004)),
            gate(AnalysisKind.STEP, compared, step=2),
        ),
    )
    return Example(status, at(192))


def good() -> Example:
    status = release(
        phase="Healthy",
        finished_at=at(846),
        step_index=7,
        steps=steps(7),
        set_weight=100,
        actual_weight=100,
        stable_hash="65fb5ffc84",
        replica_sets=tuple(
            each.model_copy(update={"desired": 8, "current": 8, "ready": 8}) if each.revision == 3 else each
            for each in replica_sets(1)
        ),
        analyses=(
            passed(),
            gate(
                AnalysisKind.BACKGROUND,
                metric("error-rate", 0.05, 0.004, 0.006, 0.003, 0.011, 0.004, phase=Phase.SUCCESSFUL),
                phase=Phase.SUCCESSFUL,
            ),
        ),
        events=(
            *BEGINNING,
            event(545, "TrafficWeightUpdated", "Traffic weight updated from 25 to 50"),
            event(845, "TrafficWeightUpdated", "Traffic weight updated from 50 to 100"),
            event(846, "RolloutCompleted", "Rollout completed update to revision 3: Completed all 7 canary steps"),
        ),
    )
    return Example(status, at(1000))
