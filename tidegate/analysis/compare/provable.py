"""Provable margins at a service's traffic, and when they are proven: the forecast before a rollout.

A version exactly as good as stable is taken through the Rollout's weights at the average growth of the proof. Half of
such versions arrive sooner.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from tidegate.analysis.compare.dispersion import by_time
from tidegate.analysis.compare.fold import sums
from tidegate.analysis.compare.growth import Arrival, Rate, arrival
from tidegate.analysis.compare.models import Comparison, HourRow, Provability, Weight
from tidegate.analysis.compare.traffic import traffic_event

LARGEST_PLUS: Final = 0.5
AUTO_PLUS: Final = (0.001, 0.02)
"""Least and largest `plus` that is chosen without being asked for."""
STEPS: Final = 40
SHARES: Final = tuple(share / 20 for share in range(1, 11))


def provable(wanted: Comparison, hour: Sequence[HourRow], weights: Sequence[Weight]) -> Provability:
    """Forecast from stable's hour before for the Rollout's weights above 0 and below 100 % (`since` is not read)."""
    load, rates = _load(wanted, hour), _rates(wanted, hour)
    found = arrival(wanted, load, rates, weights)
    within = found.seconds <= wanted.max_wait
    return Provability(
        load=load,
        rates=tuple(rate.rate for rate in rates),
        requests=tuple(sums(hour, at)[1] for at in range(len(wanted.events))),
        seconds=found.seconds if math.isfinite(found.seconds) else None,
        slowest=found.slowest,
        provable=within,
        plus=None if within else _plus(wanted, load, rates, weights, found.slowest, wanted.max_wait / 2),
        max_wait=None if within or not math.isfinite(found.seconds) else found.seconds,
        weight=None if within else _share(wanted, load, rates),
    )


def chosen_plus(wanted: Comparison, hour: Sequence[HourRow], weights: Sequence[Weight], event: str) -> float:
    """Choose `plus` of an event for the owner: the smallest that is provable within half of `maxWait`."""
    least, largest = AUTO_PLUS
    found = _plus(wanted, _load(wanted, hour), _rates(wanted, hour), weights, event, wanted.max_wait / 2)
    return largest if found is None else min(largest, max(least, found))


def _load(wanted: Comparison, hour: Sequence[HourRow]) -> float:
    """Requests a second."""
    if not hour:
        return 0.0
    seconds = max(row.start for row in hour) - min(row.start for row in hour) + wanted.bucket
    return sums(hour, traffic_event(wanted))[1] / seconds


def _rates(wanted: Comparison, hour: Sequence[HourRow]) -> list[Rate]:
    found = []
    for at in range(len(wanted.events)):
        bad, requests = sums(hour, at)
        found.append(Rate((bad + 0.5) / (requests + 1), by_time(hour, at).phi))
    return found


def _with_plus(wanted: Comparison, name: str, plus: float) -> Comparison:
    events = [
        event.model_copy(update={"margin": event.margin.model_copy(update={"plus": plus})})
        if event.name == name
        else event
        for event in wanted.events
    ]
    return wanted.model_copy(update={"events": tuple(events)})


def _plus(
    wanted: Comparison, load: float, rates: Sequence[Rate], weights: Sequence[Weight], event: str, within: float
) -> float | None:
    """Smallest `plus` of one event that is provable within so many seconds, None where that does not help."""

    def seconds(plus: float) -> Arrival:
        return arrival(_with_plus(wanted, event, plus), load, rates, weights)

    return _least(lambda plus: seconds(plus).seconds <= within)


def _least(holds: Callable[[float], bool]) -> float | None:
    """Smallest number in [0, LARGEST_PLUS] from which on a condition holds, by bisection, rounded up."""
    if not holds(LARGEST_PLUS):
        return None
    low, high = 0.0, LARGEST_PLUS
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return math.ceil(high * 1e5 - 1e-6) / 1e5


def _share(wanted: Comparison, load: float, rates: Sequence[Rate]) -> float | None:
    """Smallest share at which everything is provable as the only weight."""
    for share in SHARES:
        weight = Weight(since=0, share=share, last=True)
        if arrival(wanted, load, rates, [weight]).seconds <= wanted.max_wait:
            return share
    return None
