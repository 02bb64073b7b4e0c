"""Kubernetes Events and AnalysisRun objects that are still to be published."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import AnalysisRef, AnalysisRunUpdate, Document, Event, PublishEvents, Target, Unpublished
    from tidegate.report import joined

MOST_EVENTS = 50  # of one pass; what is more waits for the next one


class PendingEvents:
    """Events are published once and in order, joined by reason; of an analysis run only the latest state.

    A batch that a pass was given may be in the cluster, whatever became of the pass. It is published again as it is,
    and later events beside it (law 6).
    """

    def __init__(self) -> None:
        self._first = 0
        self._events: list[Event] = []
        self._given: list[Event] = []
        self._given_before = 0  # how many of them the pass before the last was given, too
        self._specs: dict[str, AnalysisRunUpdate] = {}
        self._runs: dict[str, AnalysisRunUpdate] = {}

    def __bool__(self) -> bool:
        return bool(self._given or self._events or self._runs)

    def event(self, event: Event) -> None:
        """Add an event."""
        self._events.append(event)

    def started(self, run: AnalysisRef, spec: Document, metadata: Document) -> None:
        """Add an analysis run that is about to start; `metadata` is the manifest's `analysisRunMetadata`."""
        self._specs[run.name] = AnalysisRunUpdate(
            run=run, spec=spec, labels=metadata.get("labels") or {}, annotations=metadata.get("annotations") or {}
        )
        self.updated(run)

    def updated(self, run: AnalysisRef) -> None:
        """Take the new state of an analysis run."""
        if (known := self._specs.get(run.name)) is not None:
            self._runs[run.name] = known.model_copy(update={"run": run})

    def forget(self, run: AnalysisRef) -> None:
        """Drop an analysis run that did not start."""
        self._specs.pop(run.name, None)
        self._runs.pop(run.name, None)

    def unpublished(self) -> Unpublished:
        """Return the batch for the next pass."""
        self._given_before = len(self._given)
        self._given += joined(self._events)
        self._events.clear()
        return Unpublished(
            run_id=workflow.info().run_id,
            first=self._first,
            events=tuple(self._given[:MOST_EVENTS]),
            runs=tuple(self._runs.values()),
            current=tuple(self._specs),
        )

    def events(self, target: Target, uid: str) -> PublishEvents | None:
        """The events alone, for the time before the first pass, which publishes them again (law 6)."""
        if not uid or not (self._given or self._events):
            return None
        batch = self.unpublished()
        return PublishEvents(target=target, uid=uid, run=batch.run_id, first=batch.first, events=batch.events)

    def was_left(self, done: tuple[Event, ...]) -> None:
        """Keep a batch that a pass left to the next one, with the events of that pass."""
        self._events = [*self._given[self._given_before :], *done, *self._events]
        del self._given[self._given_before :]

    def was_published(self, published: Unpublished) -> None:
        """Drop a batch that a pass has published."""
        self._first += len(published.events)
        del self._given[: len(published.events)]
        for run in published.runs:
            if self._runs.get(run.run.name) == run:
                del self._runs[run.run.name]
