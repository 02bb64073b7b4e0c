"""Inputs and outputs of a decision about a Rollout object."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tidegate.contract import Compensation, CompensationState, Message, ReleaseStatus, RolloutObject, Update


class RunState(StrEnum):
    """State of the latest run of a release."""

    RUNNING = "running"
    ENDED = "ended"  # by itself, well or not
    STOPPED = "stopped"  # terminated or out of time: no code ran at its end


@dataclass(frozen=True)
class Release:
    """The latest release of a Rollout: state of its run, and its status."""

    state: RunState
    status: ReleaseStatus

    @property
    def known(self) -> RolloutObject | None:
        """The object as the release last read or wrote it; None before that."""
        return self.status.object

    @property
    def is_open(self) -> bool:
        """True while it takes messages: it runs, is not finished and is not being aborted."""
        status = self.status
        return self.state is RunState.RUNNING and status.finished_at is None and not status.aborting

    @property
    def needs_recovery(self) -> bool:
        """True when the run is over, but its traffic was neither promoted nor restored.

        A stopped run could do neither. For a run that ended by itself, its status decides.
        """
        if self.state is not RunState.ENDED:
            return self.state is RunState.STOPPED
        status = self.status
        ways_back = [each for each in status.compensations if each.name == Compensation.TRAFFIC]
        not_back = status.actual_weight > 0 and any(each.state is not CompensationState.DONE for each in ways_back)
        return status.finished_at is None or not_back


@dataclass(frozen=True)
class StartRelease:
    """Start a release of the object as it is."""

    key: str  # id of the cause: the same in every process that finds it
    reason: str
    full: bool = False  # promote past all steps at once
    by: str = ""  # empty: the writer of the spec
    aborted: bool = False  # no other attempt of an aborted version; the rest of its spec is carried out
    ignored_flags: tuple[str, ...] = ()  # set flags of the status that are requests no release has acted on


@dataclass(frozen=True)
class SendUpdate:
    """Send an update to one run."""

    run_id: str
    update: Update
    update_id: str  # id of the cause: the same in every process that finds it
    message: Message


@dataclass(frozen=True)
class EmitWarning:
    """Write a warning Event: a request of the object is not carried out now."""

    about: str  # the cause
    message: str


@dataclass(frozen=True)
class ReleaseClaims:
    """Release the objects that the deleted Rollout of that uid had claimed."""

    uid: str


Command = StartRelease | SendUpdate | EmitWarning | ReleaseClaims


@dataclass(frozen=True)
class Decision:
    """Commands, in order."""

    commands: tuple[Command, ...] = ()
    requeue: bool = False  # decide again although the object does not change
