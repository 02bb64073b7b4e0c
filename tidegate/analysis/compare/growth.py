"""How fast a proof grows for a version that is as good as stable, and how long it takes through the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from tidegate.analysis.compare.bets import Sample, nearest
from tidegate.analysis.compare.mixtures import edge_of, margin_here
from tidegate.analysis.compare.models import BadEvent, Comparison, Margin, Weight

READING_SECONDS: Final = 10
LONGEST: Final = 86_400.0
"""Seconds after which a forecast is none."""


class Rate(NamedTuple):
    """Stable's rate of one event and its dispersion."""

    rate: float
    phi: float


def growth(load: float, share: float, rate: Rate, margin: Margin) -> float:
    """Nats a second by which ln E of a margin grows while both versions have the rate, at `load` requests a second."""
    bet = rate.rate, rate.rate
    sample = Sample(load * share, 0.0, load * (1 - share), 0.0)
    edge = edge_of(margin, above=True)
    if min(load, share, 1 - share) <= 0 or rate.rate >= edge.times * rate.rate + edge.plus:
        return 0.0
    canary, stable = nearest(sample, edge, bet)
    gain = sample.canary * _divergence(rate.rate, canary) + sample.stable * _divergence(rate.rate, stable)
    return max(0.0, gain / rate.phi)


def _divergence(of: float, to: float) -> float:
    return of * math.log(of / to) - of + to


class Arrival(NamedTuple):
    """Seconds from the first traffic until everything is proven, infinite where it never is, and the slowest event."""

    seconds: float
    slowest: str


def arrival(wanted: Comparison, load: float, rates: Sequence[Rate], weights: Sequence[Weight]) -> Arrival:
    """Walk the weights in order, each until its own margin is proven, and the last one until the promise is.

    At each weight nothing counts before pods are warm, values are complete and they are read.
    """
    target = math.log(1 / wanted.false_promotion)
    proven = [0.0] * len(wanted.events)
    spent, slowest = 0.0, ""
    for weight in weights:
        needs = [
            _needed(event, rate, load, weight, target, known)
            for event, rate, known in zip(wanted.events, rates, proven, strict=True)
        ]
        longest = max(needs, default=0.0)
        if longest >= LONGEST:
            return Arrival(math.inf, wanted.events[needs.index(longest)].name)
        if weight.last or not slowest:
            slowest = wanted.events[needs.index(longest)].name if needs else ""
        at_work = math.ceil(longest / wanted.bucket - 1e-9) * wanted.bucket
        spent += wanted.warm_up + wanted.settle + READING_SECONDS + at_work
        proven = [
            known + at_work * growth(load, weight.share, rate, event.margin)
            for event, rate, known in zip(wanted.events, rates, proven, strict=True)
        ]
    return Arrival(max(spent, wanted.min_bake), slowest)


def _needed(event: BadEvent, rate: Rate, load: float, weight: Weight, target: float, known: float) -> float:
    """Seconds that one event needs at a weight."""
    here = _seconds(target, growth(load, weight.share, rate, margin_here(event, weight)))
    if not weight.last:
        return here
    return max(here, _seconds(target - known, growth(load, weight.share, rate, event.margin)))


def _seconds(nats: float, speed: float) -> float:
    if nats <= 0:
        return 0.0
    return nats / speed if speed > 0 else LONGEST
