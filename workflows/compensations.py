"""Effects that follow each decision of a release. Pure."""

from __future__ import annotations

from datetime import datetime

from tidegate.contract import Activity, Effect, EffectName, ReleaseStatus
from workflows.incident_requests import (
    change_outcome,
    change_request,
    incident_request,
    resolve_request,
    revert_note,
    scale_note,
    traffic_note,
)
from workflows.plan import Plan
from workflows.reverts import revert_request


def abort_effects(plan: Plan, status: ReleaseStatus, cause: str, at: datetime) -> tuple[Effect, ...]:
    """Effects of an abort once the traffic is back: the incident, the revert where Git is named, the closed change."""
    incident = Effect.of(
        EffectName.INCIDENT,
        Activity.OPEN_INCIDENT,
        incident_request(plan, status, cause),
        traffic_note(plan, status),
    )
    revert = revert_request(plan, status, cause)
    closed = change_closed(plan, status, at, f"rolled back: {cause}", good=False)
    if revert is None:
        return incident, *closed
    reverted = Effect.of(EffectName.REVERT, Activity.REVERT_COMMIT, revert, revert_note(plan, status))
    return incident, reverted, *closed


def restored_effect(plan: Plan, status: ReleaseStatus) -> Effect:
    """The note for an incident that was opened while the way back was rejected: the traffic is back."""
    return Effect.of(EffectName.RESTORED, Activity.NOTE_INCIDENT, traffic_note(plan, status))


def scaled_effect(plan: Plan, status: ReleaseStatus) -> Effect:
    """The note that the pods of an aborted version are gone."""
    return Effect.of(EffectName.NOTE, Activity.NOTE_INCIDENT, scale_note(plan, status))


def healthy_effects(plan: Plan, status: ReleaseStatus, at: datetime) -> tuple[Effect, ...]:
    """Effects of a healthy version: incidents of earlier aborts are resolved, and its change is closed."""
    if plan.is_first:  # nothing came before it
        return change_closed(plan, status, at, "Healthy", good=True)
    resolved = Effect.of(EffectName.INCIDENTS_RESOLVED, Activity.RESOLVE_INCIDENTS, resolve_request(plan, status, at))
    return resolved, *change_closed(plan, status, at, "Healthy", good=True)


def change_opened(plan: Plan, status: ReleaseStatus) -> Effect | None:
    """The effect before the first step; None where the Rollout wants no change."""
    request = change_request(plan, status)
    return Effect.of(EffectName.CHANGE_OPENED, Activity.OPEN_CHANGE, request) if request is not None else None


def change_closed(plan: Plan, status: ReleaseStatus, at: datetime, outcome: str, *, good: bool) -> tuple[Effect, ...]:
    """The effect after the end of a version; empty where it has no change."""
    request = change_outcome(plan, status, at, outcome, good=good)
    return (Effect.of(EffectName.CHANGE_CLOSED, Activity.CLOSE_CHANGE, request),) if request is not None else ()
