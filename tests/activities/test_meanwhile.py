"""What a Rollout says while the cluster cannot be looked at: in its status, and never over what a pass said."""

from __future__ import annotations

from typing import Any

import pytest

from activities.kubernetes.client import ROLLOUTS, Cluster
from activities.reconcile.rollout_status import StatusWriter
from sandbox.kubernetes_api import KubernetesApi
from tests.sandbox.kubernetes.kube import serving
from tests.world.planes import wanted
from tidegate.contract import Meanwhile, RolloutObject, Target

TARGET = Target(namespace="default", name="checkout")
SAID = "refused since 10:00:00 UTC, tried again: not today"


def heard(asked: RolloutObject, phase: str) -> dict[str, Any]:
    """What a pass writes of the version that was asked for."""
    return {
        "currentStepHash": asked.step_hash,
        "observedGeneration": str(asked.generation),
        "phase": phase,
        "message": "from a pass",
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, SAID),
        ({"phase": "Progressing"}, "from a pass"),
        ({"phase": "Paused"}, "from a pass"),
        ({"phase": "Degraded"}, SAID),  # a version that is tried again
        ({"phase": "Paused", "currentStepHash": "older"}, SAID),
        ({"phase": "Paused", "observedGeneration": "0"}, SAID),
    ],
)
async def test_it_is_said_until_a_pass_has_said_something_of_the_version(change: dict[str, str], expected: str) -> None:
    async with serving(KubernetesApi()) as kube:
        cluster = await Cluster.connect(url=kube.api.url)
        try:
            rollout = wanted("1.0.0")
            rollout["metadata"]["namespace"] = "default"
            live = await kube.create(ROLLOUTS.path("default"), rollout)
            asked = RolloutObject.of(live)
            if change:
                await cluster.merge_status(ROLLOUTS, "default", "checkout", heard(asked, "Paused") | change)
            writer = StatusWriter(cluster)
            await writer.say_meanwhile(TARGET, Meanwhile(requested=asked, message=SAID))
            found = await cluster.get(ROLLOUTS, "default", "checkout")
            assert found["status"]["message"] == expected
            other = asked.model_copy(update={"uid": "another"})
            await writer.say_meanwhile(TARGET, Meanwhile(requested=other, message="of an object that is gone"))
            await writer.say_meanwhile(TARGET, Meanwhile(requested=asked, message=SAID))
            assert (await cluster.get(ROLLOUTS, "default", "checkout"))["metadata"] == found["metadata"]
        finally:
            await cluster.close()
