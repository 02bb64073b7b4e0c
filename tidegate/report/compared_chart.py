"""A comparison as a picture: rates of both versions from reading to reading, and the evidence that came of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tidegate.analysis.compare.measurement import EVENT, EventEvidence, comparison_of, evidence_of
from tidegate.analysis.status import Measurement, MetricStatus
from tidegate.contract import ComparedCurves, ComparedEvent, ComparedPoint

PERCENT = 100


def compared_curves(gate: str, metric: MetricStatus) -> ComparedCurves | None:
    """Return the curves of a metric of the gate of that name; None for one without evidence, as it compares nothing."""
    if comparison_of(metric) is None:
        return None
    read = [(each, {found.name: found for found in evidence_of(each)}) for each in metric.measurements]
    judged, newest = read[-1]
    if not newest:
        return None
    first = _foremost(list(newest.values()), judged.metadata.get(EVENT, ""))
    events = [
        _event(evidence, [(each, found[name]) for each, found in read if name in found])
        for name, evidence in newest.items()
    ]
    return ComparedCurves(
        gate=gate, metric=metric.name, events=tuple(sorted(events, key=lambda event: event.name != first))
    )


def _foremost(evidence: Sequence[EventEvidence], weakest: str) -> str:
    """Name of the event to show first: one that is taken for harm, else the one whose proof is the weakest."""
    worst = max(evidence, key=lambda each: each.harm - each.harm_limit)
    return worst.name if worst.harm >= worst.harm_limit else weakest


def _event(newest: EventEvidence, read: Sequence[tuple[Measurement, EventEvidence]]) -> ComparedEvent:
    points = [_point(*each, None) for each in read[:1]]  # the oldest that is kept: since the first traffic
    points += [_point(at, found, before) for (_, before), (at, found) in pairwise(read)]
    return ComparedEvent(
        name=newest.name,
        points=tuple(points),
        times=newest.margin.times,
        plus=PERCENT * newest.margin.plus,
        harm_limit=newest.harm_limit,
        proof_limit=newest.proof_limit,
    )


def _point(measurement: Measurement, now: EventEvidence, before: EventEvidence | None) -> ComparedPoint:
    """Rates since the reading before; stable's over the hour that it is known of, once it has no requests any more."""
    old = before or now.model_copy(update={"canary": 0, "canary_bad": 0, "stable": 0, "stable_bad": 0})
    canary = _rate(now.canary_bad - old.canary_bad, now.canary - old.canary)
    stable = _rate(now.stable_bad - old.stable_bad, now.stable - old.stable)
    if canary is not None and now.stable == old.stable:
        stable = _rate(now.stable_bad, now.stable)
    return ComparedPoint(
        at=measurement.finished_at or measurement.started_at,
        canary=canary,
        stable=stable,
        harm=now.harm,
        proof=now.proof,
    )


def _rate(bad: float, requests: float) -> float | None:
    """Percent of the requests that are bad; None without any, or where late values took some back."""
    return PERCENT * max(bad, 0.0) / requests if requests > 0 else None
