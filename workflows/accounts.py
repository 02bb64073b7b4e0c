"""What a release tells of what followed its decisions. Pure."""

from __future__ import annotations

from typing import NamedTuple

from tidegate.contract import Compensation, EffectState, FollowedUp, IncidentRef, RevertResult


class Told(NamedTuple):
    """An event in the making."""

    reason: str
    message: str
    warning: bool = False


_DONE = {"change opened": "ChangeOpened", "change closed": "ChangeClosed", "incidents resolved": "IncidentsResolved"}


def account_of(told: FollowedUp) -> tuple[IncidentRef | None, Told | None]:
    """The incident that was opened, and what people hear. Raises ValidationError for an answer of something else."""
    if told.state is EffectState.FAILED:
        reason = "CompensationFailed" if told.name in list(Compensation) else "FollowUpFailed"
        return None, Told(reason, f"{told.name}: {told.message}", warning=True)
    if told.state is EffectState.SKIPPED or told.answer is None:
        return None, None
    if told.name == Compensation.INCIDENT:
        return IncidentRef.model_validate(told.answer), None
    if told.name == Compensation.REVERT:
        commit = RevertResult.model_validate(told.answer).commit
        return None, Told("GitReverted" if commit else "GitUnchanged", told.message)
    reason = _DONE.get(told.name, "")
    return None, Told(reason, told.message) if reason and told.message else None
