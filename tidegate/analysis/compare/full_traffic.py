"""Errors of a version that has all of the traffic, held against those of stable in the hour before.

Stable has no requests any more, and hours differ. So nothing is proven here, and what is tolerated is wide. Stable's
rate is taken to be the largest of which its hour is likely (`largest_rate`). A bet names a rate beyond what is
tolerated, and pays the likelihood ratio of one Poisson count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from tidegate.analysis.compare.bets import grow, initial_wealth, mixture
from tidegate.analysis.compare.evidence import EventEvidence, Evidence
from tidegate.analysis.compare.mixtures import GUARD, HARM_EFFECTS, LARGEST_BET, LOST, guard_bets
from tidegate.analysis.compare.models import Comparison, CountRow, Margin, Weight

TOLERATED: Final = Margin(times=2, plus=0.01)
"""Errors of a version at 100 % beside those of the hour before; more than that is harm."""
WATCH: Final = mixture((1.0,), [1 / len(HARM_EFFECTS)] * len(HARM_EFFECTS), cash=0.10, cap=30)
HOUR_SHARE: Final = 0.05
"""Share of the false aborts that stable's rate may be larger by: that of lost requests, which cannot be seen here."""


def begin_alone(known: EventEvidence, bad: float, requests: float) -> Evidence:
    """Evidence before the first bucket, with stable's counts of the hour in the place of those of the same seconds."""
    counts = (0.0, 0.0, requests, bad)
    event = known.model_copy(update={"harm": initial_wealth(WATCH), "counts": counts})
    return Evidence(events=(event,), guard=initial_wealth(GUARD), lost=initial_wealth(LOST), guard_counts=counts)


def largest_rate(bad: float, requests: float, phi: float, chance: float) -> float:
    """Rate of which so few bad requests, or fewer, come with a probability of `chance` at most.

    By Chernoff a Poisson or binomial count of mean m is k or less with probability exp(-(m - k)^2 / 2m) at most, for
    k <= m. `phi` >= 1 is the dispersion.
    """
    nats = phi * math.log(1 / chance)
    return min(1.0, (bad + nats + math.sqrt(nats * nats + 2 * bad * nats)) / requests)


def fold_alone(wanted: Comparison, evidence: Evidence, row: CountRow, weight: Weight | None) -> Evidence:
    """Evidence after one more bucket; one of cold pods, or without requests, changes no bet."""
    requests, bad = _counted(row)
    if not requests or bad > requests:
        return evidence
    changed: dict[str, object] = {"usable_until": row.start + wanted.bucket}
    if weight is not None and row.start - weight.since >= wanted.warm_up:
        [known] = evidence.events
        base = _base(wanted, known)
        least = TOLERATED.times * base + TOLERATED.plus
        logs = _logs(known, requests, bad, least, (min(LARGEST_BET, least * effect) for effect in HARM_EFFECTS))
        harm, counts = grow(known.harm, logs, WATCH), _added(known.counts, requests, bad)
        changed |= {
            "events": (known.model_copy(update={"harm": harm, "counts": counts}),),
            "here_since": weight.since,
            "here_seconds": evidence.here_seconds + wanted.bucket,
            "seconds": evidence.seconds + wanted.bucket,
        }
    return evidence.model_copy(update=changed)


def glance_alone(wanted: Comparison, evidence: Evidence, row: CountRow) -> Evidence:
    """Evidence after the guard saw a bucket, cold or half arrived as it may be."""
    requests, bad = _counted(row)
    if wanted.guard is None or not requests:
        return evidence
    [known] = evidence.events
    base, bad = _base(wanted, known), min(bad, requests)
    least = wanted.guard.times * base + wanted.guard.plus
    logs = _logs(known, requests, bad, least, (rate for rate, _ in guard_bets(base, wanted.guard)))
    changed = {"guard": grow(evidence.guard, logs, GUARD), "guard_counts": _added(evidence.guard_counts, requests, bad)}
    return evidence.model_copy(update=changed)


def _counted(row: CountRow) -> tuple[float, float]:
    """Requests of the version and the bad ones among them; 0 while they are not known."""
    counts = row.counts[0] if row.counts else None
    return (0.0, 0.0) if counts is None else (counts.canary or 0.0, counts.canary_bad or 0.0)


def _base(wanted: Comparison, known: EventEvidence) -> float:
    _, _, requests, bad = known.counts
    return largest_rate(bad, requests, known.phi, HOUR_SHARE * wanted.false_abort)


def _logs(known: EventEvidence, requests: float, bad: float, least: float, rates: Iterable[float]) -> list[float]:
    """Return ln of what each bet pays; one that is not beyond `least` pays 1."""
    return [
        (bad * math.log(rate / least) - requests * (rate - least)) / known.phi if rate > least else 0.0
        for rate in rates
    ]


def _added(counts: tuple[float, float, float, float], requests: float, bad: float) -> tuple[float, float, float, float]:
    return counts[0] + requests, counts[1] + bad, counts[2], counts[3]
