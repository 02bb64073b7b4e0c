"""What a release tells of what followed its decisions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tidegate.contract import Compensation, EffectName, EffectState, FollowedUp, IncidentRef, RevertResult


class PendingEvent(NamedTuple):
    """An event in the making."""

    reason: str
    message: str
    warning: bool = False


_DONE: Mapping[str, str] = {
    EffectName.CHANGE_OPENED: "ChangeOpened",
    EffectName.CHANGE_CLOSED: "ChangeClosed",
    EffectName.INCIDENTS_RESOLVED: "IncidentsResolved",
}


def report_of(told: FollowedUp) -> tuple[IncidentRef | None, PendingEvent | None]:
    """The incident that was opened, and what people hear. Raises ValidationError for an answer of something else."""
    if told.state is EffectState.FAILED:
        reason = "CompensationFailed" if told.name in list(Compensation) else "FollowUpFailed"
        return None, PendingEvent(reason, f"{told.name}: {told.message}", warning=True)
    if told.state is EffectState.SKIPPED or told.answer is None:
        return None, None
    if told.name == EffectName.INCIDENT:
        return IncidentRef.model_validate(told.answer), None
    if told.name == EffectName.REVERT:
        commit = RevertResult.model_validate(told.answer).commit
        return None, PendingEvent("GitReverted" if commit else "GitUnchanged", told.message)
    reason = _DONE.get(told.name, "")
    return None, PendingEvent(reason, told.message) if reason and told.message else None
