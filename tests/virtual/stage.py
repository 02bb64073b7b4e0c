"""What a simulated life runs on: one server and its workers, on which one Rollout after the other may be played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from sandbox.machine import patience
from tests.virtual.cluster import NAMESPACE, VirtualCluster
from tests.virtual.lingering import Lingering
from tests.virtual.people import ServiceNowDouble
from tests.virtual.releases import search_attributes
from tests.virtual.simulation import Simulation, TimeStandsStillError
from tests.virtual.time_skipping import release_runner, served, time_skipping
from tidegate.analysis.reading import Reading
from tidegate.client import RolloutRef, TidegateClient
from tidegate.contract import (
    FOLLOW_UP_QUEUE,
    RELEASES_QUEUE,
    Activity,
    Document,
    MeasureRequest,
    cluster_queue,
    metrics_queue,
)
from workers.heartbeats import Heartbeats
from workers.watch_door import Door
from workflows.analysis_run import AnalysisRun
from workflows.follow_up import FollowUp
from workflows.let_go import LetGoOfObjects
from workflows.rollout import Rollout

LONGEST_SECONDS = 120  # of real time, on an idle machine
Measure = Callable[[str, Mapping[str, Any], datetime], Reading]  # of a run, by its name


class Provider:
    """Measures by a script, for every provider that a template may name; `servicenow` hears of the rest."""

    def __init__(self) -> None:
        self.measure: Measure
        self.servicenow = ServiceNowDouble()

    @activity.defn(name=Activity.MEASURE_DATADOG)
    async def datadog(self, request: MeasureRequest) -> list[Reading]:
        return self._all(request)

    @activity.defn(name=Activity.MEASURE_WEB)
    async def web(self, request: MeasureRequest) -> list[Reading]:
        return self._all(request)

    @activity.defn(name=Activity.MEASURE_PROMETHEUS)
    async def prometheus(self, request: MeasureRequest) -> list[Reading]:
        return self._all(request)

    def _all(self, request: MeasureRequest) -> list[Reading]:
        now = activity.info().started_time
        return [self.measure(request.run, metric, now) for metric in request.metrics]


async def simulate(given: Mapping[str, Any], measure: Callable[[], Measure]) -> list[dict[str, Any]]:
    """Play one case; the settled states in order.

    Should time stand still, it is played once more: a release that waits for what never comes would do so again, while
    the server's own fault depends on which of two answers reaches it first.
    """
    try:
        return await _play(given, measure())
    except TimeStandsStillError:
        return await _play(given, measure())


async def _play(given: Mapping[str, Any], measure: Measure) -> list[dict[str, Any]]:
    async with opened(given, measure) as stage, asyncio.timeout(patience(LONGEST_SECONDS)):
        return await stage.simulation.play(given.get("actions") or [], float(given.get("until", 600)))


@asynccontextmanager
async def opened(given: Mapping[str, Any], measure: Measure) -> AsyncIterator[Stage]:
    """Everything around the Rollout of a case, before it is created."""
    async with theatre() as house, house.stage(given, measure) as stage:
        yield stage


class Running:
    """A worker that may be replaced by another one."""

    def __init__(self, make: Callable[[], Worker]) -> None:
        self._make = make
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Running:
        await self._stack.enter_async_context(self._make())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def replace(self, make: Callable[[], Worker]) -> None:
        """Stop it, and start another one."""
        await self._stack.aclose()
        self._make = make
        await self._stack.enter_async_context(make())


@dataclass
class Stage:
    """A simulation that may begin, and what it runs on. `name` is the cluster's in requests and workflow ids."""

    env: WorkflowEnvironment
    cluster: VirtualCluster
    simulation: Simulation
    name: str

    async def let_go(self, rollout: str, uid: str) -> None:
        """What the watcher asks for when the object of that uid was deleted."""
        await TidegateClient(self.env.client).let_go(RolloutRef(NAMESPACE, rollout, self.name), uid)


@dataclass
class Theatre:
    """A server with the workers that are the same for every cluster."""

    env: WorkflowEnvironment
    provider: Provider
    releases: Running
    cached: int = 0

    async def keep(self, cached: int) -> None:
        """Let the worker of the releases keep so many runs from one task to the next; while none is under way."""
        if cached != self.cached:
            self.cached = cached
            await self.releases.replace(lambda: _release_worker(self.env.client, cached))

    @asynccontextmanager
    async def stage(self, given: Mapping[str, Any], measure: Measure, name: str = "default") -> AsyncIterator[Stage]:
        """One cluster of its own; a name is used once."""
        env, rollout = self.env, _complete(given["rollout"])
        self.provider.measure = measure
        async with AsyncExitStack() as stack:
            cluster = VirtualCluster(await env.get_current_time(), ready_after=float(given.get("ready_after", 5)))
            cluster.never_ready.update(f"img:{tag}" for tag in given.get("never_ready") or [])
            await cluster.start()
            stack.push_async_callback(cluster.stop)
            cluster.apply(*_surroundings(rollout), *map(_template, given.get("templates") or []))
            await stack.enter_async_context(served(env, _cluster_worker(env.client, cluster, name)))
            door = Door(cluster.watching, TidegateClient(env.client), name)
            yield Stage(env, cluster, Simulation(env, cluster, door, rollout), name)


@asynccontextmanager
async def theatre() -> AsyncIterator[Theatre]:
    """Open one, whose worker of the releases keeps nothing from one task to the next."""
    async with AsyncExitStack() as stack:
        env = await stack.enter_async_context(await time_skipping())
        await env.client.operator_service.add_search_attributes(search_attributes())
        provider = Provider()
        for worker in _outside_workers(env.client, provider):
            await stack.enter_async_context(served(env, worker))
        running = Running(lambda: _release_worker(env.client, cached=0))
        releases = await stack.enter_async_context(served(env, running))
        yield Theatre(env, provider, releases)


def _release_worker(client: Client, cached: int) -> Worker:
    return Worker(
        client,
        task_queue=RELEASES_QUEUE,
        workflows=[Rollout, AnalysisRun, FollowUp, LetGoOfObjects],
        workflow_runner=release_runner(),
        interceptors=[Lingering()],
        max_cached_workflows=cached,
    )


def _cluster_worker(client: Client, cluster: VirtualCluster, name: str) -> Worker:
    interceptors = [Heartbeats(), cluster]
    return Worker(client, task_queue=cluster_queue(name), activities=cluster.activities(), interceptors=interceptors)


def _outside_workers(client: Client, provider: Provider) -> list[Worker]:
    measured = {"datadog": provider.datadog, "web": provider.web, "prometheus": provider.prometheus}
    return [
        Worker(client, task_queue=FOLLOW_UP_QUEUE, activities=provider.servicenow.activities()),
        *(Worker(client, task_queue=metrics_queue(key), activities=[found]) for key, found in measured.items()),
    ]


def _complete(rollout: Document) -> Document:
    return {**rollout, "metadata": {"namespace": NAMESPACE, **rollout["metadata"]}}


def _surroundings(rollout: Document) -> list[Document]:
    canary = rollout["spec"]["strategy"]["canary"]
    named = [canary[role] for role in ("stableService", "canaryService") if canary.get(role)]
    labels = rollout["spec"]["selector"]["matchLabels"]
    objects: list[Document] = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"selector": dict(labels), "ports": [{"port": 80}]},
        }
        for name in named
    ]
    if canary.get("trafficRouting"):
        shares = zip(named, (100, 0), strict=True)
        route = [{"destination": {"host": name}, "weight": weight} for name, weight in shares]
        objects.append(
            {
                "apiVersion": "networking.istio.io/v1beta1",
                "kind": "VirtualService",
                "metadata": {"name": "vs", "namespace": NAMESPACE},
                "spec": {"hosts": ["demo"], "http": [{"route": route}]},
            }
        )
    return objects


def _template(template: Document) -> Document:
    metadata = {"namespace": NAMESPACE, **template["metadata"]}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", **template, "metadata": metadata}
