"""The watcher between an embedded Kubernetes API and a real Temporal server, with the real release behind it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHistory
from temporalio.worker import Worker

from activities.cluster import ROLLOUTS, SERVICES, VIRTUAL_SERVICES, Cluster, Object
from sandbox.controllers import Controllers, PodSimulator
from sandbox.kubernetes_api import KubernetesApi
from sandbox.temporal import TemporalServer
from tests.sandbox.kubernetes.kube import Kube, serving
from tidegate.client import RefusedError, RolloutRef, TidegateClient
from tidegate.contract import (
    FOLLOW_UP_QUEUE,
    RELEASES_QUEUE,
    Activity,
    IncidentRef,
    IncidentRequest,
    ReleaseStatus,
    Update,
)
from workers.settings import Role, Settings, WatcherSettings
from workers.watch_rollouts import Watch
from workers.wiring import open_workers, workflow_runner
from workflows.rollout import Rollout

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMESPACE = "default"
STEPS: list[Object] = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}]


def rollout(image: str = "shop:1") -> Object:
    routing = {"istio": {"virtualService": {"name": "shop"}}}
    canary = {"stableService": "shop-stable", "canaryService": "shop-canary", "trafficRouting": routing, "steps": STEPS}
    return {
        "apiVersion": ROLLOUTS.api_version,
        "kind": ROLLOUTS.kind,
        "metadata": {"name": "shop"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [{"name": "shop", "image": image}]},
            },
            "strategy": {"canary": {**canary, "scaleDownDelaySeconds": 1, "abortScaleDownDelaySeconds": 1}},
        },
    }


@activity.defn(name=Activity.OPEN_INCIDENT)
async def open_incident(request: IncidentRequest) -> IncidentRef:
    return IncidentRef(number="INC1", sys_id="1", url="")


@dataclass
class Place:
    """A cluster with a Rollout's surroundings, and a Temporal with workers for it."""

    name: str  # the cluster's
    kube: Kube
    cluster: Cluster
    temporal: Client
    client: TidegateClient

    @property
    def path(self) -> str:
        return ROLLOUTS.path(NAMESPACE, "shop")

    @property
    def ref(self) -> RolloutRef:
        return RolloutRef(NAMESPACE, "shop", self.name)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Watch]:
        """A watcher, killed at the end without a chance to say anything."""
        watch = Watch(self.cluster, self.client, self.name, WatcherSettings())
        task = asyncio.create_task(watch.run())
        try:
            yield watch
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def apply(self) -> None:
        await self.kube.create(ROLLOUTS.path(NAMESPACE), rollout())

    async def until(self, condition: Callable[[Object], bool]) -> Object:
        """The Rollout as soon as its status says so."""
        return await self.kube.eventually(self.path, lambda found: condition(found.get("status") or {}))

    async def healthy(self, before: str = "") -> Object:
        """Once a version is stable that `before`, a hash, was not."""
        return await self.until(lambda s: s.get("phase") == "Healthy" and s["stableRS"] not in ("", before))

    async def paused_at(self, index: int) -> Object:
        return await self.until(lambda s: bool(s.get("pauseConditions")) and s.get("currentStepIndex") == index)

    async def set_image(self, image: str) -> None:
        template = {"spec": {"containers": [{"name": "shop", "image": image}]}}
        await self.kube.patch(self.path, {"spec": {"template": template}})

    async def weight_is(self, percent: int) -> None:
        def holds(found: Object) -> bool:
            return int(found["spec"]["http"][0]["route"][1].get("weight", 0)) == percent

        await self.kube.eventually(VIRTUAL_SERVICES.path(NAMESPACE, "shop"), holds)

    async def end(self) -> None:
        """Let the newest release come to its end, so that no worker stops with it half way."""
        with contextlib.suppress(RefusedError):
            await self.client.abort(self.ref)
        with contextlib.suppress(WorkflowFailureError):
            async with asyncio.timeout(20):
                await self.temporal.get_workflow_handle(self.ref.workflow_id).result()

    async def status(self) -> ReleaseStatus:
        return await self.client.status(self.ref)

    async def promotions(self) -> list[str]:
        """Ids of the promotions that the newest release accepted."""
        history: WorkflowHistory = await self.temporal.get_workflow_handle(self.ref.workflow_id).fetch_history()
        accepted = [each.workflow_execution_update_accepted_event_attributes for each in history.events]
        return [each.protocol_instance_id for each in accepted if each.accepted_request.input.name == Update.PROMOTE]


@pytest_asyncio.fixture(loop_scope="module")
async def place(server: TemporalServer, temporal: Client) -> AsyncIterator[Place]:
    api = KubernetesApi()
    name = f"c{uuid.uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(serving(api))
        await stack.enter_async_context(Controllers(api.cluster, simulator=PodSimulator(api.cluster, ready_after=0.0)))
        cluster = await Cluster.connect(url=api.url)
        stack.push_async_callback(cluster.close)
        settings = Settings(role=Role.CLUSTER, cluster=name, kubernetes={"api_url": api.url}, graceful_shutdown=0)
        for worker in await stack.enter_async_context(open_workers(temporal, settings)):
            await stack.enter_async_context(worker)
        releases = Worker(
            temporal,
            task_queue=RELEASES_QUEUE,
            workflows=[Rollout],
            workflow_runner=workflow_runner(),
            max_cached_workflows=0,  # nothing of a release that a test terminates stays behind in it
        )
        await stack.enter_async_context(releases)
        for service in ("shop-stable", "shop-canary"):
            spec = {"selector": {"app": "shop"}, "ports": [{"port": 80}]}
            await kube.create(SERVICES.path(NAMESPACE), {"metadata": {"name": service}, "spec": spec})
        routes = [
            {"destination": {"host": "shop-stable"}, "weight": 100},
            {"destination": {"host": "shop-canary"}, "weight": 0},
        ]
        http = [{"name": "primary", "route": routes}]
        body = {"metadata": {"name": "shop"}, "spec": {"hosts": ["shop"], "http": http}}
        await kube.create(VIRTUAL_SERVICES.path(NAMESPACE), body)
        incidents = Worker(temporal, task_queue=FOLLOW_UP_QUEUE, activities=[open_incident])
        await stack.enter_async_context(incidents)
        place = Place(name, kube, cluster, temporal, TidegateClient(temporal))
        yield place
        await place.end()


async def test_a_rollout_is_released_by_its_object_alone_whoever_watches_and_dies(place: Place) -> None:
    await place.apply()
    async with place.watching(), place.watching():
        first = await place.healthy()
    await place.set_image("shop:2")  # while nobody watches
    async with place.watching(), place.watching():
        await place.paused_at(1)
        run = (await place.status()).run_id
    await place.kube.patch(f"{place.path}/status", {"status": {"pauseConditions": None}})
    async with place.watching(), place.watching():
        await place.paused_at(3)
        await place.weight_is(60)
    async with place.watching():  # sees everything once more, and has nothing to add
        await place.kube.patch(f"{place.path}/status", {"status": {"pauseConditions": None}})
        done = await place.until(lambda s: s.get("phase") == "Healthy" and s["stableRS"] != first["status"]["stableRS"])
    status = await place.status()
    assert status.run_id == run
    happened = [event.reason for event in status.events]
    once = ("RolloutUpdated", "NewReplicaSetCreated", "RolloutCompleted")
    assert [happened.count(reason) for reason in once] == [1, 1, 1]
    assert happened.count("RolloutPromoted") == len(await place.promotions()) == 2
    assert done["status"]["observedGeneration"] == str(done["metadata"]["generation"])


async def test_abort_and_retry_are_patches_of_the_status(place: Place) -> None:
    await place.apply()
    async with place.watching():
        await place.healthy()
        await place.set_image("shop:2")
        await place.paused_at(1)
        await place.kube.patch(f"{place.path}/status", {"status": {"abort": True}})
        await place.until(lambda s: s.get("phase") == "Degraded" and s["abort"])
        await place.weight_is(0)
        await place.end()
        aborted = (await place.status()).run_id
        await place.kube.patch(f"{place.path}/status", {"status": {"abort": False}})
        await place.paused_at(1)
    assert (await place.status()).run_id != aborted


async def test_a_release_that_was_terminated_is_recovered(place: Place) -> None:
    await place.apply()
    async with place.watching():
        await place.healthy()
        await place.set_image("shop:2")
        await place.paused_at(1)
        await place.weight_is(20)
    stopped = (await place.status()).run_id
    await place.temporal.get_workflow_handle(place.ref.workflow_id).terminate("by mistake")
    async with place.watching(), place.watching():
        await place.weight_is(0)
        await place.weight_is(20)  # and the steps start over
        await place.paused_at(1)
    recovered = await place.status()
    assert recovered.run_id != stopped
    assert any("no release stood behind it" in event.message for event in recovered.events)
