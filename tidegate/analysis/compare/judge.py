"""The decision after a reading: abort, clear, wait, or leave it to a person.

All events have to be proven, which needs no correction for their number. Harm is looked for in several places, and the
false aborts that are allowed are shared among them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from tidegate.analysis.compare.evidence import Evidence
from tidegate.analysis.compare.models import (
    ERRORS,
    Comparison,
    CountRow,
    DecisionPoint,
    EventNumbers,
    Judgement,
    OnUnfair,
    Ruling,
    Weight,
)
from tidegate.analysis.compare.sentences import (
    given_up,
    guard_sentence,
    harm_sentence,
    lost_sentence,
    no_data,
    not_yet,
    proven_sentence,
    suspicion,
    unlike,
    watched_sentence,
)
from tidegate.analysis.compare.state import ComparisonState, read, weight_to_judge
from tidegate.analysis.compare.traffic import is_fair, share_answered

GUARD_SHARE: Final = 0.10
LOST_SHARE: Final = 0.05
"""Shares of the false aborts. The rest is that of the events, the errors' default share of it that of 40 to 45."""
ERRORS_TO_OTHERS: Final = 0.40 / 0.45
ALARM: Final = math.log(3)
"""ln E of harm from which on nothing is promoted."""
LONGEST_SILENCE: Final = 300
"""Seconds without a bucket that counts, beside those after which one does."""


class Alarms(NamedTuple):
    """ln E of harm of the events, the guard and lost requests, each with its share of the false aborts."""

    events: float
    guard: float
    lost: float


def judge(wanted: Comparison, evidence: Evidence, point: DecisionPoint) -> Judgement:
    """Say what the evidence allows now."""
    alarms = alarms_of(wanted, evidence)
    ruling, event, sentence = _ruled(wanted, evidence, point, alarms)
    return Judgement(
        ruling=ruling,
        event=event,
        sentence=sentence,
        events=tuple(_numbers(wanted, evidence)),
        alarm=alarms.events,
        guard=alarms.guard,
        lost=alarms.lost,
        share=share_answered(evidence),
        seconds=evidence.seconds,
    )


def judge_reading(
    wanted: Comparison,
    state: ComparisonState,
    rows: Sequence[CountRow],
    weights: Sequence[Weight],
    now: float,
    *,
    first_traffic: float,
    concludes: bool = False,
) -> tuple[ComparisonState, Judgement]:
    """Take up what was read at `now` (seconds since 1970) and judge by it; return the state to keep as well.

    An activity calls this to know when to return, and the workflow calls it with the same rows to decide.
    """
    state, evidence = read(wanted, state, rows, weights, now)
    weight = weight_to_judge(weights, now, concludes=concludes)
    point = DecisionPoint(now=now, first_traffic=first_traffic, weight=weight, settle=state.table.settle)
    return state, judge(wanted, evidence, point)


def _numbers(wanted: Comparison, evidence: Evidence) -> list[EventNumbers]:
    found = []
    for event, known in zip(wanted.events, evidence.events, strict=True):
        canary, canary_bad, stable, stable_bad = known.counts
        found.append(
            EventNumbers(
                name=event.name,
                canary=canary,
                canary_bad=canary_bad,
                stable=stable,
                stable_bad=stable_bad,
                harm=known.harm.log,
                promise=known.promise.log,
                here=known.here.log,
            )
        )
    return found


def event_shares(wanted: Comparison) -> list[float]:
    """Shares of the false aborts that the events have, in their order."""
    others = sum(event.name != ERRORS for event in wanted.events)
    defaults = [ERRORS_TO_OTHERS * max(others, 1) if event.name == ERRORS else 1.0 for event in wanted.events]
    weights = [
        default if event.weight is None else event.weight
        for event, default in zip(wanted.events, defaults, strict=True)
    ]
    return [(1 - GUARD_SHARE - LOST_SHARE) * weight / sum(weights) for weight in weights]


def alarms_of(wanted: Comparison, evidence: Evidence) -> Alarms:
    """Alarms that point to harm, in the order in which they are looked for."""
    parts = _event_alarms(wanted, evidence)
    largest = max(parts)
    events = largest + math.log(sum(math.exp(part - largest) for part in parts))
    return Alarms(events, evidence.guard.log + math.log(GUARD_SHARE), evidence.lost.log + math.log(LOST_SHARE))


def _event_alarms(wanted: Comparison, evidence: Evidence) -> list[float]:
    shares = event_shares(wanted)
    return [
        known.harm.log + math.log(share) if share > 0 else -math.inf
        for known, share in zip(evidence.events, shares, strict=True)
    ]


def _ruled(wanted: Comparison, evidence: Evidence, point: DecisionPoint, alarms: Alarms) -> tuple[Ruling, str, str]:
    if found := _harm(wanted, evidence, point, alarms):
        return Ruling.ABORT, *found
    if wanted.alone:
        return _watched(wanted, evidence, point, alarms)
    missing = _missing(wanted, evidence, point, alarms)
    if missing is None:
        return Ruling.CLEAR, *proven_sentence(wanted, evidence, point)
    if point.now - point.first_traffic >= wanted.max_wait:
        return Ruling.UNDECIDED, *given_up(wanted, evidence, point)
    if _silent(evidence, point):
        return Ruling.UNDECIDED, "data", no_data(wanted, evidence, point)
    return Ruling.WAIT, *missing


def _watched(wanted: Comparison, evidence: Evidence, point: DecisionPoint, alarms: Alarms) -> tuple[Ruling, str, str]:
    """Ruling on a version that has all of the traffic and shows no harm: clear after `minBake` without signs of it."""
    if _silent(evidence, point):
        return Ruling.UNDECIDED, "data", no_data(wanted, evidence, point)
    if evidence.here_seconds <= 0:
        return Ruling.WAIT, "data", "Not yet: no bucket of warm pods at full traffic has been read."
    left = wanted.min_bake - (point.now - point.first_traffic)
    if max(alarms) < ALARM:
        if left > 0:
            return (
                Ruling.WAIT,
                "minBake",
                f"No harm so far; the verdict comes no sooner than minBake: {left:.0f} s more.",
            )
        return Ruling.CLEAR, ERRORS, watched_sentence(wanted, evidence)
    is_over = point.now - point.first_traffic >= wanted.max_wait
    return Ruling.UNDECIDED if is_over else Ruling.WAIT, *suspicion(alarms)


def _harm(wanted: Comparison, evidence: Evidence, point: DecisionPoint, alarms: Alarms) -> tuple[str, str] | None:
    limit = math.log(1 / wanted.false_abort)
    if alarms.events >= limit:
        parts = _event_alarms(wanted, evidence)
        at = parts.index(max(parts))
        return wanted.events[at].name, harm_sentence(wanted, evidence, point, at)
    if alarms.guard >= limit:
        return ERRORS, guard_sentence(wanted, evidence)
    if alarms.lost >= limit and point.weight is not None:
        return "lost", lost_sentence(evidence, point.weight)
    return None


def _missing(wanted: Comparison, evidence: Evidence, point: DecisionPoint, alarms: Alarms) -> tuple[str, str] | None:
    """Reason that keeps the version from going on, None when there is none."""
    weight = point.weight
    if weight is None or weight.share <= 0:
        return "data", "Not yet: the canary has no traffic of a known weight."
    if evidence.here_since != weight.since or evidence.here_seconds <= 0:
        return "data", f"Not yet: no bucket of warm pods at {100 * weight.share:.3g} % has been read."
    if wanted.on_unfair is OnUnfair.HOLD and not is_fair(evidence):
        return "share", unlike(evidence, weight)
    target = math.log(1 / wanted.false_promotion)
    logs = _proofs(evidence, last=weight.last)
    if min(logs) < target:
        return not_yet(wanted, evidence, weight, logs.index(min(logs)))
    if max(alarms) >= ALARM:
        return suspicion(alarms)
    if weight.last and point.now - point.first_traffic < wanted.min_bake:
        seconds = wanted.min_bake - (point.now - point.first_traffic)
        return "minBake", f"Proven, but full traffic comes no sooner than minBake: {seconds:.0f} s more."
    return None


def _proofs(evidence: Evidence, *, last: bool) -> Sequence[float]:
    """For each event ln E of what has to be proven at this weight."""
    if not last:
        return [known.here.log for known in evidence.events]
    return [min(known.here.log, known.promise.log) for known in evidence.events]


def _silent(evidence: Evidence, point: DecisionPoint) -> bool:
    """True when there was traffic for long, and no bucket that counts."""
    if point.weight is None or point.weight.share <= 0:
        return False
    newest = max(point.first_traffic, evidence.usable_until or 0)
    return point.now - newest >= LONGEST_SILENCE + point.settle
