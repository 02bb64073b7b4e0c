"""A simulated service that releases a version: its requests, which of them are bad, and when that is seen.

Assumed sizes, always on: load that breathes by 5 % and drifts over a day, error rates that drift by 15 % and latency by
3 %, pods that differ by 5 % and 2 %, a minute of cold pods after each change of weight, metrics that show a part after
10 to 25 s and the whole after 30 to 60 s, and 2 % of the points lost. Latency is log-normal, so one shift moves
each of the three thresholds by its own amount.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final

from benchmarks.judge.chance import binomial, poisson, wave

BUCKET: Final = 10
HOUR: Final = 360
"""Buckets of the hour before, and of the longest rollout."""
SHARES: Final = (0.10, 0.25, 0.50)
NEW_PODS: Final = (1.0, 0.6, 0.5)
"""Part of the canary's pods that are new at each weight."""
PODS: Final = 8
SIGMA: Final = 0.5
NORMAL: Final = NormalDist()
_TAILS: Final = (NORMAL.inv_cdf(0.90), NORMAL.inv_cdf(0.99))
THRESHOLDS: Final = (*_TAILS, _TAILS[1] + math.log(4) / SIGMA)
"""Standard deviations of slow90, slow99 and stuck above the median."""


@dataclass(frozen=True)
class Version:
    """How a release differs from stable: errors x `errors` + `plus`, latency x `slower`, a part that is `stuck`.

    `begins` is when the defect does, in seconds. `lost` is the part of its requests that are never answered.
    """

    name: str
    errors: float = 1.0
    plus: float = 0.0
    slower: float = 1.0
    stuck: float = 0.0
    begins: int = 0
    lost: float = 0.0


@dataclass(frozen=True)
class Metrics:
    """How the source shows counts: seconds until errors follow, part of the points that never come."""

    errors_late: int = 0
    missing: float = 0.02


@dataclass(frozen=True)
class Service:
    """A service: load in requests a second, error rate of stable, how pods differ, how long they are cold.

    `incident` puts 2 % errors and doubled latency on both versions for some minutes.
    """

    load: float
    errors: float
    pods_errors: float = 0.05
    pods_latency: float = 0.02
    cold: int = 60
    incident: bool = False
    metrics: Metrics = field(default_factory=Metrics)


@dataclass(frozen=True)
class Rates:
    """Rates of errors, slow90, slow99 and stuck."""

    errors: float
    slow: tuple[float, float, float]

    def __iter__(self) -> Iterator[float]:
        return iter((self.errors, *self.slow))


def rates_of(errors: float, shift: float, stuck: float = 0.0) -> Rates:
    """Rates with latency shifted by so many natural logarithms."""
    slow = [stuck + (1 - stuck) * NORMAL.cdf(shift / SIGMA - threshold) for threshold in THRESHOLDS]
    return Rates(min(1.0, max(0.0, errors)), (slow[0], slow[1], slow[2]))


def counts(draw: random.Random, requests: int, rates: Rates) -> tuple[int, ...]:
    """Draw bad requests of each kind. Whatever is stuck is slow, and the slowest tenth holds the slowest hundredth."""
    slow90 = binomial(draw, requests, rates.slow[0])
    slow99 = binomial(draw, slow90, rates.slow[1] / rates.slow[0])
    stuck = binomial(draw, slow99, rates.slow[2] / rates.slow[1])
    return binomial(draw, requests, rates.errors), slow90, slow99, stuck


class Fleet:
    """One rollout's world. The same seed gives the same waves, pods and gaps, whatever the judge does."""

    def __init__(self, service: Service, version: Version, seed: str) -> None:
        self.service, self.version = service, version
        draw = random.Random(seed)
        size = 2 * HOUR
        phase = draw.uniform(0, 2 * math.pi)
        breath = wave(draw, size, 0.05, 6)
        day = [0.3 * math.sin(2 * math.pi * at * BUCKET / 86_400 + phase) for at in range(size)]
        self._load = [service.load * (1 + slow) * math.exp(fast) for slow, fast in zip(day, breath, strict=True)]
        self._errors, self._latency = wave(draw, size, 0.15, 30), wave(draw, size, 0.03, 30)
        self.pods = [(draw.gauss(0, service.pods_errors), draw.gauss(0, service.pods_latency)) for _ in range(PODS + 4)]
        begins = HOUR + draw.randrange(12, 60)
        self._incident = range(begins, begins + draw.randrange(12, 30)) if service.incident else range(0)
        self.seed = seed

    def load(self, at: int) -> float:
        """Requests in a bucket, counted from the first traffic."""
        return self._load[at + HOUR] * BUCKET

    def rates(self, at: int, pods: list[tuple[float, float]], version: Version | None, cold: float = 0.0) -> Rates:
        """Rates in a bucket of some pods; `cold` 1 are pods in their first half minute, less later."""
        incident = at + HOUR in self._incident
        errors = self.service.errors * math.exp(self._errors[at + HOUR])
        errors *= sum(math.exp(one) for one, _ in pods) / len(pods)
        shift = self._latency[at + HOUR] + sum(one for _, one in pods) / len(pods) + math.log(2) * incident
        stuck = 0.0
        if version is not None and at * BUCKET >= version.begins:
            errors, shift, stuck = (
                errors * version.errors + version.plus,
                shift + math.log(version.slower),
                version.stuck,
            )
        shift += math.log(2) * cold
        return rates_of(errors + 0.02 * incident + 0.01 * cold, shift, stuck)

    def canary_pods(self, index: int) -> list[tuple[float, float]]:
        """Pods of the canary at a weight."""
        return self.pods[PODS : PODS + max(1, round(SHARES[index] * PODS))]

    def harm(self, at: int, index: int) -> float:
        """Part of the canary's requests that are bad because of the version: errors, slower than p99, or lost."""
        mine = self.rates(at, self.canary_pods(index), self.version)
        stable = self.rates(at, self.pods[:PODS], None)
        worse = max(0.0, mine.errors - stable.errors) + max(0.0, mine.slow[1] - stable.slow[1])
        return (1 - self.version.lost) * worse + self.version.lost

    def hour(self) -> list[list[tuple[int, tuple[int, ...]]]]:
        """For each of stable's pods requests and bad ones in each bucket of the hour before."""
        draw = random.Random(f"{self.seed} hour")
        found: list[list[tuple[int, tuple[int, ...]]]] = []
        for pod in self.pods[:PODS]:
            found.append([])
            for at in range(-HOUR, 0):
                requests = poisson(draw, self.load(at) / PODS)
                found[-1].append((requests, counts(draw, requests, self.rates(at, [pod], None))))
        return found

    def bucket(self, at: int, index: int, since: int) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Requests and bad ones of canary and stable in a bucket, at a weight that began in bucket `since`."""
        draw = random.Random(f"{self.seed} {at} {index} {since}")
        load, share = self.load(at), SHARES[index]
        canary = poisson(draw, load * share * (1 - self.version.lost))
        stable = poisson(draw, load * (1 - share))
        return (
            (canary, counts(draw, canary, self._mixed(at, index, since))),
            (stable, counts(draw, stable, self.rates(at, self.pods[:PODS], None))),
        )

    def _mixed(self, at: int, index: int, since: int) -> Rates:
        """Rates of a canary of which a part is cold."""
        age, pods = (at - since) * BUCKET, self.canary_pods(index)
        warm = self.rates(at, pods, self.version)
        if age >= self.service.cold:
            return warm
        cold = self.rates(at, pods, self.version, 1.0 if age < self.service.cold / 2 else 0.4)
        part = NEW_PODS[index]
        mixed = [part * one + (1 - part) * other for one, other in zip(cold, warm, strict=True)]
        return Rates(mixed[0], (mixed[1], mixed[2], mixed[3]))
