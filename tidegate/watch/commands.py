"""What goes into a decision about a Rollout object, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tidegate.contract import Compensation, CompensationState, Message, ReleaseStatus, RolloutObject, Update


class RunState(StrEnum):
    """How the newest run of a release stands."""

    RUNNING = "running"
    ENDED = "ended"  # by itself, well or not
    STOPPED = "stopped"  # terminated or out of time: no code ran at its end


@dataclass(frozen=True)
class Release:
    """The newest release of a Rollout: how its run stands, and what it says of itself."""

    state: RunState
    status: ReleaseStatus

    @property
    def known(self) -> RolloutObject | None:
        """The object as the release knows it; None while it has not seen any."""
        return self.status.object

    @property
    def is_open(self) -> bool:
        """Whether it is still on its way: it runs, is neither done nor being undone, and so can be spoken to."""
        status = self.status
        return self.state is RunState.RUNNING and status.finished_at is None and not status.aborting

    @property
    def is_left_undone(self) -> bool:
        """Whether it is over before what it did was brought to its end or taken back: nobody looks after its traffic.

        One that was stopped never could; of one that ended by itself its own last word counts.
        """
        if self.state is not RunState.ENDED:
            return self.state is RunState.STOPPED
        status = self.status
        ways_back = [each for each in status.compensations if each.name == Compensation.TRAFFIC]
        not_back = status.actual_weight > 0 and any(each.state is not CompensationState.DONE for each in ways_back)
        return status.finished_at is None or not_back


@dataclass(frozen=True)
class StartRelease:
    """Ask for a release of the object as it stands. `key` is the same for everybody who sees the same cause.

    `full` asks to promote it past all steps at once, `by` says who did, where it was not who wrote the spec. `aborted`
    asks for no other attempt of a version that was given up, but that what stands follows the spec. `unheard` are flags
    of the status that stand as a person's word about this version, and that no release has heard.
    """

    key: str
    reason: str
    full: bool = False
    by: str = ""
    aborted: bool = False
    unheard: tuple[str, ...] = ()


@dataclass(frozen=True)
class SendUpdate:
    """Say something to one run. `update_id` is the same for everybody who sees the same cause."""

    run_id: str
    update: Update
    update_id: str
    message: Message


@dataclass(frozen=True)
class EmitWarning:
    """Say in the cluster that something that the object asks for is not done now. `about` is the cause of it."""

    about: str
    message: str


@dataclass(frozen=True)
class Leave:
    """Let what the Rollout object of that uid had claimed serve again without it: it was deleted."""

    uid: str


Ask = StartRelease | SendUpdate | EmitWarning | Leave


@dataclass(frozen=True)
class Decision:
    """What an object asks for, in order, and whether to look again although nothing changes in the object."""

    asks: tuple[Ask, ...] = ()
    look_again: bool = False
