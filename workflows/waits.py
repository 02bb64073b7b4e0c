"""The waits and pauses of a release, as its status names them (law 5)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import Enum, auto

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.canary.phase import RolloutPhase
    from tidegate.contract import Message, PauseReason, Waiting
    from tidegate.manifests.plain_text import harmless
    from workflows.publication import Publication
    from workflows.status_record import StatusRecord


class WaitFor(Enum):
    """A wait for which a pass can name more exactly what is missing."""

    PODS = auto()
    LAST_PODS = auto()
    DEADLINES = auto()


class NamedWaits:
    """Names each wait while it lasts. NamedWaits are nested: the outer one is named again when the inner one ends."""

    def __init__(self, record: StatusRecord, publication: Publication) -> None:
        self._record = record
        self._publication = publication
        self._wait_for: WaitFor | None = None  # of the wait that is named now, where a pass can say more of it

    @contextmanager
    def on(self, what: str, *, until: datetime | None, who: str, wait_for: WaitFor | None = None) -> Iterator[None]:
        """Wait on something within the block.

        `who` can end the wait, in words for operators. `wait_for` is given where `refine` may say more of it.
        """
        before, self._wait_for = (self._record.current.waiting, self._wait_for), wait_for
        self._record.set(waiting=Waiting(what=what, since=workflow.now(), until=until, who=who))
        try:
            yield
        finally:
            waiting, self._wait_for = before
            self._record.set(waiting=waiting)

    def refine(self, wait_for: WaitFor, what: str, until: datetime | None) -> None:
        """Name more exactly what is missing; changes nothing while another wait is named."""
        if (waiting := self._record.current.waiting) is not None and self._wait_for is wait_for:
            self._record.set(waiting=waiting.model_copy(update={"what": harmless(what), "until": until}))

    @contextmanager
    def paused(self, reason: PauseReason, *, analysis: str = "") -> Iterator[None]:
        """Set the phase to Paused within the block; `analysis` names the run that was inconclusive."""
        status = self._record.current
        before = {
            "phase": status.phase,
            "message": status.message,
            "pause": status.pause,
            "paused_at": status.paused_at,
        }
        self._record.set(phase=RolloutPhase.PAUSED, message=reason.value, pause=reason, paused_at=workflow.now())
        self._publication.event("RolloutPaused", f"Rollout is paused ({reason})", analysis=analysis)
        try:
            yield
        finally:
            self._record.set(**before)

    def manual_pause(self, message: Message | None) -> None:
        """Note an operator's pause, or its end."""
        self._record.set(manual_pause=message)
