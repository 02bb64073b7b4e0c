"""Blue-green through real Temporal, Envoy and OpenBao, under load: all of the traffic at once, and back at once."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from benchmarks.blue_green import BASKET, GATE, RATE, rollout_of, service
from sandbox.account import failing_verdict, seconds_to_zero
from sandbox.processes import Program, until
from sandbox.world import World
from tests.world.conftest import Releases, connected
from tidegate.contract import ErrorType, ReleaseRequest, ReleaseResult

pytestmark = [pytest.mark.world, pytest.mark.long, pytest.mark.asyncio(loop_scope="session")]
NAME, NAMESPACE = BASKET.name, BASKET.namespace


class Baskets(Releases):
    """Releases of a service of its own, and the load on it."""

    load: Program
    summary: Path

    async def released(self, tag: str, **strategy: Any) -> ReleaseResult:
        """Release a version, and wait for its end."""
        rollout = rollout_of(tag, strategy)
        await self.world.apply([rollout])
        templates = tuple(template.raw for template in self.manifests.templates)
        request = ReleaseRequest(namespace=NAMESPACE, name=NAME, rollout=rollout, templates=templates, by="a test")
        return await self.ended(await self.client.start(request))

    async def loaded(self) -> dict[str, int]:
        """End the load; how many answers of each status there were, and what never was answered."""
        await self.load.stop()
        found = json.loads(self.summary.read_text())
        return {**found["statuses"], **found["transport_errors"]}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def baskets(world: World) -> AsyncIterator[Baskets]:
    found = Baskets(world, await connected(world), "checkout")
    await world.apply([service(name) for name in (NAME, f"{NAME}-preview")])
    assert (await found.released("1.0.0")).outcome == "Healthy"
    found.summary = world.state / "load-of-baskets.json"
    argv = ("--url", world.envoy.url, "--host", NAME, "--rate", str(RATE), "--summary", str(found.summary))
    found.load = Program(NAME, [sys.executable, "-m", "sandbox.load", *argv], log_file=world.state / "baskets.log")

    async def running() -> bool:
        return True

    await found.load.start(running)
    try:
        yield found
    finally:
        await found.load.stop()


async def test_all_of_the_traffic_is_switched_at_once_and_no_request_fails(baskets: Baskets) -> None:
    async def served() -> bool:
        return len(baskets.world.telemetry.hashes(NAME)) > 0

    await until(served, 30.0, "traffic of the first version")
    result = await baskets.released("1.1.0")
    assert result.outcome == "Healthy", result.message
    assert [row.canary for row in result.status.weights] == [100]
    answers = await baskets.loaded()
    assert set(answers) == {"200"}, answers
    assert answers["200"] > RATE


async def test_a_failure_after_the_switch_is_back_within_a_second_of_the_verdict(baskets: Baskets) -> None:
    async def running() -> bool:
        return True

    await baskets.load.start(running)
    result = await baskets.released("1.2.0-bad", postPromotionAnalysis=GATE)
    assert result.outcome == ErrorType.ROLLOUT_ABORTED
    assert "Blue/green post-promotion analysis" in result.message
    assert [row.canary for row in result.status.weights] == [100, 0]
    verdict = failing_verdict(result.status)
    assert verdict is not None
    assert (result.status.weights[-1].at - verdict).total_seconds() < 1
    await baskets.world.telemetry.flushed()
    to_zero = seconds_to_zero(baskets.world.telemetry, result.status)
    assert to_zero is not None
    assert to_zero < 1.5  # requests that were under way, and a proxy that is read four times a second
