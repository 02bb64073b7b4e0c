"""The waits and pauses of a release, as its status names them (law 5)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import FOR_AN_OPERATOR, Message, PauseReason, Waiting
    from tidegate.manifests.plain_text import harmless
    from tidegate.rollouts.phase import RolloutPhase
    from workflows.publication import Publication
    from workflows.status_record import StatusRecord


AN_OPERATOR = "an operator: tidegate promote, or tidegate abort"
RESUMED = "an operator: tidegate resume, or tidegate abort"


class WaitFor(StrEnum):
    """A wait for which a pass can name more exactly what is missing."""

    PODS = "pods"
    LAST_PODS = "the last pods"
    DEADLINES = "the scale-down delay"


class NamedWaits:
    """Names each wait while it lasts. NamedWaits are nested: the outer one is named again when the inner one ends."""

    def __init__(self, record: StatusRecord, publication: Publication) -> None:
        self._record = record
        self._publication = publication
        self._named: Waiting | None = None
        self._wait_for: WaitFor | None = None  # of the wait that is named now, where a pass can say more of it
        self._outlasted = False  # whether a manual pause goes on after the wait that is named now
        self._paused_at: datetime | None = None

    @contextmanager
    def on(
        self,
        what: str,
        *,
        until: datetime | None,
        who: str,
        wait_for: WaitFor | None = None,
        only_operator: bool = False,
        outlasted: bool = False,
    ) -> Iterator[None]:
        """Wait on something within the block.

        `who` can end the wait, in words for operators; `only_operator` says that nothing else does. `wait_for` is given
        where `refine` may say more of it. A manual pause is named in place of a wait that it has `outlasted`.
        """
        before = self._named, self._wait_for, self._outlasted
        self._wait_for, self._outlasted = wait_for, outlasted
        self._name(
            Waiting(what=harmless(what), since=workflow.now(), until=until, who=who, only_operator=only_operator)
        )
        try:
            yield
        finally:
            named, self._wait_for, self._outlasted = before
            self._name(named)

    def refine(self, wait_for: WaitFor, what: str, until: datetime | None) -> None:
        """Name more exactly what is missing; changes nothing while another wait is named.

        A deadline that passed before the wait began is due since then.
        """
        if (waiting := self._named) is not None and self._wait_for is wait_for:
            due = until if until is None else max(until, waiting.since)
            self._name(waiting.model_copy(update={"what": harmless(what), "until": due}))

    def _name(self, waiting: Waiting | None) -> None:
        self._named = waiting
        paused_by = self._record.current.paused_by
        if waiting is not None and self._outlasted and self._paused_at is not None and paused_by:
            waiting = Waiting(
                what=pause_by(paused_by), since=self._paused_at, until=None, who=RESUMED, only_operator=True
            )
        self._record.set(waiting=waiting)
        self._record.waiting_for = self._kind_of(waiting)

    def _kind_of(self, waiting: Waiting | None) -> str:
        """The kind of a wait: it holds nothing that people wrote, as search attributes are not encrypted."""
        if waiting is None:
            return ""
        return FOR_AN_OPERATOR if waiting.only_operator else self._wait_for or waiting.what

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
        self._paused_at = workflow.now() if message is not None else None
        self._name(self._named)


def pause_by(who_and_why: str) -> str:
    """Words for the wait of a manual pause."""
    return f"the end of the pause by {who_and_why}"
