"""What others do to a Rollout: the garbage collector, an autoscaler, whoever holds it by a finalizer."""

from __future__ import annotations

import json

import pytest

from activities.kubernetes.client import PODS, REPLICA_SETS, ROLLOUTS
from tests.kubernetes.apps import App, version
from tests.kubernetes.hands import Kubectl
from tests.kubernetes.plane import Plane

pytestmark = pytest.mark.asyncio(loop_scope="session")

FINALIZER = "tests.tidegate.io/held"


@pytest.fixture
def kubectl(plane: Plane) -> Kubectl:
    return Kubectl(plane)


async def in_its_first_step(app: App, kubectl: Kubectl) -> None:
    await app.create()
    await app.healthy()
    await kubectl.set_image(*app.where, version(7))
    await app.paused_at(1)
    await app.weight_is(20)


async def nothing_is_left(app: App) -> None:
    """No ReplicaSet, no pod, no traffic on what was the canary."""
    await app.plane.gone(ROLLOUTS, *app.where)

    async def holds() -> bool:
        sets = await app.plane.cluster.select(REPLICA_SETS, app.namespace, {"app": app.name})
        return not sets and not await app.plane.cluster.select(PODS, app.namespace, {"app": app.name})

    await app.plane.until(holds, 60, lambda: f"something of {app.name} stands still")
    await app.weight_is(0)


@pytest.mark.parametrize("cascade", ["background", "foreground"])
async def test_a_deletion_in_mid_canary_leaves_nothing(app: App, kubectl: Kubectl, cascade: str) -> None:
    await in_its_first_step(app, kubectl)
    words = ("delete", "rollouts.argoproj.io", app.name, "-n", app.namespace, f"--cascade={cascade}")
    await app.plane.kubectl(*words)
    await nothing_is_left(app)
    await app.plane.create([app.manifest()])  # under the same name
    assert (await app.healthy())["stableRS"]


async def test_a_rollout_that_a_finalizer_holds_loses_its_traffic_at_once(app: App, kubectl: Kubectl) -> None:
    await in_its_first_step(app, kubectl)
    await app.patch(json.dumps({"metadata": {"finalizers": [FINALIZER]}}))
    words = ("delete", "rollouts.argoproj.io", app.name, "-n", app.namespace, "--wait=false")
    await app.plane.kubectl(*words)
    await app.weight_is(0)
    assert (await app.object())["metadata"]["finalizers"] == [FINALIZER]
    await app.patch('{"metadata": {"finalizers": null}}')
    await nothing_is_left(app)


async def test_an_autoscaler_scales_a_rollout(app: App, kubectl: Kubectl) -> None:
    await in_its_first_step(app, kubectl)
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": app.name, "namespace": app.namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": ROLLOUTS.api_version, "kind": ROLLOUTS.kind, "name": app.name},
            "minReplicas": 4,
            "maxReplicas": 6,
        },
    }
    await app.plane.create([scaler])
    found = await app.until(lambda s: s.get("HPAReplicas") == 5 and s.get("availableReplicas") == 5, 90)
    assert (found["phase"], found["currentStepIndex"]) == ("Paused", 1)
    await app.weight_is(20)
    await kubectl.promote_full(*app.where)
    await app.healthy()
    assert (await app.object())["spec"]["replicas"] == 4
