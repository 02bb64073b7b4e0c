"""Events for the effects of a decision. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tidegate.contract import Compensation, EffectName, EffectState, FollowedUp, IncidentRef, RevertResult


class PendingEvent(NamedTuple):
    """An event without a time."""

    reason: str
    message: str
    warning: bool = False


_REASONS: Mapping[str, str] = {
    EffectName.CHANGE_OPENED: "ChangeOpened",
    EffectName.CHANGE_CLOSED: "ChangeClosed",
    EffectName.INCIDENTS_RESOLVED: "IncidentsResolved",
}


def report_of(ended: FollowedUp) -> tuple[IncidentRef | None, PendingEvent | None]:
    """The incident that was opened, and the event. Raises ValidationError for an answer of another effect."""
    if ended.state is EffectState.FAILED:
        reason = "CompensationFailed" if ended.name in list(Compensation) else "FollowUpFailed"
        return None, PendingEvent(reason, f"{ended.name}: {ended.message}", warning=True)
    if ended.state is EffectState.SKIPPED or ended.answer is None:
        return None, None
    if ended.name == EffectName.INCIDENT:
        incident = IncidentRef.model_validate(ended.answer)
        return incident, PendingEvent("IncidentOpened", f"incident {incident.number} {incident.url}".rstrip())
    if ended.name == EffectName.REVERT:
        commit = RevertResult.model_validate(ended.answer).commit
        return None, PendingEvent("GitReverted" if commit else "GitUnchanged", ended.message)
    reason = _REASONS.get(ended.name, "")
    return None, PendingEvent(reason, ended.message) if reason and ended.message else None
