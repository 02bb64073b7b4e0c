"""Releases of a blue-green strategy in the states that a person looks at."""

from __future__ import annotations

from tests.unit.cli.releases import Example, at, event, gate, metric, release, replica_sets
from tidegate.analysis.status import Phase
from tidegate.contract import (
    AnalysisKind,
    CompensationStatus,
    IncidentRef,
    ReleaseStatus,
    StepStatus,
    StrategyName,
    Waiting,
    WeightStatus,
)

STAGES = (
    "preview: all pods behind checkout-preview",
    "prePromotionAnalysis: smoke",
    "pause",
    "active: all of checkout",
    "postPromotionAnalysis: errors",
)
TRIED = gate(AnalysisKind.PRE_PROMOTION, metric("selftest", 1, 0, 0, 0, phase=Phase.SUCCESSFUL), phase=Phase.SUCCESSFUL)
BEGINNING = (
    event(0, "RolloutUpdated", "Rollout updated to revision 3"),
    event(0, "ScalingReplicaSet", "Scaled up ReplicaSet checkout-65fb5ffc84 (revision 3) from 0 to 8"),
    event(25, "AnalysisRunSuccessful", "", analysis=TRIED.name),
)


def stages(reached: int, state: str = "running") -> tuple[StepStatus, ...]:
    """The stages; those before the reached one are done."""
    return tuple(
        StepStatus(
            index=index,
            text=text,
            state="done" if index < reached else state if index == reached else "pending",
            started_at=at(12 * index) if index <= reached else None,
            finished_at=at(12 * index + 12) if index < reached else None,
        )
        for index, text in enumerate(STAGES)
    )


def blue_green(**changes: object) -> ReleaseStatus:
    """A release of the strategy, with all pods of both versions."""
    whole = {
        "strategy": StrategyName.BLUE_GREEN,
        "set_weight": 0,
        "actual_weight": 0,
        "weights": (),
        "replica_sets": replica_sets(8),
        "events": BEGINNING,
    }
    return release(**whole | changes)


def previewed() -> Example:
    """The preview was tried, and a person is to look at it."""
    status = blue_green(
        phase="Paused",
        message="BlueGreenPause",
        pause="BlueGreenPause",
        paused_at=at(25),
        step_index=2,
        steps=stages(2),
        waiting=Waiting(
            what="the promotion of the preview",
            since=at(25),
            who="an operator: tidegate promote, or tidegate abort",
            only_operator=True,
        ),
        analyses=(TRIED,),
        events=(*BEGINNING, event(25, "RolloutPaused", "Rollout is paused (BlueGreenPause)")),
    )
    return Example(status, at(100))


def switched_back() -> Example:
    """The gate after the switch failed, and the Service is back."""
    cause = 'Blue/green post-promotion analysis phase error/failed: Metric "errors" assessed Failed'
    failed = gate(
        AnalysisKind.POST_PROMOTION,
        metric(
            "errors", 0.01, 0.004, 0.16666666666666666, phase=Phase.FAILED, exceeded="failed (1) > failureLimit (0)"
        ),
        phase=Phase.FAILED,
    ).model_copy(update={"name": "checkout-65fb5ffc84-3-post"})
    aborted = f"Rollout aborted update to revision 3: {cause}"
    status = blue_green(
        phase="Degraded",
        message=f"RolloutAborted: {aborted}",
        aborting=True,
        ended_by="RolloutAborted",
        cause=cause,
        step_index=4,
        steps=stages(4, "failed"),
        weights=(
            WeightStatus(at=at(48), canary=100, reason="step 3"),
            WeightStatus(at=at(80.3), canary=0, reason="back to stable"),
        ),
        waiting=Waiting(what="pods without traffic to go", since=at(81), until=at(111), who="the scale-down delay"),
        analyses=(TRIED, failed),
        compensations=(
            CompensationStatus(name="traffic to stable", state="done", at=at(80.3)),
            CompensationStatus(name="incident", state="done", at=at(82)),
            CompensationStatus(name="canary pods down", state="running"),
        ),
        incident=IncidentRef(number="INC0010001", sys_id="ab", url="https://now.example/incident/INC0010001"),
        events=(
            *BEGINNING,
            event(80, "AnalysisRunFailed", "", warning=True, analysis=failed.name),
            event(
                80,
                "RolloutAborted",
                f"Rollout aborted update to revision 3: {cause}",
                warning=True,
                analysis=failed.name,
            ),
        ),
    )
    return Example(status, at(90))
