"""Bets on the rates of two versions, and the wealth that they come to. Floats only; this is where the time goes.

A bet names rates (a, b) of canary and stable that a hypothesis excludes. It pays the likelihood ratio of these rates
against the nearest pair that the hypothesis allows. Nearest is meant in Poisson divergence, so under the hypothesis no
bet gains on average, whether counts are Poisson or sums of independent requests. Wealth that starts at 1 then exceeds
1/alpha with probability alpha at most, however often one looks (Ville's inequality; Ramdas et al., "Game-theoretic
statistics and safe anytime-valid inference", Statistical Science 38, 2023).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from tidegate.analysis.compare.evidence import Wealth

REMEMBERED: Final = 0.99
"""Part of a bet's weight that its own success decides. The rest goes back to the prior, so that no bet is ever lost."""


class Sample(NamedTuple):
    """Counts of one bucket: requests and bad ones of the canary, then of stable. Requests are above 0."""

    canary: float
    canary_bad: float
    stable: float
    stable_bad: float


class Edge(NamedTuple):
    """Edge `canary = times x stable + plus` of a hypothesis; `above` says that it allows the rates above the edge."""

    times: float
    plus: float
    above: bool


Bet = tuple[float, float]
"""Rates of canary and stable that are bet on."""


class Mixture(NamedTuple):
    """Prior weights of the bets and, last, of the cash; they add up to 1. `cap` is ln of what one bucket may pay."""

    prior: tuple[float, ...]
    cap: float


def mixture(bases: Sequence[float], effects: Sequence[float], cash: float, cap: float = math.inf) -> Mixture:
    """Prior of all pairs of a base and an effect, in this order, beside the cash. `cap` is a factor."""
    bets = [base * effect * (1 - cash) for base in bases for effect in effects]
    return Mixture((*bets, cash), math.log(cap))


def nearest(sample: Sample, edge: Edge, bet: Bet) -> Bet:
    """Pair on the edge with the least divergence n_c d(a*, a) + n_s d(b*, b) from the bet, d(x, y) = x ln(x/y) - x + y.

    Along the edge the derivative is a quadratic in b. The form of its root without cancellation is taken.
    """
    canary, _, stable, _ = sample
    times, plus, _ = edge
    square = times * (canary * times + stable)
    linear = canary * times * (plus - bet[0]) + stable * (plus - times * bet[1])
    constant = -stable * bet[1] * plus
    root = math.sqrt(linear * linear - 4 * square * constant)
    found = -2 * constant / (linear + root) if linear > 0 else (root - linear) / (2 * square)
    return times * found + plus, found


def log_factors(sample: Sample, edge: Edge, bets: Iterable[Bet], phi: float) -> list[float]:
    """Return ln of what each bet pays. `phi` >= 1 is the dispersion. A bet that the hypothesis allows pays 1."""
    canary, canary_bad, stable, stable_bad = sample
    times, plus, above = edge
    log = math.log
    found = []
    for bet in bets:
        a, b = bet
        beyond = a - times * b - plus
        if (beyond >= 0) if above else (beyond <= 0):
            found.append(0.0)
            continue
        a0, b0 = nearest(sample, edge, bet)
        gain = canary * (a0 - a) + stable * (b0 - b)
        if canary_bad:
            gain += canary_bad * log(a / a0)
        if stable_bad:
            gain += stable_bad * log(b / b0)
        found.append(gain / phi)
    return found


def initial_wealth(bets: Mixture) -> Wealth:
    """Wealth 1, laid out by the prior."""
    return Wealth.model_construct(log=0.0, weights=bets.prior)


def grow(wealth: Wealth, logs: Sequence[float], bets: Mixture) -> Wealth:
    """Wealth after each bet paid exp of its entry in `logs`, at most the cap. Logarithms keep it from overflowing."""
    cap = bets.cap
    largest = min(cap, max(0.0, *logs))
    weights, exp = wealth.weights, math.exp
    paid = [weight * exp(min(log, cap) - largest) for weight, log in zip(weights, (*logs, 0.0), strict=True)]
    total = sum(paid)
    share = REMEMBERED / total
    return Wealth.model_construct(
        log=wealth.log + largest + math.log(total),
        weights=tuple([share * part + (1 - REMEMBERED) * prior for part, prior in zip(paid, bets.prior, strict=True)]),
    )
