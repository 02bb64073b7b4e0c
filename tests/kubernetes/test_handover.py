"""From Argo's controller to Tidegate and back: nothing that stands is touched, and a version goes on where it was."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from activities.kubernetes.client import REPLICA_SETS, ROLLOUTS, Object
from sandbox.processes import LOOPBACK, Program, free_port
from sandbox.temporal import TemporalServer
from tests.kubernetes import given
from tests.kubernetes.apps import App, version
from tests.kubernetes.conftest import Spaces
from tests.kubernetes.hands import Kubectl
from tests.kubernetes.installed import Installed
from tests.kubernetes.plane import Plane
from tests.kubernetes.roles import Roles

pytestmark = pytest.mark.asyncio(loop_scope="session")

OLDER_HASH = "56f94dd945"  # as a controller with other types made it, of a template that hashes otherwise today


class Hands:
    """Who controls the Rollouts of the namespace; nobody at first."""

    def __init__(self, plane: Plane, temporal: TemporalServer, roles: Roles, spaces: Spaces) -> None:
        self._plane = plane
        self._temporal = temporal
        self._roles = roles
        self._namespace = spaces.handover

    @asynccontextmanager
    async def tidegate(self) -> AsyncIterator[Installed]:
        name = f"handover-{uuid.uuid4().hex[:6]}"
        found = Installed(name, self._temporal.address, self._roles, (self._namespace,), self._plane.home)
        await found.start()
        try:
            yield found
        finally:
            await found.stop()

    @asynccontextmanager
    async def argo(self) -> AsyncIterator[None]:
        program = given.path(given.ARGO_CONTROLLER, "a program: Argo's controller")
        health, metrics = free_port(), free_port()
        argv = [str(program), "--kubeconfig", str(self._plane.kubeconfig), "--namespaced", "--leader-elect=false"]
        argv += ["--namespace", self._namespace, "--istio-api-version", "v1beta1"]
        argv += ["--healthzPort", str(health), "--metricsPort", str(metrics)]
        env = {"HOME": str(self._plane.home)}
        process = Program("argo", argv, log_file=self._plane.home / "argo.log", env=env)
        await process.start(lambda: _listens(health), 60)
        try:
            yield
        finally:
            await process.stop()


async def _listens(port: int) -> bool:
    _, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.close()
    return True


@pytest_asyncio.fixture(loop_scope="session")
async def hands(plane: Plane, temporal: TemporalServer, roles: Roles, spaces: Spaces) -> AsyncIterator[Hands]:
    yield Hands(plane, temporal, roles, spaces)
    await plane.kubectl("delete", "rollouts.argoproj.io", "--all", "-n", spaces.handover)


@pytest.fixture
def app(plane: Plane, spaces: Spaces) -> App:
    return App(plane, spaces.handover)


@pytest.fixture
def kubectl(plane: Plane) -> Kubectl:
    return Kubectl(plane)


async def stands(app: App) -> tuple[list[int], set[str], dict[str, tuple[str, int]]]:
    """Weights, pods, and of each ReplicaSet its uid and size."""
    sets = {hash_: (each["metadata"]["uid"], each["spec"]["replicas"]) for hash_, each in (await app.sets()).items()}
    return await app.weights(), await app.pods(), sets


async def made_by_an_older_argo(app: App) -> None:
    """A Rollout that is healthy, whose ReplicaSet has another hash than its template has."""
    await app.create()
    owner = (await app.object())["metadata"]
    template = app.manifest()["spec"]["template"]
    template["metadata"]["labels"]["rollouts-pod-template-hash"] = OLDER_HASH
    labels = template["metadata"]["labels"]
    reference = {"apiVersion": ROLLOUTS.api_version, "kind": ROLLOUTS.kind, "name": app.name, "uid": owner["uid"]}
    made: Object = {
        "apiVersion": REPLICA_SETS.api_version,
        "kind": REPLICA_SETS.kind,
        "metadata": {
            "name": f"{app.name}-{OLDER_HASH}",
            "namespace": app.namespace,
            "labels": labels,
            "annotations": {"rollout.argoproj.io/revision": "1", "rollout.argoproj.io/desired-replicas": "2"},
            "ownerReferences": [{**reference, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    }
    await app.plane.create([made])
    name = f"{app.name}-{OLDER_HASH}"
    await app.plane.wait(REPLICA_SETS, app.namespace, name, lambda s: s["status"].get("availableReplicas") == 2)
    status = {
        "phase": "Healthy",
        "stableRS": OLDER_HASH,
        "currentPodHash": OLDER_HASH,
        "currentStepIndex": 4,
        "observedGeneration": str(owner["generation"]),
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "HPAReplicas": 2,
    }
    await app.plane.cluster.merge_status(ROLLOUTS, app.namespace, app.name, status)


async def test_a_replica_set_of_an_older_hash_is_taken_as_it_is(app: App, hands: Hands, kubectl: Kubectl) -> None:
    await made_by_an_older_argo(app)
    before = await stands(app)
    async with hands.tidegate():
        await app.plane.kubectl("scale", "rollouts.argoproj.io", app.name, "-n", app.namespace, "--replicas=3")
        await app.until(lambda s: s["phase"] == "Healthy" and s.get("availableReplicas") == 3)
        weights, pods, sets = await stands(app)
        assert (weights, sets.keys()) == (before[0], before[2].keys())
        assert pods > before[1], "one was added, and no other replaced"
        await kubectl.set_image(*app.where, version(7))
        await app.paused_at(1)
        await app.weight_is(20)
        assert (await app.status())["stableRS"] == OLDER_HASH
        await kubectl.promote_full(*app.where)
        await app.healthy()


async def test_what_is_healthy_is_taken_over_untouched(app: App, hands: Hands, kubectl: Kubectl) -> None:
    async with hands.argo():
        await app.create()
        stable = (await app.healthy())["stableRS"]
    before = await stands(app)
    async with hands.tidegate():
        await app.patch('{"spec": {"progressDeadlineSeconds": 599}}')
        assert (await app.healthy())["stableRS"] == stable
        assert await stands(app) == before
        await kubectl.set_image(*app.where, version(7))
        await app.paused_at(1)


@pytest.mark.parametrize("way", ["from Argo", "to Argo"])
async def test_a_version_that_is_handed_over_in_the_middle_goes_on(
    app: App, hands: Hands, kubectl: Kubectl, way: str
) -> None:
    before_it, after_it = (hands.argo, hands.tidegate) if way == "from Argo" else (hands.tidegate, hands.argo)
    async with before_it():
        await app.create()
        await app.healthy()
        await kubectl.set_image(*app.where, version(7))
        new = (await app.paused_at(1))["currentPodHash"]
        await app.weight_is(20)
    before = await stands(app)
    async with after_it():
        await app.patch('{"spec": {"progressDeadlineSeconds": 599}}')
        await app.paused_at(1)
        assert await stands(app) == before, "no traffic moved and no pod changed"
        await kubectl.promote(*app.where)
        await app.paused_at(3)
        await app.weight_is(60)
        await kubectl.promote(*app.where)
        assert (await app.healthy())["stableRS"] == new


async def test_what_argo_aborted_is_left_alone(app: App, hands: Hands, kubectl: Kubectl) -> None:
    async with hands.argo():
        await app.create()
        stable = (await app.healthy())["stableRS"]
        await kubectl.set_image(*app.where, version(7))
        await app.paused_at(1)
        await kubectl.abort(*app.where)
        await app.aborted()
    async with hands.tidegate():
        await app.plane.kubectl("scale", "rollouts.argoproj.io", app.name, "-n", app.namespace, "--replicas=3")
        await app.until(lambda s: s.get("abort") and s["phase"] == "Degraded" and s.get("availableReplicas", 0) >= 3)
        await app.weight_is(0)
        assert (await app.status())["stableRS"] == stable
        await kubectl.retry(*app.where)
        await app.paused_at(1)
        await app.weight_is(20)
