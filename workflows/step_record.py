"""Progress of a release through its steps, or the stages of blue-green."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import StepState, StepStatus
    from workflows.publication import Publication
    from workflows.status_record import StatusRecord


class StepRecord:
    """The steps of the version under way, in the status of the release."""

    def __init__(self, record: StatusRecord, publication: Publication) -> None:
        self._record = record
        self._publication = publication

    @contextmanager
    def step(self, index: int) -> Iterator[None]:
        """Mark a step as running within the block, then as done or failed, and record an event when it is done."""
        with self._running(index):
            yield
        steps = self._record.current.steps
        completed, total = index + 1, len(steps)
        self._publication.event(
            "RolloutStepCompleted",
            f"Rollout step {completed}/{total} completed ({steps[index].text})",
        )
        self._record.set(step_index=completed)

    @contextmanager
    def stage(self, index: int) -> Iterator[None]:
        """Mark a stage as running within the block, then as done or failed; Argo has no event for it."""
        with self._running(index):
            yield
        self._record.set(step_index=index + 1)

    @contextmanager
    def _running(self, index: int) -> Iterator[None]:
        self._mark(index, state=StepState.RUNNING, started_at=workflow.now())
        self._record.set(step_index=index)
        try:
            yield
        except (Exception, asyncio.CancelledError):  # not the end of a worker, which is none of the step
            self._mark(index, state=StepState.FAILED, finished_at=workflow.now())
            raise
        self._mark(index, state=StepState.DONE, finished_at=workflow.now())

    def handed_over(self, index: int) -> None:
        """Mark the steps before this one, which another controller ran."""
        for number in range(index):
            self._mark(number, state=StepState.DONE)
        total = len(self._record.current.steps)
        text = f"Rollout goes on at step {index + 1}/{total}, where its last controller left it"
        self._publication.event("RolloutResumed", text)

    def skip(self, *, in_full: bool) -> None:
        """Mark the remaining steps as skipped, `in_full` with all gates."""
        unfinished = (StepState.PENDING, StepState.RUNNING, StepState.FAILED)
        steps = tuple(
            step.model_copy(update={"state": StepState.SKIPPED}) if step.state in unfinished else step
            for step in self._record.current.steps
        )
        self._record.set(steps=steps, step_index=len(steps) or None, promoted_full=in_full)

    def _mark(self, index: int, **changes: object) -> None:
        steps = list(self._record.current.steps)
        steps[index] = steps[index].model_copy(update=changes)
        self._record.set(steps=tuple(steps))


def steps_of(texts: list[str], first: int) -> tuple[StepStatus, ...]:
    """The steps of a version at its start; those before the first one are skipped."""
    states = (StepState.SKIPPED if index < first else StepState.PENDING for index in range(len(texts)))
    return tuple(
        StepStatus(index=index, text=text, state=state)
        for index, (text, state) in enumerate(zip(texts, states, strict=True))
    )
