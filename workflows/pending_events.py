"""What a release has still to tell people with kubectl: Events about its Rollout, and its AnalysisRun objects."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import AnalysisRef, AnalysisRunUpdate, Document, Event, PublishEvents, Target, Unpublished
    from tidegate.report import joined

MOST_EVENTS = 50  # of one pass; what is more waits for the next one


class PendingEvents:
    """Events are told once and in order, of one reason together; of an analysis run only how it stands now.

    What a pass was given may stand in the cluster, whatever became of the pass: it is told again as it is, and what
    happened since beside it (law 6).
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
        """Something happened."""
        self._events.append(event)

    def begun(self, run: AnalysisRef, spec: Document, metadata: Document) -> None:
        """An analysis run is about to start; `metadata` is the manifest's `analysisRunMetadata`."""
        self._specs[run.name] = AnalysisRunUpdate(
            run=run, spec=spec, labels=metadata.get("labels") or {}, annotations=metadata.get("annotations") or {}
        )
        self.stands(run)

    def stands(self, run: AnalysisRef) -> None:
        """An analysis run says something else than before."""
        if (known := self._specs.get(run.name)) is not None:
            self._runs[run.name] = known.model_copy(update={"run": run})

    def forget(self, run: AnalysisRef) -> None:
        """An analysis run did not begin."""
        self._specs.pop(run.name, None)
        self._runs.pop(run.name, None)

    def unpublished(self) -> Unpublished:
        """What a pass is to publish."""
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
        """The events alone, where no pass tells anything yet; they are told again with the first one (law 6)."""
        if not uid or not (self._given or self._events):
            return None
        told = self.unpublished()
        return PublishEvents(target=target, uid=uid, run=told.run_id, first=told.first, events=told.events)

    def was_left(self, done: tuple[Event, ...]) -> None:
        """A pass left it to the next one, with what it did itself."""
        self._events = [*self._given[self._given_before :], *done, *self._events]
        del self._given[self._given_before :]

    def was_published(self, told: Unpublished) -> None:
        """A pass has published this."""
        self._first += len(told.events)
        del self._given[: len(told.events)]
        for run in told.runs:
            if self._runs.get(run.run.name) == run:
                del self._runs[run.run.name]
