"""Text of a judgement for people: one sentence, made of the counts that it stands on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from tidegate.analysis.compare.bets import Sample, log_factors
from tidegate.analysis.compare.evidence import EventEvidence, Evidence
from tidegate.analysis.compare.growth import Rate, growth
from tidegate.analysis.compare.mixtures import bases, edge_of, margin_here, tolerated
from tidegate.analysis.compare.models import BadEvent, Comparison, DecisionPoint, Margin, Weight
from tidegate.analysis.compare.phrases import amount, counted, listing, margin_text, percent, rollouts, time
from tidegate.analysis.compare.traffic import share_answered

STEPS: Final = 30
LARGEST_PLUS: Final = 1.0


def harm_sentence(wanted: Comparison, evidence: Evidence, point: DecisionPoint, at: int) -> str:
    """Say which event is worse than tolerated."""
    event, known = wanted.events[at], evidence.events[at]
    limit = event.margin if wanted.alone else tolerated(event.margin, known.spread, point.weight)
    return (
        f"Harm, {event.name}: {counted(event, known.counts)}{_reference(wanted)}; "
        f"a version within {margin_text(limit)} would look this bad in {rollouts(known.harm.log)} rollouts."
    )


def guard_sentence(wanted: Comparison, evidence: Evidence) -> str:
    """Say that errors went beyond what is allowed even to cold pods."""
    counts, guard = evidence.guard_counts, wanted.guard or Margin(times=1, plus=0)
    return (
        f"Harm, errors, cold pods included: {amount(counts[1])} of {amount(counts[0])} canary requests against "
        f"{amount(counts[3])} of {amount(counts[2])} of stable{_reference(wanted)}; "
        f"a version within {margin_text(guard)} "
        f"would look this bad in {rollouts(evidence.guard.log)} rollouts."
    )


def watched_sentence(wanted: Comparison, evidence: Evidence) -> str:
    """Say what a version with all of the traffic was held against, and that this is no proof."""
    [event], [known] = wanted.events, evidence.events
    return (
        f"Watched, {event.name}: {counted(event, known.counts)}{_reference(wanted)}; no sign that they are more than "
        f"{margin_text(event.margin)}. It is no proof."
    )


def _reference(wanted: Comparison) -> str:
    """When stable's requests were counted, where that was not in the same seconds."""
    return " in the hour before" if wanted.alone else ""


def lost_sentence(evidence: Evidence, weight: Weight) -> str:
    """Say that the canary answers less than it is sent."""
    canary, total = evidence.seen
    seen = percent(canary / total) if total > 0 else "0 %"
    return (
        f"Lost: the canary is sent {percent(weight.share)} of the requests and is seen to answer {seen}; "
        "its pods do not say what happens to the others."
    )


def unlike(evidence: Evidence, weight: Weight) -> str:
    """Say that the canary's requests are no random part of the traffic."""
    share = share_answered(evidence)
    if share is None:
        return "Not yet: the canary's share of the requests is not known."
    return (
        f"Unlike: the canary answers {percent(share * weight.share)} of the requests at a weight of "
        f"{percent(weight.share)}: this is no random part of the traffic, so nothing is concluded from it. "
        "Sticky sessions? Mirroring?"
    )


def proven_sentence(wanted: Comparison, evidence: Evidence, point: DecisionPoint) -> tuple[str, str]:
    """Name the event whose proof is the weakest, and say what it stands on."""
    weight = point.weight
    last = weight is None or weight.last
    logs = [known.promise.log if last else known.here.log for known in evidence.events]
    at = logs.index(min(logs))
    event, known = wanted.events[at], evidence.events[at]
    margin = event.margin if last or weight is None else margin_here(event, weight)
    counts = known.counts if last else known.here_counts
    seconds = evidence.seconds if last else evidence.here_seconds
    others = [other.name for other in wanted.events if other is not event]
    too = f" {listing(others)} {'are' if len(others) > 1 else 'is'} proven too." if others else ""
    return event.name, (
        f"Proven, {event.name}: {counted(event, counts)} in the same {time(seconds)}; a version worse than "
        f"{margin_text(margin)} would look this good in {rollouts(logs[at])} rollouts "
        f"({rollouts(math.log(1 / wanted.false_promotion))} is asked for).{too}"
    )


def not_yet(wanted: Comparison, evidence: Evidence, weight: Weight, at: int) -> tuple[str, str]:
    """Say how far the weakest proof is, and how long it takes if nothing changes."""
    event, known = wanted.events[at], evidence.events[at]
    promised = weight.last and known.promise.log < known.here.log
    log, margin = (known.promise.log, event.margin) if promised else (known.here.log, margin_here(event, weight))
    return event.name, (
        f"Not yet, {event.name}: a version worse than {margin_text(margin)} would look this good in {rollouts(log)} "
        f"rollouts ({rollouts(math.log(1 / wanted.false_promotion))} is asked for) after "
        f"{time(evidence.here_seconds)} of warm pods at {percent(weight.share)}"
        f"{_ahead(wanted, evidence, weight, known, margin, log)}."
    )


def _ahead(
    wanted: Comparison, evidence: Evidence, weight: Weight, known: EventEvidence, margin: Margin, log: float
) -> str:
    """Time that a version as good as stable needs from here, by the load of the last minutes."""
    load = _load(evidence)
    speed = growth(load, weight.share, Rate(bases(known)[0], known.phi), margin)
    if speed <= 0:
        return ""
    seconds = (math.log(1 / wanted.false_promotion) - log) / speed
    return f"; at {load:.3g} requests a second about {time(seconds)} more"


def _load(evidence: Evidence) -> float:
    return evidence.share[2] / evidence.share[3] if evidence.share[3] > 0 else 0.0


def suspicion(alarms: Sequence[float]) -> tuple[str, str]:
    """Say that there are signs of harm, which the proofs do not outweigh."""
    named = dict(zip(("the comparison", "the guard", "lost requests"), alarms, strict=True))
    name = max(named, key=lambda key: named[key])
    return "harm", (
        f"Not yet: there are signs of harm ({name}, {rollouts(named[name])}); nothing is promoted while "
        "they are stronger than 1 of 3."
    )


def no_data(wanted: Comparison, evidence: Evidence, point: DecisionPoint) -> str:
    """Say that nothing came that could be compared."""
    seconds = point.now - max(point.first_traffic, evidence.usable_until or 0)
    whose = "" if wanted.alone else " of both versions"
    return f"No data: for {time(seconds)} there was no bucket with requests{whose}."


def given_up(wanted: Comparison, evidence: Evidence, point: DecisionPoint) -> tuple[str, str]:
    """Say what could be shown of the weakest event in all the time there was."""
    logs = [known.promise.log for known in evidence.events]
    at = logs.index(min(logs))
    event, known = wanted.events[at], evidence.events[at]
    opening = f"Given up after {time(point.now - point.first_traffic)}"
    ending = f"({_load(evidence):.3g} requests a second; see tidegate plan)."
    target = math.log(1 / wanted.false_promotion)
    plus = None if logs[at] >= target else shown_plus(event, known, target)
    if plus is None:
        return event.name, f"{opening}: {len(evidence.events)} events are not all proven {ending}"
    shown = margin_text(Margin(times=event.margin.times, plus=plus))
    return (
        event.name,
        f"{opening}, {event.name}: shown to be at most about {shown}, not + {percent(event.margin.plus)} {ending}",
    )


def shown_plus(event: BadEvent, known: EventEvidence, target: float) -> float | None:
    """Smallest `plus` that all counts together prove by a bet on stable's rate, None where they prove none."""
    if min(known.counts[0], known.counts[2]) <= 0:
        return None
    sample, base = Sample(*known.counts), bases(known)[0]

    def proves(plus: float) -> bool:
        edge = edge_of(Margin(times=event.margin.times, plus=plus), above=True)
        return log_factors(sample, edge, [(base, base)], known.phi)[0] >= target

    low, high = event.margin.plus, LARGEST_PLUS
    if not proves(high):
        return None
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if proves(middle) else (middle, high)
    return high
