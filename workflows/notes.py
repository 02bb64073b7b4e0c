"""The notes of a release that its run keeps as it goes: steps, waits, restarts, events.

They are the answer of the `status` query, together with what the release state adds of the world outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import Enum, auto

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.canary.phase import RolloutPhase
    from tidegate.contract import Event, Message, PauseReason, ReleaseStatus, StepState, Waiting
    from tidegate.manifests.plain_text import harmless
    from workflows.pending_events import PendingEvents
    from workflows.published_status import PublishedStatus

MAX_EVENTS = 200


class WaitFor(Enum):
    """A wait of which a pass over the cluster can say more exactly what is missing."""

    PODS = auto()
    LAST_PODS = auto()
    DEADLINES = auto()


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
            phase=RolloutPhase.PROGRESSING,
            message="checking the manifests",
            started_at=info.start_time,
        )
        self._events = 0
        self._wait_for: WaitFor | None = None  # what `waiting` of the status is about, where a pass can name it
        self._restart_at: datetime | None = None
        self.tell: Callable[[Event, int], None] = lambda event, number: None
        self.page = PublishedStatus()
        self.news = PendingEvents()

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

    def handed_over(self, index: int) -> None:
        """Another controller took the steps before this one."""
        for number in range(index):
            self._mark(number, state=StepState.DONE)
        total = len(self._status.steps)
        self.event("RolloutResumed", f"Rollout goes on at step {index + 1}/{total}, where its last controller left it")

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
    def waiting(
        self, what: str, *, until: datetime | None, who: str, wait_for: WaitFor | None = None
    ) -> Iterator[None]:
        """Something is waited for (law 5); the wait that was named before comes back when the block ends.

        `who` can end it, in words for people. `wait_for` is given where `still_waiting` may say more of it.
        """
        before, self._wait_for = (self._status.waiting, self._wait_for), wait_for
        self._set(waiting=Waiting(what=what, since=workflow.now(), until=until, who=who))
        try:
            yield
        finally:
            waiting, self._wait_for = before
            self._set(waiting=waiting)

    def still_waiting(self, wait_for: WaitFor, what: str, until: datetime | None) -> None:
        """What is waited for became clearer; nothing where that is not waited for now."""
        if (waiting := self._status.waiting) is not None and self._wait_for is wait_for:
            self._set(waiting=waiting.model_copy(update={"what": harmless(what), "until": until}))

    @contextmanager
    def paused(self, reason: PauseReason, *, analysis: str = "") -> Iterator[None]:
        """The phase is Paused within the block; `analysis` is the name of the analysis run that could not tell."""
        status = self._status
        before = {
            "phase": status.phase,
            "message": status.message,
            "pause": status.pause,
            "paused_at": status.paused_at,
        }
        self._set(phase=RolloutPhase.PAUSED, message=reason.value, pause=reason, paused_at=workflow.now())
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
