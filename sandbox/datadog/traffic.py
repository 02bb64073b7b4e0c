"""Made-up traffic of several versions for the embedded Datadog: known rates, nothing random between two runs.

Each pod draws its requests from a generator of its own for each 10 s, so that a window is the same whenever and in
whatever order it is asked for.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from sandbox.telemetry import Window, merged

CELL: Final = 10
"""Seconds of traffic that are drawn together; windows begin and end at multiples of that."""
WIDTH: Final = 1.05
"""Factor from one bucket of latencies to the next."""


@dataclass(frozen=True)
class VersionTraffic:
    """Requests of one version from `since` up to `until` (unix seconds), spread over its pods.

    `rate` is what it is sent, a second; of these `lost` (a fraction) are never answered and so counted by nobody, and
    `errors` (a fraction) of the others fail. Latencies are log-normal: `median` in seconds, `sigma` of the logarithm.
    """

    version: str
    rate: float
    errors: float = 0.005
    median: float = 0.1
    sigma: float = 0.5
    lost: float = 0.0
    pods: int = 1
    since: float = 0.0
    until: float = math.inf


@dataclass
class Traffic:
    """Telemetry of one service, to be asked by `DatadogApi`; a pod is named `<number of its entry>-<number>`."""

    service: str
    versions: Sequence[VersionTraffic]
    seed: int = 1
    _names: Mapping[str, VersionTraffic] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._names = {
            f"{index}-{pod}": version for index, version in enumerate(self.versions) for pod in range(version.pods)
        }

    def hashes(self, service: str) -> list[str]:
        """The pods of a service."""
        return list(self._names) if service == self.service else []

    def labels(self, pod_hash: str) -> Mapping[str, str]:
        """Version and host of a pod."""
        return {"version": self._names[pod_hash].version, "host": f"node-{pod_hash}"}

    def window(self, service: str, pod_hash: str | None, start: float, end: float) -> Window:
        """Requests that were answered between two unix times on the grid of cells, of all pods for None."""
        pods = self.hashes(service) if pod_hash is None else [pod_hash] * (service == self.service)
        cells = range(round(start) // CELL, math.ceil(end / CELL))
        return merged(
            _drawn(self._names[pod], f"{self.seed} {pod} {cell}")
            for pod in pods
            for cell in cells
            if self._names[pod].since <= cell * CELL < self._names[pod].until
        )


@cache
def _drawn(version: VersionTraffic, seed: str) -> Window:
    """Requests of one pod in one cell."""
    rng = random.Random(seed)
    sent = _poisson(rng, version.rate / version.pods * CELL * (1 - version.lost))
    errors = sum(rng.random() < version.errors for _ in range(sent))
    buckets: Counter[int] = Counter()
    for _ in range(sent):
        milliseconds = 1000 * version.median * math.exp(rng.gauss(0.0, version.sigma))
        buckets[math.floor(math.log(milliseconds, WIDTH))] += 1
    rows = [(WIDTH**index, WIDTH**index * (WIDTH - 1), count) for index, count in sorted(buckets.items())]
    return Window(sent, errors, tuple(rows))


def _poisson(rng: random.Random, mean: float) -> int:
    """A Poisson number: the exact sum of its exponential waits for small means, normal for large ones."""
    if mean > 500:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    count, left = -1, mean
    while left >= 0:
        left -= rng.expovariate(1.0)
        count += 1
    return count
