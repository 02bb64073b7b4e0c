"""The bets of each question: on which rates, with which prior weight. They are chosen before a bucket is looked at."""

from __future__ import annotations

import math
from typing import Final

from tidegate.analysis.compare.bets import Bet, Edge, mixture
from tidegate.analysis.compare.evidence import EventEvidence
from tidegate.analysis.compare.models import BadEvent, Margin, Weight

BASES: Final = (0.80, 0.18, 0.01, 0.01)
"""Prior of stable's rate being the slow one, the fast one, three and ten times the slow one."""
LEAST_RATE: Final = 1e-7
LARGEST_BASE: Final = 0.6
LARGEST_BET: Final = 0.98

HARM_EFFECTS: Final = (1.35, 2.0, 4.0, 12.0, 60.0)
"""Canary's rate as a multiple of what is tolerated."""
HARM: Final = mixture(BASES, [0.2] * len(HARM_EFFECTS), cash=0.10, cap=30)
"""The cap makes two buckets agree before a rollout ends."""
PROOF_EFFECTS: Final = (0.7, 1.0)
"""Canary's rate as a multiple of stable's."""
PROOF: Final = mixture(BASES, (0.2, 0.8), cash=0.02)

GUARD_RATES: Final = (0.15, 0.40, 0.90)
GUARD_GAP: Final = 0.02
"""How far beyond the guard's margin its bets begin."""
GUARD: Final = mixture((1.0,), [1 / 3] * 3, cash=0.10, cap=30)

LOST_SHARES: Final = (1 / 10, 1 / 3)
"""Share of the traffic that a canary is seen to answer, as a part of its weight."""
LOST: Final = mixture((1.0,), [0.5] * 2, cash=0.10, cap=5)
"""A point that is lost looks like lost requests, hence the low cap: about eight in a row must agree."""

POD_QUANTILE: Final = 2.33
"""Two means of pods of one kind differ by more than this many standard deviations in 1 of 100 cases."""


def clamped(rate: float) -> float:
    """Keep a rate of stable within what is bet on."""
    return min(LARGEST_BASE, max(LEAST_RATE, rate))


def bases(event: EventEvidence) -> tuple[float, ...]:
    """Rates of stable that are bet on, in the order of `BASES`."""
    slow = event.slow[0] / event.slow[1]
    return clamped(slow), clamped(event.fast[0] / event.fast[1]), clamped(3 * slow), clamped(10 * slow)


def tolerated(margin: Margin, spread: float, weight: Weight | None) -> Margin:
    """Half of the margin, and no less than what pods of one version differ by. More than that is harm."""
    times = 1 + (margin.times - 1) / 2
    if spread > 0 and weight is not None and weight.canary_pods > 0 and weight.stable_pods > 0:
        pods = 1 / weight.canary_pods + 1 / weight.stable_pods
        times = max(times, math.exp(POD_QUANTILE * spread * math.sqrt(pods)))
    return Margin.model_construct(times=times, plus=margin.plus / 2)


def margin_here(event: BadEvent, weight: Weight) -> Margin:
    """Margin to prove at a weight by itself, never stricter than that of the event."""
    if not event.early:
        return event.margin
    at = len(event.early) - 1 if weight.last else min(weight.index, len(event.early) - 1)
    early = event.early[at]
    times, plus = max(early.times, event.margin.times), max(early.plus, event.margin.plus)
    return Margin.model_construct(times=times, plus=plus)


def edge_of(margin: Margin, *, above: bool) -> Edge:
    """Edge of the hypothesis of the rates on one side of a margin."""
    return Edge(margin.times, margin.plus, above)


def harm_bets(rates: tuple[float, ...], margin: Margin) -> list[Bet]:
    """Bets that the canary is worse than tolerated, for each of stable's `rates`."""
    found = []
    for base in rates:
        beyond = margin.times * base + margin.plus
        found += [(min(LARGEST_BET, beyond * effect), base) for effect in HARM_EFFECTS]
    return found


def proof_bets(rates: tuple[float, ...]) -> list[Bet]:
    """Bets that the canary is as good as stable or better, for each of stable's `rates`."""
    return [(base * effect, base) for base in rates for effect in PROOF_EFFECTS]


def guard_bets(base: float, margin: Margin) -> list[Bet]:
    """Bets that the canary fails outright."""
    least = margin.times * base + margin.plus + GUARD_GAP
    return [(min(LARGEST_BET, max(rate, least)), base) for rate in GUARD_RATES]
