"""Twenty rollouts over 10, 25 and 50 %, counted by the embedded Datadog over HTTP: whom the comparison lets through."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from sandbox.datadog.traffic import CELL, Traffic, VersionTraffic
from sandbox.telemetry import Window
from tests.activities.comparing import START, Lived, serving
from tidegate.analysis.compare.models import Ruling, Weight

SHARES = (0.10, 0.25, 0.50)
PODS = 4
RATE = 50.0
SEEDS = 4
STABLE = VersionTraffic("1.0.0", rate=RATE, pods=PODS)
GOOD = VersionTraffic("2.0.0", rate=RATE)
VERSIONS = {
    "good": GOOD,
    "errors x3": replace(GOOD, errors=0.015),
    "500s on 5 %": replace(GOOD, errors=0.05),
    "30 % slower": replace(GOOD, median=0.13),
    "loses 98 %": replace(GOOD, lost=0.98),
}


@dataclass
class Routed:
    """Requests of both versions, by the weights so far: each weight is an entry of its own in the traffic."""

    canary: VersionTraffic
    seed: int
    weights: list[Weight] = field(default_factory=list)

    def window(self, service: str, pod_hash: str | None, start: float, end: float) -> Window:
        return self._traffic().window(service, pod_hash, start, end)

    def hashes(self, service: str) -> list[str]:
        return self._traffic().hashes(service)

    def labels(self, pod_hash: str) -> Mapping[str, str]:
        return self._traffic().labels(pod_hash)

    def advance(self, now: float) -> None:
        """Bring the next weight into force at the next whole cell."""
        at = len(self.weights)
        pods, since = math.ceil(SHARES[at] * PODS), math.ceil(now / CELL) * CELL
        weight = Weight(since=since, share=SHARES[at], canary_pods=pods, stable_pods=PODS, index=at, last=at == 2)
        self.weights.append(weight)

    def _traffic(self) -> Traffic:
        ends = [*(weight.since for weight in self.weights), math.inf]
        spells = [replace(STABLE, until=ends[0])]
        for weight, until in zip(self.weights, ends[1:], strict=True):
            part = {"since": weight.since, "until": until}
            spells.append(replace(STABLE, rate=RATE * (1 - weight.share), **part))
            spells.append(replace(self.canary, rate=RATE * weight.share, pods=weight.canary_pods, **part))
        return Traffic("checkout", spells, seed=self.seed)


async def rolled_out(version: VersionTraffic, seed: int) -> str:
    """End of one rollout: promoted, aborted or held."""
    routed = Routed(version, seed)
    async with serving(routed) as (_, lived):
        routed.advance(START)
        lived.weights = routed.weights
        await lived.begin()
        while (ruling := (await next_ruling(lived))) is Ruling.CLEAR and len(routed.weights) < len(SHARES):
            routed.advance(lived.clock.now)
    return {Ruling.CLEAR: "promoted", Ruling.ABORT: "aborted"}.get(ruling, "held")


async def next_ruling(lived: Lived) -> Ruling:
    judged = await lived.until_decided()
    await lived.clock.sleep(CELL)
    return judged.ruling


async def ends(name: str, seeds: Sequence[int]) -> Counter[str]:
    return Counter([await rolled_out(VERSIONS[name], seed) for seed in seeds])


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", VERSIONS)
async def test_good_versions_get_through_and_no_other(name: str) -> None:
    found = await ends(name, range(SEEDS))
    assert found == Counter({"promoted" if name == "good" else "aborted": SEEDS})
