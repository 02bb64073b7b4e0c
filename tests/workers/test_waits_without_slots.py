"""Waits for a change on a real Temporal server: however many there are, they hold no slot of their worker."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio import workflow
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.kubernetes.client import Cluster
from activities.kubernetes.informers import Cache
from activities.reconcile.pending_waits import PendingWaits
from activities.reconcile.waits import Waits
from sandbox.machine import patience
from sandbox.processes import until
from sandbox.temporal import TemporalServer
from sandbox.tidegate_process import TidegateProcess
from tests.activities.standing import Standing
from tidegate.contract import Activity, AwaitChange, Observation, ObserveRequest, cluster_queue

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = 150
FEW = 12
SLOTS = 10
STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED


@workflow.defn
class Waiting:
    """Waits as a release waits."""

    @workflow.run
    async def run(self, request: AwaitChange, queue: str, heartbeat: float) -> None:
        """Return when it was told."""
        await workflow.execute_activity(
            Activity.AWAIT_CHANGE,
            request,
            task_queue=queue,
            start_to_close_timeout=timedelta(hours=1),
            heartbeat_timeout=timedelta(seconds=heartbeat),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200), backoff_coefficient=1.0),
        )


class ClusterState:
    """Rollouts that stand, releases that wait, and the cluster's workers."""

    def __init__(self, temporal: Client, server: TemporalServer, state: Path) -> None:
        self.temporal = temporal
        self.names = [f"shop-{number}" for number in range(MANY)]
        self.standing = Standing(*self.names)
        self.cluster = f"c-{uuid.uuid4().hex[:8]}"
        self._server = server
        self._state = state
        self._waits: dict[str, WorkflowHandle[Any, Any]] = {}

    async def start(self, name: str) -> TidegateProcess:
        settings = {
            "TEMPORAL_ADDRESS": self._server.address,
            "TIDEGATE_CLUSTER": self.cluster,
            "TIDEGATE_GRACEFUL_SHUTDOWN": "1",
            "TIDEGATE_KUBERNETES__API_URL": self.standing.api.url,
            "TIDEGATE_MAX_CONCURRENT_ACTIVITIES": str(SLOTS),
            "TIDEGATE_ROLE": "cluster",
        }
        process = TidegateProcess(name, self._state, settings)
        await process.start()
        return process

    async def wait(self, count: int, heartbeat: float = 60.0) -> None:
        """Let so many releases wait."""
        for name in self.names[:count]:
            request = Standing.about(name, await self.standing.state_digest(name))
            self._waits[name] = await self.temporal.start_workflow(
                Waiting.run,
                args=[request, cluster_queue(self.cluster), heartbeat],
                id=f"{self.cluster}-{name}",
                task_queue=f"{self.cluster}-waiting",
            )

    async def taken(self, attempt: int = 1, pid: int | None = None) -> None:
        """Until every one of them was given to a worker, in that attempt."""

        async def are() -> bool:
            return all([await self._is_taken(handle, attempt, pid) for handle in self._waits.values()])

        await until(are, 30, f"{len(self._waits)} waits are taken")

    async def _is_taken(self, handle: WorkflowHandle[Any, Any], attempt: int, pid: int | None) -> bool:
        found = (await handle.describe()).raw_description.pending_activities
        return [
            (each.state, each.attempt, pid is None or each.last_worker_identity.startswith(f"{pid}@")) for each in found
        ] == [(STARTED, attempt, True)]

    async def told(self, *names: str, within: float = 5.0) -> None:
        async with asyncio.timeout(within):
            await asyncio.gather(*(self._waits.pop(name).result() for name in names))

    async def terminate(self, name: str) -> None:
        await self._waits.pop(name).terminate()

    async def look(self) -> Observation:
        """As a release looks at the cluster."""
        request = Standing.about(self.names[0], "")
        looked: Observation = await self.temporal.execute_activity(
            Activity.OBSERVE,
            ObserveRequest(target=request.target, rollout=request.rollout),
            id=uuid.uuid4().hex,
            task_queue=cluster_queue(self.cluster),
            result_type=Observation,
            start_to_close_timeout=timedelta(seconds=30),
        )
        return looked

    async def end(self) -> None:
        for handle in self._waits.values():
            await handle.terminate()
        await self.standing.close()
        await self.standing.api.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def scene(temporal: Client, server: TemporalServer, tmp_path: Path) -> AsyncIterator[ClusterState]:
    scene = ClusterState(temporal, server, tmp_path)
    await scene.standing.api.start()
    async with Worker(
        temporal,
        task_queue=f"{scene.cluster}-waiting",
        workflows=[Waiting],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield scene
        await scene.end()


@asynccontextmanager
async def ending(*processes: TidegateProcess) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for process in processes:
            stack.push_async_callback(process.stop)
        yield


@pytest.mark.long
async def test_many_wait_in_a_worker_of_few_slots_and_a_pass_gets_through(scene: ClusterState) -> None:
    worker = await scene.start("worker")
    async with ending(worker):
        await scene.wait(MANY)
        await scene.taken()
        async with asyncio.timeout(patience(5)):
            await asyncio.gather(*(scene.look() for _ in range(SLOTS)))
        changed = scene.names[40:43]
        for number, name in enumerate(changed):
            scene.standing.shift(name, number + 1)
        await scene.told(*changed)
        await asyncio.sleep(1)
        await scene.taken()


async def test_the_waits_of_a_killed_worker_go_to_another_one(scene: ClusterState) -> None:
    worker = await scene.start("killed")
    await scene.wait(FEW, heartbeat=3)
    await scene.taken()
    os.kill(worker.program.pid, signal.SIGKILL)
    scene.standing.shift(scene.names[0], 7)
    other = await scene.start("other")
    async with ending(worker, other):
        await scene.told(scene.names[0], within=15)
        await scene.taken(attempt=2, pid=other.program.pid)
        scene.standing.shift(scene.names[1], 7)
        await scene.told(scene.names[1])


async def test_a_worker_that_is_told_to_go_hands_its_waits_over_at_once(scene: ClusterState) -> None:
    worker, other = await scene.start("going"), None
    async with ending(worker):
        await scene.wait(FEW)
        await scene.taken(pid=worker.program.pid)
        other = await scene.start("other")
        async with ending(other):
            await worker.stop()
            async with asyncio.timeout(patience(10)):
                await scene.taken(attempt=2, pid=other.program.pid)
            scene.standing.shift(scene.names[1], 7)
            await scene.told(scene.names[1])


async def test_nothing_is_kept_of_a_release_that_ended(scene: ClusterState) -> None:
    cluster = await Cluster.connect(url=scene.standing.api.url, agent="a test")
    cache = Cache(cluster)
    waits = PendingWaits(Waits(cluster, cache), lambda: scene.temporal)
    async with Worker(scene.temporal, task_queue=cluster_queue(scene.cluster), activities=waits.activities()):
        await scene.wait(FEW, heartbeat=3)
        await scene.taken()
        assert len(waits) == FEW
        await scene.terminate(scene.names[3])

        async def is_dropped() -> bool:
            return len(waits) == FEW - 1

        await until(is_dropped, 10, "one wait is dropped")
    await waits.close()
    await cache.close()
    await cluster.close()
