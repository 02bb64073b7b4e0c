"""How one bucket of counts changes the evidence: bets on rates, placed before the bucket is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tidegate.analysis.compare.bets import Sample, grow, initial_wealth, log_factors
from tidegate.analysis.compare.dispersion import by_groups, by_time
from tidegate.analysis.compare.evidence import EventEvidence, Evidence
from tidegate.analysis.compare.full_traffic import begin_alone, fold_alone, glance_alone
from tidegate.analysis.compare.mixtures import (
    GUARD,
    HARM,
    LOST,
    PROOF,
    bases,
    edge_of,
    guard_bets,
    harm_bets,
    margin_here,
    proof_bets,
    tolerated,
)
from tidegate.analysis.compare.models import ERRORS, BadEvent, Comparison, CountRow, Counts, HourRow, Margin, Weight
from tidegate.analysis.compare.traffic import traffic_event, traffic_of, with_lost, with_share

SLOW_SECONDS: Final = 900
FAST_SECONDS: Final = 20
"""Half-lives of the two memories of stable's rate."""
FIRST_EVENTS: Final = 2
"""Events of the hour's rate that the slow memory begins with."""
ROUNDING: Final = 1e-9
"""By which a count of bad requests may exceed that of all requests when counts are fractions."""
NO_COUNTS: Final = Sample(0.0, 0.0, 0.0, 0.0)


def begin(
    wanted: Comparison, hour: Sequence[HourRow], groups: Mapping[str, Sequence[HourRow]] | None = None
) -> Evidence:
    """Evidence before the first bucket: stable's rates and dispersion of the hour before."""
    events = tuple(_begun(at, hour, groups, wanted.bucket) for at in range(len(wanted.events)))
    if wanted.alone:
        return begin_alone(events[0], *sums(hour, 0))
    return Evidence(events=events, guard=initial_wealth(GUARD), lost=initial_wealth(LOST))


def _begun(
    event: int, hour: Sequence[HourRow], groups: Mapping[str, Sequence[HourRow]] | None, bucket: int
) -> EventEvidence:
    bad, requests = sums(hour, event)
    rate = (bad + 0.5) / (requests + 1)
    newest = max((row.start for row in hour), default=0)
    recent_bad, recent = sums([row for row in hour if row.start > newest - SLOW_SECONDS], event)
    grouped = groups is not None and any(row.counts[event] is not None for rows in groups.values() for row in rows)
    dispersion = by_groups(groups, event, bucket) if groups and grouped else by_time(hour, event)
    return EventEvidence(
        phi=dispersion.phi,
        spread=dispersion.spread,
        slow=(recent_bad + FIRST_EVENTS, recent + FIRST_EVENTS / rate),
        fast=(rate, 1.0),
        harm=initial_wealth(HARM),
        promise=initial_wealth(PROOF),
        here=initial_wealth(PROOF),
    )


def sums(hour: Sequence[HourRow], event: int) -> tuple[float, float]:
    """Bad requests and all requests of one event in rows of stable."""
    counts = [found for row in hour if (found := row.counts[event]) is not None]
    return float(sum(one.bad for one in counts)), float(sum(one.requests for one in counts))


def sample_of(counts: Counts) -> Sample | None:
    """Counts that bets can be paid by, None while a version is not seen or has more bad requests than requests."""
    canary, canary_bad, stable, stable_bad = counts.canary, counts.canary_bad or 0.0, counts.stable, counts.stable_bad
    if not canary or not stable or canary <= 0 or stable <= 0:
        return None
    stable_bad = stable_bad or 0.0
    if canary_bad > canary + ROUNDING or stable_bad > stable + ROUNDING:
        return None
    return Sample(canary, canary_bad, stable, stable_bad)


def fold(wanted: Comparison, evidence: Evidence, row: CountRow, weight: Weight | None) -> Evidence:
    """Evidence after one more bucket. `weight` None: the weight changed within it, so only stable's rates are kept.

    Each event is folded by itself, where both versions have requests.
    """
    if wanted.alone:
        return fold_alone(wanted, evidence, row, weight)
    if weight is not None and evidence.here_since != weight.since:
        evidence = _at_new_weight(evidence, weight)
    samples = [sample_of(counts) for counts in row.counts]
    if not any(samples):
        skipped = weight is not None and not _complete(row)
        evidence = evidence.model_copy(update={"skipped": evidence.skipped + skipped})
        return evidence if weight is None else _with_traffic(wanted, evidence, row, weight, warm=False)
    warm = weight is not None and row.start - weight.since >= wanted.warm_up
    events = tuple(
        [
            one if sample is None else _event(wanted, event, one, sample, weight if warm else None)
            for event, one, sample in zip(wanted.events, evidence.events, samples, strict=True)
        ]
    )
    seconds = wanted.bucket if warm else 0
    changed = {
        "events": events,
        "seconds": evidence.seconds + seconds,
        "here_seconds": evidence.here_seconds + seconds,
        "usable_until": row.start + wanted.bucket,
    }
    evidence = evidence.model_copy(update=changed)
    return evidence if weight is None else _with_traffic(wanted, evidence, row, weight, warm=warm)


def _complete(row: CountRow) -> bool:
    """True when all is known of a bucket that nothing can be concluded from: a version without any request."""
    return bool(row.counts) and all(
        one.canary is not None
        and one.stable is not None
        and (one.canary_bad or 0) <= one.canary
        and (one.stable_bad or 0) <= one.stable
        for one in row.counts
    )


def _at_new_weight(evidence: Evidence, weight: Weight) -> Evidence:
    """Forget what was proven at the weight before, for that weight only."""
    events = tuple(
        one.model_copy(update={"here": initial_wealth(PROOF), "here_counts": NO_COUNTS}) for one in evidence.events
    )
    changed = {"events": events, "here_since": weight.since, "here_seconds": 0.0, "seen": (0.0, 0.0)}
    return evidence.model_copy(update=changed)


def _with_traffic(wanted: Comparison, evidence: Evidence, row: CountRow, weight: Weight, *, warm: bool) -> Evidence:
    counts = traffic_of(wanted, row)
    changed: dict[str, object] = {}
    if wanted.lost:
        changed["lost"], changed["seen"] = with_lost(evidence, counts, weight, row.start)
    if warm:
        changed["share"] = with_share(evidence, counts, weight, wanted.bucket)
    return evidence.model_copy(update=changed)


def _event(
    wanted: Comparison, event: BadEvent, known: EventEvidence, sample: Sample, weight: Weight | None
) -> EventEvidence:
    """One event after a bucket; `weight` None: pods were cold, so only stable's rates are kept."""
    changed = remembered(known, sample, wanted.bucket)
    if weight is not None:
        harm = harm_logs(known, sample, tolerated(event.margin, known.spread, weight))
        promise = proof_logs(known, sample, event.margin)
        here = proof_logs(known, sample, margin_here(event, weight))
        changed |= {
            "harm": grow(known.harm, harm, HARM),
            "promise": grow(known.promise, promise, PROOF),
            "here": grow(known.here, here, PROOF),
            "counts": _added(known.counts, sample),
            "here_counts": _added(known.here_counts, sample),
        }
    return known.model_copy(update=changed)


def harm_logs(known: EventEvidence, sample: Sample, limit: Margin) -> list[float]:
    """Return ln of what the bets of harm beyond a limit pay in a bucket."""
    return log_factors(sample, edge_of(limit, above=False), harm_bets(bases(known), limit), known.phi)


def proof_logs(known: EventEvidence, sample: Sample, margin: Margin) -> list[float]:
    """Return ln of what the bets that the canary is better than a margin pay in a bucket."""
    return log_factors(sample, edge_of(margin, above=True), proof_bets(bases(known)), known.phi)


def remembered(known: EventEvidence, sample: Sample, bucket: int) -> dict[str, object]:
    """Stable's two sums after a bucket, for the next one to bet on."""
    sums = {"slow": (known.slow, SLOW_SECONDS), "fast": (known.fast, FAST_SECONDS)}
    return {name: _decayed(memory, sample, bucket / seconds) for name, (memory, seconds) in sums.items()}


def _decayed(memory: tuple[float, ...], sample: Sample, half_lives: float) -> tuple[float, float]:
    keep = 2**-half_lives
    return keep * memory[0] + sample.stable_bad, keep * memory[1] + sample.stable


def _added(counts: Sequence[float], sample: Sample) -> Sample:
    a, b, c, d = counts
    return Sample(a + sample.canary, b + sample.canary_bad, c + sample.stable, d + sample.stable_bad)


def glance(wanted: Comparison, evidence: Evidence, row: CountRow) -> Evidence:
    """Evidence after the guard saw a bucket, cold or half arrived as it may be."""
    if wanted.alone:
        return glance_alone(wanted, evidence, row)
    counts = traffic_of(wanted, row)
    if wanted.guard is None or not can_glance(wanted, row):
        return evidence
    canary, canary_bad, stable, stable_bad = (value or 0.0 for value in counts)
    sample = Sample(canary, min(canary, canary_bad), stable, min(stable, stable_bad))
    known = evidence.events[traffic_event(wanted)]
    base = max(bases(known)[:2])
    logs = log_factors(sample, edge_of(wanted.guard, above=False), guard_bets(base, wanted.guard), known.phi)
    changed = {"guard": grow(evidence.guard, logs, GUARD), "guard_counts": _added(evidence.guard_counts, sample)}
    return evidence.model_copy(update=changed)


def can_glance(wanted: Comparison, row: CountRow) -> bool:
    """True when there is a guard, and anything to look at: of both versions, or of the one that has all requests."""
    counts = traffic_of(wanted, row)
    watched = wanted.guard is not None and wanted.events[traffic_event(wanted)].name == ERRORS
    return watched and bool(counts.canary and (counts.stable or wanted.alone))
