"""What Argo's controller left in the middle goes on at its step; what a release of Tidegate left there is put back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sandbox.kubernetes_api.cluster import Ref, Writer
from sandbox.kubernetes_api.kinds import ROLLOUTS
from tests.virtual.cluster import NAMESPACE
from tests.virtual.releases import World
from tests.workflows.edits import with_steps
from tests.workflows.watched import Watched, paused
from tidegate.contract import Document, StepState

STEPS = with_steps({"setWeight": 20}, {"pause": {"duration": "10m"}}, {"setWeight": 60}, {"pause": {}})
ENDLESS = with_steps({"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}})


async def left_by(controller: str, world: World, edit: Any, **status: Any) -> Watched:
    """A version at its first pause, with nobody who looks after it; `controller` wrote the status last."""
    watched = Watched(world)
    await watched.apply("1.0.0", edit)
    await (await watched.ended()).result()
    await world.until(await watched.apply("1.1.0", edit), paused)
    await watched.release().terminate()
    await world.env.sleep(timedelta(minutes=1))

    def write(found: Document) -> Document:
        return found | {"status": found["status"] | {"message": "its word"} | status}

    world.cluster.api.cluster.patch(
        Ref(ROLLOUTS, NAMESPACE, "checkout"), write, Writer(controller, ROLLOUTS.stored_version, "status")
    )
    world.cluster.writes.clear()
    return watched


async def test_a_release_goes_on_at_the_step_with_the_traffic_that_it_has(world: World) -> None:
    watched = await left_by("rollouts-controller", world, ENDLESS)
    sets = [found["metadata"]["name"] for found in world.cluster.replica_sets()]
    await watched.tell()
    status = await world.until(watched.release(), paused)
    assert (status.step_index, status.revision) == (1, 2)
    assert [step.state for step in status.steps[:2]] == [StepState.DONE, StepState.RUNNING]
    assert "goes on at step 2/4" in " ".join(event.message for event in status.events)
    assert [what for what, _ in world.cluster.writes if what in ("weight", "scale")] == []
    assert [found["metadata"]["name"] for found in world.cluster.replica_sets()] == sets
    await watched.release().signal("promote", {"by": "ana"})
    await world.until(watched.release(), lambda now: paused(now) and now.step_index == 3)
    await watched.release().signal("promote", {"by": "ana"})
    assert (await (await watched.ended()).result()).outcome == "Healthy"
    assert world.cluster.weights()[:2] == [60, 100]


async def test_a_pause_lasts_for_as_long_as_it_would_have(world: World) -> None:
    since = {"pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2000-01-01T00:00:00Z"}]}
    watched = await left_by("rollouts-controller", world, STEPS, **since)
    began = await world.env.get_current_time()
    await watched.tell()
    await world.until(watched.release(), lambda now: paused(now) and now.step_index == 3)
    assert await world.env.get_current_time() - began < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("controller", "status"),
    [
        ("tidegate-worker", {}),
        ("kubectl-argo-rollouts", {}),
        ("rollouts-controller", {"currentStepHash": "other"}),
        ("rollouts-controller", {"currentStepIndex": 9}),
        ("rollouts-controller", {"currentPodHash": "other"}),
    ],
)
async def test_what_is_not_argos_or_not_this_version_begins_without_traffic(
    world: World, controller: str, status: dict[str, Any]
) -> None:
    watched = await left_by(controller, world, ENDLESS, **status)
    await watched.tell()
    await world.until(watched.release(), lambda now: paused(now) and now.step_index == 1)
    assert world.cluster.weights()[0] == 0


async def test_an_abort_after_it_goes_all_the_way_back(world: World) -> None:
    watched = await left_by("rollouts-controller", world, ENDLESS)
    await watched.tell()
    await world.until(watched.release(), paused)
    await watched.release().signal("abort", {"by": "ana"})
    await watched.ended()
    assert world.cluster.weights() == [0]
    assert watched.status()["phase"] == "Degraded"
