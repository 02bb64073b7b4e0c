"""A judgement as a measurement keeps it: the sentence as its value, and the numbers for people as its metadata."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from pydantic import ValidationError

from tidegate.analysis.compare.models import (
    ERRORS,
    CompareModel,
    Comparison,
    EventNumbers,
    Judgement,
    Margin,
    Ruling,
    Weight,
)
from tidegate.analysis.compare.phrases import percent
from tidegate.analysis.status import AnalysisStatus, Measurement, MetricStatus, Phase

RULING: Final = "ruling"
SINCE: Final = "since"
"""Beginning of the weight that the ruling is about, unix seconds."""
WEIGHT: Final = "weight"
"""That weight as a fraction, as it was read back."""
SEEN: Final = "seen"
"""Fraction of the requests that the canary answers in the last minutes."""
EVENT: Final = "event"
"""Name of the event whose proof is the weakest."""
PROOF: Final = "proof"
"""ln E of that event as a fraction of the ln E that is asked for, 0 to 1."""
REQUESTS: Final = "requests"
"""Requests of the canary that were counted."""
FAILED_REQUESTS: Final = "failedRequests"
"""Those of them that failed."""
EVIDENCE: Final = "evidence"
"""JSON list of `EventEvidence`."""
DIGITS: Final = 6


class EventEvidence(CompareModel):
    """Counts of one event since the first traffic, and ln E of harm and proof beside the ln E that decide.

    `margin` is the one of the whole release.
    """

    name: str
    canary: float
    canary_bad: float
    stable: float
    stable_bad: float
    harm: float
    harm_limit: float
    proof: float
    proof_limit: float
    margin: Margin


def metadata_of(judgement: Judgement, weight: Weight | None, wanted: Comparison) -> dict[str, str]:
    """Metadata of a judgement at a weight, None where the canary has no traffic. Unknown numbers are left out."""
    found = {RULING: str(judgement.ruling), SINCE: "" if weight is None else f"{weight.since:.3f}"}
    if weight is not None:
        found[WEIGHT] = f"{weight.share:.4g}"
        if judgement.share is not None:
            found[SEEN] = f"{judgement.share * weight.share:.4g}"
        if judgement.events:
            name, log = min(((each.name, _proven(each, weight)) for each in judgement.events), key=lambda each: each[1])
            found[EVENT] = name
            if not wanted.alone:
                found[PROOF] = f"{min(max(log / _proof_limit(wanted), 0.0), 1.0):.3g}"
            found[EVIDENCE] = json.dumps([each.model_dump() for each in _evidence(judgement, weight, wanted)])
    for each in judgement.events:
        if each.name == ERRORS:
            found |= {REQUESTS: f"{each.canary:.0f}", FAILED_REQUESTS: f"{each.canary_bad:.0f}"}
    return found


def _proof_limit(wanted: Comparison) -> float:
    return math.log(1 / wanted.false_promotion)


def _evidence(judgement: Judgement, weight: Weight, wanted: Comparison) -> Iterator[EventEvidence]:
    # Here, as those who read a judgement do not judge.
    from tidegate.analysis.compare.judge import event_shares

    for numbers, event, share in zip(judgement.events, wanted.events, event_shares(wanted), strict=True):
        yield EventEvidence(
            name=numbers.name,
            canary=round(numbers.canary, DIGITS),
            canary_bad=round(numbers.canary_bad, DIGITS),
            stable=round(numbers.stable, DIGITS),
            stable_bad=round(numbers.stable_bad, DIGITS),
            harm=round(numbers.harm, DIGITS),
            harm_limit=round(math.log(1 / wanted.false_abort) - math.log(share), DIGITS) if share > 0 else math.inf,
            proof=round(_proven(numbers, weight), DIGITS),
            proof_limit=round(_proof_limit(wanted), DIGITS),
            margin=event.margin,
        )


def evidence_of(measurement: Measurement) -> tuple[EventEvidence, ...]:
    """Read the evidence of a judgement; nothing where it has none, or none that can be read."""
    try:
        return tuple(map(EventEvidence.model_validate, json.loads(measurement.metadata.get(EVIDENCE, "[]"))))
    except (ValueError, TypeError, ValidationError):
        return ()


def _proven(event: EventNumbers, weight: Weight) -> float:
    """ln E that counts at a weight: at the last one the promise of the whole release as well."""
    return min(event.promise, event.here) if weight.last else event.here


def comparison_of(metric: MetricStatus) -> Measurement | None:
    """The newest measurement of a metric if that is a judgement; its `value` is the sentence."""
    newest = metric.measurements[-1] if metric.measurements else None
    return newest if newest is not None and is_judgement(newest) else None


def is_judgement(measurement: Measurement) -> bool:
    """True for a measurement that a comparison made."""
    return RULING in measurement.metadata


def rulings(status: AnalysisStatus) -> Iterator[tuple[str, str]]:
    """Yield ruling and beginning of its weight of each comparison's newest measurement."""
    for metric in status.metrics:
        if (newest := comparison_of(metric)) is not None:
            yield newest.metadata[RULING], newest.metadata.get(SINCE, "")


def details_of(judged: Measurement) -> tuple[str, ...]:
    """Text that belongs to the sentence of a judgement: weight and share of the requests, and notes of the source."""
    notes = judged.reason.removeprefix(judged.value).removeprefix("; ")
    return tuple(filter(None, (_traffic(judged), notes)))


def _traffic(judged: Measurement) -> str:
    share, since, seen = (judged.metadata.get(key, "") for key in (WEIGHT, SINCE, SEEN))
    if not share or not since:
        return ""
    begin = datetime.fromtimestamp(float(since), UTC)
    answers = f"; the canary answers {percent(float(seen))} of the requests" if seen else ""
    return f"at {percent(float(share))} since {begin:%H:%M:%S} UTC{answers}"


def is_proven(status: AnalysisStatus, weight: Weight) -> bool:
    """Return whether each comparison that counts is clear at a weight, and no newest measurement is bad."""
    newest = [metric.measurements[-1] for metric in status.metrics if metric.measurements and not metric.dry_run]
    judged = [each.metadata for each in newest if is_judgement(each)]
    clear = (str(Ruling.CLEAR), f"{weight.since:.3f}")
    fine = all(each.phase in (Phase.SUCCESSFUL, Phase.RUNNING) for each in newest)
    return fine and bool(judged) and all((each[RULING], each.get(SINCE)) == clear for each in judged)
