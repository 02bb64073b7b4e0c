"""What tests of the watcher share: an embedded Kubernetes API and a real Temporal, with the real release between."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHistory
from temporalio.worker import Worker

from activities.kubernetes.client import ROLLOUTS, SERVICES, VIRTUAL_SERVICES, WATCHER_AGENT, Cluster, Object
from sandbox.controllers import Controllers, PodSimulator
from sandbox.kubernetes_api import Call, KubernetesApi
from sandbox.machine import patience
from tests.sandbox.kubernetes.kube import Kube, serving
from tests.sandbox.kubernetes.kubectl import Kubectl
from tests.virtual.cluster import Hold
from tests.virtual.people import GitDouble, ServiceNowDouble
from tidegate.client import NoSuchReleaseError, RefusedError, RolloutRef, TidegateClient
from tidegate.contract import (
    FOLLOW_UP_QUEUE,
    RELEASES_QUEUE,
    ReleaseStatus,
    Update,
)
from workers.settings import Role, Settings, WatcherSettings
from workers.watch.rollouts import Watch
from workers.wiring import open_workers, workflow_runner
from workflows.analysis_run import AnalysisRun
from workflows.experiment_object import ExperimentObject
from workflows.follow_up import FollowUp
from workflows.let_go import LetGoOfObjects
from workflows.rollback import Rollback
from workflows.rollout import Rollout

NAMESPACE = "default"
# What a worker holds of a run that was terminated ends half way, outside its event loop.
TERMINATES = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <coroutine:pytest.PytestUnraisableExceptionWarning"
)
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


@dataclass
class Place:
    """A cluster with a Rollout's surroundings, and a Temporal with workers for it."""

    name: str  # the cluster's
    kube: Kube
    cluster: Cluster
    temporal: Client
    client: TidegateClient
    kubectl: Kubectl
    servicenow: ServiceNowDouble
    git: GitDouble
    holds: dict[tuple[str, str], Hold]  # by verb and kind, requests that begin and wait
    work: Callable[[], Awaitable[None]]  # begin to carry out what releases ask for

    @property
    def path(self) -> str:
        return ROLLOUTS.path(NAMESPACE, "shop")

    @property
    def ref(self) -> RolloutRef:
        return RolloutRef(NAMESPACE, "shop", self.name)

    @asynccontextmanager
    async def watching(self, **settings: object) -> AsyncIterator[Watch]:
        """A watcher, killed at the end without a chance to say anything."""
        asked = WatcherSettings.model_validate({"stopped_every": timedelta(seconds=0.2), **settings})
        watch = Watch(self.cluster, self.client, self.name, asked)
        task = asyncio.create_task(watch.run())
        try:
            yield watch
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def apply(self) -> None:
        await self.kube.create(ROLLOUTS.path(NAMESPACE), rollout())

    async def patch(self, patch: str) -> None:
        """A patch of the object by Argo's plugin."""
        await self.kubectl("patch", "rollout", "shop", "--type=merge", "-p", patch)

    async def patch_status(self, patch: str) -> None:
        """A patch of its status by Argo's plugin."""
        await self.kubectl("patch", "rollout", "shop", "--subresource=status", "--type=merge", "-p", patch)

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
        try:
            await self.client.abort(self.ref)
        except NoSuchReleaseError:
            return
        except RefusedError:
            pass  # it is ending
        with contextlib.suppress(WorkflowFailureError):
            async with asyncio.timeout(patience(20)):
                await self.temporal.get_workflow_handle(self.ref.workflow_id).result()

    async def status(self) -> ReleaseStatus:
        return await self.client.status(self.ref)

    async def turned_down(self, run_id: str) -> bool:
        """Whether a run was asked for a newer version and did not take it."""
        handle = self.temporal.get_workflow_handle(self.ref.workflow_id, run_id=run_id)
        answered = (
            e.workflow_execution_update_completed_event_attributes for e in (await handle.fetch_history()).events
        )
        return any(each.outcome.HasField("failure") for each in answered)

    async def promotions(self) -> list[str]:
        """Ids of the promotions that the newest release accepted."""
        history: WorkflowHistory = await self.temporal.get_workflow_handle(self.ref.workflow_id).fetch_history()
        accepted = [each.workflow_execution_update_accepted_event_attributes for each in history.events]
        return [each.protocol_instance_id for each in accepted if each.accepted_request.input.name == Update.PROMOTE]


@asynccontextmanager
async def open_place(
    temporal: Client, home: Path, *, working: bool = True, release: type[Rollout] | None = Rollout
) -> AsyncIterator[Place]:
    """A cluster of its own, which kubectl finds by a file in `home`; `working` says whether it has a worker.

    `release` is the code of its releases, None where another process runs them.
    """
    holds: dict[tuple[str, str], Hold] = {}

    async def gate(call: Call) -> None:
        if (hold := holds.get((call.verb, call.resource))) is not None:
            hold.begun.set()
            await hold.go_on.wait()

    api = KubernetesApi(gate=gate)
    name = f"c{uuid.uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(serving(api))
        await stack.enter_async_context(Controllers(api.cluster, simulator=PodSimulator(api.cluster, ready_after=0.0)))
        cluster = await Cluster.connect(url=api.url, agent=WATCHER_AGENT)
        stack.push_async_callback(cluster.close)
        settings = Settings(role=Role.CLUSTER, cluster=name, kubernetes={"api_url": api.url}, graceful_shutdown=0)

        async def work() -> None:
            for worker in await stack.enter_async_context(open_workers(temporal, settings)):
                await stack.enter_async_context(worker)

        if working:
            await work()
        if release is not None:
            releases = Worker(
                temporal,
                task_queue=RELEASES_QUEUE,
                workflows=[AnalysisRun, release, ExperimentObject, FollowUp, LetGoOfObjects, Rollback],
                workflow_runner=workflow_runner(),
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
        servicenow, git = ServiceNowDouble(), GitDouble()
        effects = [*servicenow.activities(), git.revert]
        await stack.enter_async_context(Worker(temporal, task_queue=FOLLOW_UP_QUEUE, activities=effects))
        answers_within = timedelta(seconds=patience(10.0))
        client, kubectl = TidegateClient(temporal, answer_timeout=answers_within), Kubectl(api.url, home)
        place = Place(name, kube, cluster, temporal, client, kubectl, servicenow, git, holds, work)
        yield place
        await place.end()
