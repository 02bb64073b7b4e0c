"""Timeline of a release: the consequences of each gate's verdict, and the end of the release."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from tidegate.analysis.status import Phase
from tidegate.contract import (
    AnalysisKind,
    AnalysisRef,
    Compensation,
    CompensationState,
    CompensationStatus,
    Event,
    ReleaseStatus,
    StepState,
)
from tidegate.report.explanation_models import TimelineEntry

_NEVER = datetime.max.replace(tzinfo=UTC)
_ANSWERS = ("RolloutPromoted", "RolloutResumed", "RolloutAborted")
_OVERTAKES = ("RolloutPromoted", "RolloutAborted", "RolloutUpdated")


def abort_of(status: ReleaseStatus) -> Event | None:
    """The event of the abort that ended a release, if one did."""
    return next((event for event in reversed(status.events) if event.reason == "RolloutAborted"), None)


def weight_at(status: ReleaseStatus, at: datetime) -> int:
    """Percentage of traffic of the canary at that time."""
    return next((row.canary for row in reversed(status.weights) if row.at <= at), 0)


def first_traffic(status: ReleaseStatus) -> datetime | None:
    """Time at which the canary got its first traffic; None where it got none."""
    return next((row.at for row in status.weights if row.canary > 0), None)


def restored_at(status: ReleaseStatus, abort: datetime) -> datetime | None:
    """Time at which all traffic was read back on stable after an abort; None before that."""
    return next((row.at for row in status.weights if row.at >= abort and row.canary == 0), None)


def began(status: ReleaseStatus, gate: AnalysisRef) -> datetime | None:
    """Start of a gate; the release has it also for a run without a report."""
    started = (each.at for each in status.events if each.reason == "AnalysisRunRunning" and each.analysis == gate.name)
    return gate.status.started_at or next(started, None)


def decided(status: ReleaseStatus, gate: AnalysisRef) -> datetime | None:
    """Time at which the release needed a gate no longer: its verdict, or an event that overtook it."""
    overtaken = _overtaken(status, gate)
    return gate.status.completed_at or (overtaken.at if overtaken is not None else None)


def ending(status: ReleaseStatus) -> tuple[TimelineEntry, ...]:
    """Entries of an abort or a promotion, in order; none while the release goes on."""
    abort = abort_of(status)
    if abort is None:
        return tuple(
            TimelineEntry(at=event.at, text=event.message)
            for event in status.events
            if event.reason == "RolloutCompleted"
        )[-1:]
    timeline = [
        TimelineEntry(at=abort.at, text="aborted"),
        *_weights(status, abort.at, _NEVER),
        *(entry for each in status.compensations if (entry := _compensation(status, each))),
    ]
    return tuple(sorted(timeline, key=lambda entry: entry.at or _NEVER))


def consequences(status: ReleaseStatus, gate: AnalysisRef) -> tuple[TimelineEntry, ...]:
    """Consequences of a gate in the release."""
    abort = abort_of(status)
    if abort is not None and abort.analysis == gate.name:
        return ending(status)
    events = status.events
    held = next((each for each in events if each.reason == "RolloutPaused" and each.analysis == gate.name), None)
    if held is not None:
        return tuple(_hold(status, held))
    ended = gate.status.completed_at
    if ended is None:
        overtaken = _overtaken(status, gate)
        return (TimelineEntry(at=overtaken.at, text=f"did not wait for it: {overtaken.message}"),) if overtaken else ()
    if gate.status.phase is not Phase.SUCCESSFUL:
        return ()
    if gate.kind is AnalysisKind.BAKE:
        return ending(status)
    if gate.step is None:
        return tuple(_full_weight(status, ended))
    return tuple(_went_on(status, gate.step, ended))


def _hold(status: ReleaseStatus, held: Event) -> Iterator[TimelineEntry]:
    yield TimelineEntry(at=held.at, text="held for an operator")
    later = status.events[status.events.index(held) + 1 :]
    answer = next((event for event in later if event.reason in _ANSWERS), None)
    if answer is not None:
        yield TimelineEntry(at=answer.at, text=answer.message, bad=answer.warning)
    elif status.waiting is not None and status.finished_at is None:
        until = f"until {status.waiting.until:%H:%M:%S} UTC" if status.waiting.until else "without a limit"
        yield TimelineEntry(at=None, text=f"still waits {until}; {status.waiting.who} ends it")


def _overtaken(status: ReleaseStatus, gate: AnalysisRef) -> Event | None:
    """The event that made the release end a run without a verdict."""
    start = began(status, gate)
    if start is None or not gate.status.phase.completed or gate.status.completed_at is not None:
        return None
    return next((each for each in status.events if each.at >= start and each.reason in _OVERTAKES), None)


def _went_on(status: ReleaseStatus, step: int, ended: datetime) -> Iterator[TimelineEntry]:
    """The next step, and the weights that were set before another gate was asked."""
    following = status.steps[step + 1 : step + 2]
    for each in following:
        if each.state is not StepState.PENDING and each.started_at is not None:
            yield TimelineEntry(
                at=each.started_at, text=f"went on to step {each.index + 1}/{len(status.steps)} ({each.text})"
            )
    gates = (each.status.started_at for each in status.analyses if each.step is not None and each.step > step)
    abort = abort_of(status)
    stops = [*filter(None, gates), *((abort.at,) if abort is not None else ())]
    yield from _weights(status, ended, min(stops, default=_NEVER))


def _full_weight(status: ReleaseStatus, ended: datetime) -> Iterable[TimelineEntry]:
    full = [each for each in _weights(status, ended, _NEVER) if weight_at(status, each.at or ended) == 100]
    return full[:1] or [TimelineEntry(at=ended, text="had no reason to stop")]


def _weights(status: ReleaseStatus, after: datetime, before: datetime) -> list[TimelineEntry]:
    return [
        TimelineEntry(
            at=row.at,
            text=f"{row.canary} % of the traffic to the canary, {100 - row.canary} % to stable ({row.reason})",
        )
        for row in status.weights
        if after <= row.at < before
    ]


def _compensation(status: ReleaseStatus, each: CompensationStatus) -> TimelineEntry | None:
    if each.state is CompensationState.FAILED:
        return TimelineEntry(at=each.at, text=f"could not be done: {each.name}: {each.detail}".rstrip(": "), bad=True)
    if each.state is CompensationState.RUNNING:
        return TimelineEntry(at=each.at, text=f"under way: {each.name}")
    if each.state is CompensationState.SKIPPED:
        return TimelineEntry(at=each.at, text=f"left out: {each.name}: {each.detail}".rstrip(": "))
    if each.name is Compensation.TRAFFIC:
        return None  # the weight that was written and read back says it
    if each.name is Compensation.INCIDENT and status.incident is not None:
        return TimelineEntry(at=each.at, text=f"incident {status.incident.number}: {status.incident.url}")
    return TimelineEntry(at=each.at, text=f"done: {each.name}: {each.detail}".rstrip(": "))
