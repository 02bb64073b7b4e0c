"""Releases of a service that always has errors, through real Temporal, Envoy and OpenBao: its gates compare."""

from __future__ import annotations

import time

import pytest
import pytest_asyncio

from sandbox.machine import slowness
from sandbox.processes import until
from sandbox.world import World
from tests.world.conftest import Releases, connected
from tidegate.analysis.status import Phase
from tidegate.contract import ErrorType, ReleaseResult, ReleaseStatus

pytestmark = [pytest.mark.world, pytest.mark.long, pytest.mark.asyncio(loop_scope="session")]
RATE = 400.0  # of which a slow machine sends, and answers, less
KNOWN_SECONDS = 30.0  # of traffic, until a stable version can be compared with
MOST_EVENTS = 300


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def carts(world: World) -> Releases:
    found = Releases(world, await connected(world), "cart")
    await found.prepare(RATE / slowness())
    return found


async def test_a_good_version_is_proven_and_promoted(carts: Releases) -> None:
    result = await _released(carts, "1.1.0")
    assert result.outcome == "Healthy", result.message
    assert [row.canary for row in result.status.weights] == [40, 60, 100]
    first, last = _sentences(result.status)
    assert first.startswith("Proven, "), first
    assert last.startswith("Proven, "), last
    assert "canary requests against" in last


async def test_a_version_with_twice_the_errors_is_aborted_by_the_comparison_alone(carts: Releases) -> None:
    result = await _released(carts, "1.2.0-worse")
    assert result.outcome == ErrorType.ROLLOUT_ABORTED
    assert "Harm, errors: " in result.message, result.message
    limits = next(each for each in result.status.analyses if each.kind == "Background")
    assert Phase.FAILED not in {metric.phase for metric in limits.status.metrics}
    assert result.status.actual_weight == 0
    await _in_the_incident(carts, result.status, "Harm, errors: ")


async def test_a_version_that_answers_nothing_is_aborted_for_lost_requests(carts: Releases) -> None:
    result = await _released(carts, "1.3.0-silent")
    assert result.outcome == ErrorType.ROLLOUT_ABORTED
    assert "Lost: the canary is sent 40 % of the requests and is seen to answer " in result.message, result.message
    assert result.status.actual_weight == 0
    await _in_the_incident(carts, result.status, "Lost: the canary is sent 40 %")


async def _released(carts: Releases, tag: str) -> ReleaseResult:
    """A release after its stable version has had traffic for a while; its history is short."""
    before = await carts.client.status(carts.rollout)

    async def known() -> bool:
        until_then = time.time() - KNOWN_SECONDS
        return carts.world.telemetry.window("cart", before.stable_hash, 0.0, until_then).requests > 0

    await until(known, 2 * KNOWN_SECONDS, "traffic to the stable version")
    handle = await carts.start(tag)
    result = await carts.ended(handle)
    description = await carts.temporal.get_workflow_handle(carts.rollout.workflow_id, run_id=handle.run_id).describe()
    assert description.history_length < MOST_EVENTS
    return result


def _sentences(status: ReleaseStatus) -> list[str]:
    """The last word of each comparison."""
    steps = [each for each in status.analyses if each.kind == "Step"]
    return [metric.measurements[-1].value for each in steps for metric in each.status.metrics]


async def _in_the_incident(carts: Releases, status: ReleaseStatus, sentence: str) -> None:
    assert status.incident is not None
    incident = carts.world.servicenow.records.by_number(status.incident.number)
    assert incident is not None
    assert sentence in str(incident.fields["description"])
