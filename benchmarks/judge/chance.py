"""Random counts and waves, with the standard library."""

from __future__ import annotations

import math
import random

MANY = 40.0
"""Expected number above which the normal distribution is good enough."""


def poisson(draw: random.Random, mean: float) -> int:
    """Number of arrivals of an expected number."""
    if mean > MANY:
        return max(0, round(draw.gauss(mean, math.sqrt(mean))))
    number, left = 0, mean - draw.expovariate(1.0) if mean > 0 else -1.0
    while left > 0:
        number += 1
        left -= draw.expovariate(1.0)
    return number


def binomial(draw: random.Random, requests: int, rate: float) -> int:
    """Number of bad requests among independent ones."""
    if requests <= 0 or rate <= 0:
        return 0
    if rate >= 1:
        return requests
    if rate > 0.5:
        return requests - binomial(draw, requests, 1 - rate)
    if requests * rate > MANY:
        found = round(draw.gauss(requests * rate, math.sqrt(requests * rate * (1 - rate))))
        return min(requests, max(0, found))
    found, at, beyond = 0, 0, math.log1p(-rate)  # by the distances from one bad request to the next
    while (at := at + 1 + int(math.log(1 - draw.random()) / beyond)) <= requests:
        found += 1
    return found


def wave(draw: random.Random, number: int, deviation: float, memory: float) -> list[float]:
    """Stationary values around 0 that forget themselves over `memory` steps."""
    keep = math.exp(-1 / memory)
    value = draw.gauss(0, deviation)
    found = []
    for _ in range(number):
        found.append(value)
        value = keep * value + draw.gauss(0, deviation * math.sqrt(1 - keep * keep))
    return found
