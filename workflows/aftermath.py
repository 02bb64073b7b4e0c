"""Which effects follow which decision of a release. Pure."""

from __future__ import annotations

from tidegate.contract import Activity, Compensation, Effect, ReleaseStatus
from workflows.evidence import incident_request, revert_note, scale_note, traffic_note
from workflows.plan import Plan
from workflows.reverts import revert_request


def abort_effects(plan: Plan, status: ReleaseStatus, cause: str) -> tuple[Effect, ...]:
    """What follows an abort once the traffic is back: the incident, and where Git is named the revert."""
    incident = Effect.of(
        Compensation.INCIDENT,
        Activity.OPEN_INCIDENT,
        incident_request(plan, status, cause),
        traffic_note(plan, status),
    )
    revert = revert_request(plan, status, cause)
    if revert is None:
        return (incident,)
    return incident, Effect.of(Compensation.REVERT, Activity.REVERT_COMMIT, revert, revert_note(plan, status))


def scaled_effect(plan: Plan, status: ReleaseStatus) -> Effect:
    """What follows when the pods of an aborted version are gone."""
    return Effect.of("note", Activity.NOTE_INCIDENT, scale_note(plan, status))
