"""Publication of a release: Events, the Rollout's `.status`, rejections, live details, search attributes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import (
        Document,
        Event,
        Meanwhile,
        Reconciled,
        ReleaseStatus,
        RolloutObject,
        StatusReport,
    )
    from tidegate.manifests.plain_text import harmless
    from tidegate.report import details, rollout_status
    from tidegate.rollouts.conditions import Reason
    from tidegate.rollouts.version import Version
    from workflows.pending_events import PendingEvents
    from workflows.published_status import PublishedStatus
    from workflows.rejections import PASSES, Rejections
    from workflows.status_record import StatusRecord
    from workflows.visibility import Visibility

MAX_EVENTS = 200


class Publication:
    """Keeps what was published, and gives a pass the rest. `notify` gets each event of the run and its number."""

    def __init__(self, record: StatusRecord) -> None:
        self._record = record
        self._events = 0
        self._visibility = Visibility(record)
        self._rejections = Rejections()
        self.notify: Callable[[Event, int], None] = lambda event, number: None
        self.written = PublishedStatus()
        self.pending = PendingEvents()

    def status(self) -> ReleaseStatus:
        """Answer of the `status` query."""
        return self._record.current.model_copy(update={"object": self.written.object})

    # --------------------------------------------------------------------------------------------------------- events

    def event(self, reason: str, message: str, *, warning: bool = False, analysis: str = "") -> None:
        """Record an event; `reason` is one of Argo's where Argo has one.

        `analysis` names the analysis run that it is about, or whose verdict brought it about.
        """
        text = harmless(message)
        row = Event(at=workflow.now(), reason=reason, message=text, warning=warning, analysis=analysis)
        self.add(row)
        if self.written.object is not None:
            self.pending.event(row)

    def add(self, *published: Event) -> None:
        """Record events that a pass has published already."""
        events = [event.model_copy(update={"message": harmless(event.message)}) for event in published]
        self._record.set(events=(*self._record.current.events, *events)[-MAX_EVENTS:])
        for number, event in enumerate(events, self._events):
            self.notify(event, number)
        self._events += len(events)

    # ----------------------------------------------------------------------------------------------------- the object

    def follow(self, found: RolloutObject) -> None:
        """Write to this object from here on: the one of a newer version has all fields to be written."""
        self.written = PublishedStatus(found, before=self.written)

    def report(self, *, late: bool) -> StatusReport:
        """List everything that the next pass is to publish; `late`: the progress deadline has passed."""
        status, message = self._unwritten(), rollout_status(self._record.current)["message"]
        return StatusReport(
            status=status,
            message=message,
            late=late,
            abort_cause=self._record.current.cause,
            unpublished=self.pending.unpublished(),
            failing=self._rejections.causes(PASSES),
            refused=self._rejections.reason(PASSES),
            set_by=self.written.set_by,
        )

    def published(self, seen: Reconciled, report: StatusReport, version: Version | None) -> None:
        """Note the part of a report that a pass has published, for a version that was observed."""
        if seen.left:
            self.pending.was_left(seen.events if self.written.object is not None else ())
        elif seen.events_published and report.unpublished is not None:
            self.pending.was_published(report.unpublished)
        self.written.took_away(seen.flags_taken)
        if seen.published:
            self.written.wrote(report.status, seen.object, version)

    def meanwhile(self, rollout: RolloutObject) -> Meanwhile | None:
        """The status for the object while the cluster cannot be read; None when nothing fails."""
        if self._record.current.failing is None or not rollout.uid:
            return None
        return Meanwhile(requested=rollout, message=rollout_status(self._record.current)["message"])

    def _unwritten(self) -> Document:
        """Return the fields of the Rollout's `.status`, as Argo names them, that are still to be written."""
        return self.written.unwritten(rollout_status(self.status()))

    @property
    def has_pending(self) -> bool:
        """True when the Rollout object lacks something."""
        return bool(self._unwritten()) or bool(self.pending)

    # ----------------------------------------------------------------------------------------------------- rejections

    def failing_since(self, of: str = PASSES) -> datetime | None:
        """Return since when the cluster rejects that work, None while it does not."""
        return self._rejections.since(of)

    def rejections(self, of: str) -> tuple[str, ...]:
        """Return why the cluster rejects that work, in its words."""
        return self._rejections.causes(of)

    def rejected(self, what: str, of: str = PASSES, reason: Reason = Reason.REFUSED) -> None:
        """Note a rejection in the cluster's words; empty: it has ended. Each cause makes one event."""
        is_new = self._rejections.note(what, of, reason)
        if self._rejections.failing != self._record.current.failing:
            self._record.set(failing=self._rejections.failing)
        if is_new:
            self.event(reason, what, warning=True)

    # ------------------------------------------------------------------------------------------------- Temporal's own

    def show_details(self) -> None:
        """Update live details, which are not in the history: also a message handler may."""
        workflow.set_current_details(harmless(details(self._record.current)))

    def show(self) -> None:
        """Update live details and Temporal's list; called by the run wherever it may write to history."""
        self.show_details()
        self._visibility.show()

    def show_end(self) -> None:
        """Update live details and Temporal's list at the end of the run."""
        self.show_details()
        self._visibility.end()
