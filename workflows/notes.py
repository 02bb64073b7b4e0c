"""The notes of a release that its run keeps as it goes: steps, waits, restarts, events.

They are the answer of the `status` query, together with what the journal adds of the world outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import Event, Message, ReleaseStatus, StepState, Waiting
    from tidegate.manifests.plain_text import harmless
    from workflows.news import News
    from workflows.status_page import StatusPage

MAX_EVENTS = 200


class Notes:
    """What one release says of itself; `tell` hears of every event of the run and its number."""

    def __init__(self) -> None:
        info = workflow.info()
        cluster, namespace, name = [*info.workflow_id.split("/", 3)[1:], "", "", ""][:3]
        self._status = ReleaseStatus(
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            first_run_id=info.first_execution_run_id,
            cluster=cluster,
            namespace=namespace,
            name=name,
            phase="Progressing",
            message="checking the manifests",
            started_at=info.start_time,
        )
        self._events = 0
        self._restart_at: datetime | None = None
        self.tell: Callable[[Event, int], None] = lambda event, number: None
        self.page = StatusPage()
        self.news = News()

    # ---------------------------------------------------------------------------------------------------------- steps

    @contextmanager
    def step(self, index: int) -> Iterator[None]:
        """A step is under way; it is done when the block ends well."""
        self._mark(index, state=StepState.RUNNING, started_at=workflow.now())
        self._set(step_index=index)
        try:
            yield
        except (Exception, asyncio.CancelledError):  # not the end of a worker, which is none of the step
            self._mark(index, state=StepState.FAILED, finished_at=workflow.now())
            raise
        self._mark(index, state=StepState.DONE, finished_at=workflow.now())
        done, total = index + 1, len(self._status.steps)
        self.event("RolloutStepCompleted", f"Rollout step {done}/{total} completed ({self._status.steps[index].text})")
        self._set(step_index=done)

    def skip_steps(self) -> None:
        """The steps that are left are not taken."""
        left = (StepState.PENDING, StepState.RUNNING, StepState.FAILED)
        steps = tuple(
            step.model_copy(update={"state": StepState.SKIPPED}) if step.state in left else step
            for step in self._status.steps
        )
        self._set(steps=steps, step_index=len(steps) or None, promoted_full=True)

    def _mark(self, index: int, **changes: object) -> None:
        steps = list(self._status.steps)
        steps[index] = steps[index].model_copy(update=changes)
        self._set(steps=tuple(steps))

    # ---------------------------------------------------------------------------------------------------------- waits

    @contextmanager
    def waiting(self, what: str, *, until: datetime | None, who: str) -> Iterator[None]:
        """Something is waited for (law 5); the wait that was named before comes back when the block ends."""
        before = self._status.waiting
        self._set(waiting=Waiting(what=what, since=workflow.now(), until=until, who=who))
        try:
            yield
        finally:
            self._set(waiting=before)

    def still_waiting(self, who: str, what: str, until: datetime | None) -> None:
        """What is waited for became clearer; nothing where nobody waits for `who`."""
        if (waiting := self._status.waiting) is not None and waiting.who == who:
            self._set(waiting=waiting.model_copy(update={"what": harmless(what), "until": until}))

    @contextmanager
    def paused(self, reason: str, *, analysis: str = "") -> Iterator[None]:
        """The phase is Paused within the block; `analysis` is the name of the analysis run that could not tell."""
        before = {"phase": self._status.phase, "message": self._status.message, "paused_at": self._status.paused_at}
        self._set(phase="Paused", message=reason, paused_at=workflow.now())
        self.event("RolloutPaused", f"Rollout is paused ({reason})", analysis=analysis)
        try:
            yield
        finally:
            self._set(**before)

    def manual_pause(self, message: Message | None) -> None:
        """A person asked for a pause, or ended it."""
        self._set(manual_pause=message)

    # ------------------------------------------------------------------------------------------------------- restarts

    @property
    def restart_due(self) -> datetime | None:
        """The time before which no pod may have been created, until that was seen to."""
        done = self._status.restarted_at
        return None if done is not None and self._restart_at and done >= self._restart_at else self._restart_at

    @property
    def restarting(self) -> bool:
        """Whether pods are being replaced."""
        return self._status.restarting

    @restarting.setter
    def restarting(self, value: bool) -> None:
        if value != self._status.restarting:
            self._set(restarting=value)

    def restarted(self, at: datetime) -> None:
        """No pod is left from before that time."""
        self._set(restarted_at=at, restarting=False)
        self.event("RolloutRestarted", f"pods created before {at.isoformat()} were replaced")

    # --------------------------------------------------------------------------------------------------------- events

    def event(self, reason: str, message: str, *, warning: bool = False, analysis: str = "") -> None:
        """Something happened that a person would want to know; `reason` in Argo's event words.

        `analysis` is the name of the analysis run that it is about, or whose verdict brought it about.
        """
        text = harmless(message)
        row = Event(at=workflow.now(), reason=reason, message=text, warning=warning, analysis=analysis)
        self._add_events(row)
        if self.page.object is not None:
            self.news.event(row)

    def _add_events(self, *told: Event) -> None:
        events = [event.model_copy(update={"message": harmless(event.message)}) for event in told]
        self._set(events=(*self._status.events, *events)[-MAX_EVENTS:])
        for number, event in enumerate(events, self._events):
            self.tell(event, number)
        self._events += len(events)

    def _set(self, **changes: object) -> None:
        self._status = self._status.model_copy(update=changes)
