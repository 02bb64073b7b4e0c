"""Everything around one Rollout while a schedule is played: Temporal, its workers, the cluster, watchers, people."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.replica_sets import HASH_LABEL
from sandbox.kubernetes_api.objects import meta
from tests.laws.schedules import WEATHERS, Schedule
from tests.laws.shapes import BAD, UNCLEAR, UNMEASURED
from tests.virtual.live import LiveCluster
from tests.virtual.people import GitDouble, NoticesDouble, ServiceNowDouble
from tests.virtual.temporal.chances import Chances
from tests.virtual.temporal.execution import Execution
from tests.virtual.temporal.loop import running
from tests.virtual.temporal.server import VirtualTemporal
from tests.virtual.temporal.service import client_of
from tidegate.analysis.reading import Reading
from tidegate.client import RolloutRef, TidegateClient, TidegateError, data_converter
from tidegate.contract import (
    FOLLOW_UP_QUEUE,
    Activity,
    ErrorType,
    MeasureRequest,
    ReleaseStatus,
    cluster_queue,
    metrics_queue,
    rollout_id,
)
from workers.settings import WatcherSettings
from workers.watch_rollouts import Watch
from workflows.analysis_run import AnalysisRun
from workflows.follow_up import FollowUp
from workflows.roll_back import RollBack
from workflows.rollout import Rollout

DEMO = RolloutRef(namespace="payments", name="demo", cluster="default")
CONVERTER = data_converter(None)


class Life:
    """The world of one schedule.

    Attributes:
        refused: what people were told that did not go as they asked; most of it is as it should be.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.chances = Chances(schedule.seed, WEATHERS[schedule.weather])
        self.temporal = VirtualTemporal(self.chances, CONVERTER, [Rollout, AnalysisRun, FollowUp, RollBack])
        self.cluster = LiveCluster(self.chances, ready_after=3)
        self.servicenow, self.git, self.notices = ServiceNowDouble(), GitDouble(), NoticesDouble()
        self.connection: Client = client_of(self.temporal)
        self.client = TidegateClient(self.connection)
        self.refused: list[str] = []
        self._watchers = schedule.watchers
        self._watching: list[asyncio.Task[None]] = []
        self._people: set[asyncio.Task[None]] = set()
        self.cluster.apply(*schedule.shape.surroundings())
        self._register()
        self.watch()

    def _register(self) -> None:
        self.temporal.register(cluster_queue("default"), self.cluster.activities())
        self.temporal.register(metrics_queue("web"), [self._measure])
        systems = [*self.servicenow.activities(), self.git.revert, self.notices.send]
        self.temporal.register(FOLLOW_UP_QUEUE, systems)

    async def close(self) -> None:
        """End all of it."""
        await self.stop_watching()
        for task in list(self._people):
            task.cancel()
        await asyncio.gather(*self._people, return_exceptions=True)
        await self.temporal.close()
        await self.cluster.stop()

    # ----------------------------------------------------------------------------------------------------- processes

    def watch(self) -> None:
        """Start the watchers."""
        for _ in range(self._watchers):
            watch = Watch(self.cluster.watcher, TidegateClient(self.connection), "default", WatcherSettings())
            self._watching.append(running().create_task(watch.run()))

    async def stop_watching(self) -> None:
        """End the watchers. Raises what one of them died of."""
        tasks, self._watching = self._watching, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    def restart_workers(self) -> None:
        """All workers go, and others come: what they carried out, and what they had in memory, is lost."""
        self.temporal.lose_workers()

    def let(self, work: Coroutine[Any, Any, Any]) -> None:
        """Somebody does something that may take a while, and may be turned down."""

        async def person() -> None:
            try:
                await work
            except TidegateError as error:
                self.refused.append(error.message)

        task = running().create_task(person())
        self._people.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._people.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.temporal.troubles.append(f"a person's command: {error!r}")

    # ------------------------------------------------------------------------------------------------------- releases

    def releases(self) -> list[Execution]:
        """Every run of the Rollout's workflow, the oldest first."""
        return self.temporal.runs.get(rollout_id("default", DEMO.namespace, DEMO.name), [])

    def release(self) -> Execution | None:
        """The newest of them, while it runs."""
        runs = self.releases()
        return runs[-1] if runs and not runs[-1].closed else None

    async def account(self, run: Execution) -> ReleaseStatus:
        """What a release says of itself."""
        answer = await run.query("status", [])
        [status] = CONVERTER.payload_converter.from_payloads([answer.succeeded.response], [ReleaseStatus])
        assert isinstance(status, ReleaseStatus)
        return status

    # ---------------------------------------------------------------------------------------------------- the provider

    @activity.defn(name=Activity.MEASURE_WEB)
    async def _measure(self, request: MeasureRequest) -> list[Reading]:
        await asyncio.sleep(self.chances.latency())
        if self.chances.strikes("measurement fails"):
            raise ApplicationError("the provider is away", type=ErrorType.UNAVAILABLE)
        return [self._reading(request.run, metric, activity.info().started_time) for metric in request.metrics]

    def _reading(self, run: str, metric: Mapping[str, Any], now: datetime) -> Reading:
        sets = self.cluster.replica_sets()
        tags = {tag_of(each) for each in sets if (hash_ := hash_of(each)) and hash_ in run}
        result = 1.0 if tags & BAD else 0.5 if UNCLEAR in tags else 0.0
        nothing = UNMEASURED in tags
        return Reading(
            metric=str(metric["name"]),
            result=None if nothing else result,
            value="" if nothing else str(result),
            no_data=nothing,
            started_at=now,
            finished_at=now,
        )


def hash_of(found: Any) -> str:
    """Pod template hash of a ReplicaSet."""
    return str((meta(found).get("labels") or {}).get(HASH_LABEL, ""))


def tag_of(found: Any) -> str:
    """Image tag of a ReplicaSet's first container."""
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]
