"""A drill of the example, by its command, in the embedded world: a gate takes the bad version back."""

from __future__ import annotations

import asyncio
import json
import subprocess

import pytest

from sandbox.demo import EXAMPLES, REGISTRY
from tests.world.conftest import BIN, Releases

pytestmark = [pytest.mark.world, pytest.mark.long, pytest.mark.asyncio(loop_scope="session")]


async def test_the_gates_of_the_example_take_back_what_is_bad_on_purpose(releases: Releases) -> None:
    good = f"checkout={REGISTRY}/checkout:1.7.0"
    assert (await releases.ended(await releases.start("1.7.0"))).outcome == "Healthy"
    argv = [str(BIN / "tidegate"), "drill", "-f", str(EXAMPLES / "checkout" / "fast"), "--image", good, "-o", "json"]
    env = {"HOME": str(releases.world.state), "TEMPORAL_ADDRESS": releases.world.temporal.address}
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, timeout=240, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["caught"]
    assert result["weight"] in (10, 25)
    assert result["back_seconds"] < 5
    after = await releases.client.status(releases.rollout)
    assert (after.phase, after.images, after.actual_weight) == ("Healthy", {"checkout": good.partition("=")[2]}, 0)
    incident = releases.world.servicenow.records.by_number(result["incident"])
    assert incident is not None
    assert str(incident.fields["short_description"]).startswith("Exercise: ")
