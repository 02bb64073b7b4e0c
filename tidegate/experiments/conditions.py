"""Conditions of an Experiment: types, reasons and messages are Argo's. Source: argo-rollouts, experiments."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from tidegate.analysis.status import Phase
from tidegate.experiments.status import ExperimentCondition, ExperimentStatus

INVALID_SPEC: Final = "InvalidSpec"
PROGRESSING: Final = "Progressing"
_COMPLETED: Final = "ExperimentCompleted"
_UPDATED: Final = "ReplicaSetUpdated"
_AVAILABLE: Final = "NewReplicaSetAvailable"


def conditions(
    name: str, before: ExperimentStatus, after: ExperimentStatus, *, is_running: bool, now: datetime
) -> tuple[ExperimentCondition, ...]:
    """The conditions of `after`; `is_running` says that all pods came and the duration is not over."""
    found = before.conditions
    if after.phase is Phase.SUCCESSFUL:
        message = f'Experiment "{name}" has successfully ran and completed.'
        return _with(found, ExperimentCondition(**_fields(PROGRESSING, "False", _COMPLETED, message, now)))
    if _has_moved(before, after):
        message = f'Experiment "{name}" is progressing.'
        return _with(found, ExperimentCondition(**_fields(PROGRESSING, "True", _UPDATED, message, now)), again=True)
    if is_running:
        message = f'Experiment "{name}" is running.'
        return _with(found, ExperimentCondition(**_fields(PROGRESSING, "True", _AVAILABLE, message, now)))
    return found


def invalid(before: ExperimentStatus, message: str, now: datetime) -> ExperimentStatus:
    """The status of an experiment whose spec is not carried out, for the reason in `message`."""
    known = next((each for each in before.conditions if each.type == INVALID_SPEC), None)
    again = known is not None and known.message != message
    condition = ExperimentCondition(**_fields(INVALID_SPEC, "True", INVALID_SPEC, message, now))
    return before.model_copy(update={"conditions": _with(before.conditions, condition, again=again)})


def valid(before: ExperimentStatus) -> ExperimentStatus:
    """The status of an experiment whose spec is carried out."""
    kept = tuple(each for each in before.conditions if each.type != INVALID_SPEC)
    return before.model_copy(update={"conditions": kept})


def _has_moved(before: ExperimentStatus, after: ExperimentStatus) -> bool:
    """True when a template was added or the pods of one came or went."""
    known = {each.name: each.counts for each in before.template_statuses}
    return len(known) < len(after.template_statuses) or any(
        known[each.name] != each.counts for each in after.template_statuses if each.name in known
    )


def _with(
    found: tuple[ExperimentCondition, ...], new: ExperimentCondition, *, again: bool = False
) -> tuple[ExperimentCondition, ...]:
    """The conditions with a new one; one that says the same stays as it was, unless it is said `again`."""
    known = next((each for each in found if each.type == new.type), None)
    if known is not None and (known.status, known.reason) == (new.status, new.reason) and not again:
        return found
    if known is not None and known.status == new.status:
        new = new.model_copy(update={"last_transition_time": known.last_transition_time})
    return (*(each for each in found if each.type != new.type), new)


def _fields(kind: str, status: str, reason: str, message: str, now: datetime) -> dict[str, object]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "last_update_time": now,
        "last_transition_time": now,
    }
