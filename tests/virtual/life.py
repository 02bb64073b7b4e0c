"""Everything around Rollouts in virtual time: Temporal, its workers, the cluster, watchers, people, other systems."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

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
from workers.watch.rollouts import Watch
from workflows.registered import WORKFLOWS

DEMO = RolloutRef(namespace="payments", name="demo", cluster="default")
CONVERTER = data_converter(None)

Measure = Callable[[str, Mapping[str, Any], datetime], Reading]  # what a run, by its name, reads of a metric now


class Life:
    """One world.

    Attributes:
        refused: what people were told that did not go as they asked; most of it is as it should be.
    """

    def __init__(
        self,
        chances: Chances,
        measure: Measure,
        *,
        ready_after: float,
        ready_after_by: Mapping[str, float] | None = None,
        watchers: int = 1,
    ) -> None:
        """Begin: pods are ready after so many seconds, and every provider answers what `measure` says."""
        running().set_exception_handler(self._note_mistake)
        self.chances = chances
        self.temporal = VirtualTemporal(chances, CONVERTER, WORKFLOWS)
        self.cluster = LiveCluster(
            chances, lambda: self.connection, ready_after=ready_after, ready_after_by=ready_after_by or {}
        )
        self.servicenow, self.git, self.notifications = ServiceNowDouble(), GitDouble(), NoticesDouble()
        self.connection: Client = client_of(self.temporal)
        self.client = TidegateClient(self.connection)
        self.refused: list[str] = []
        self._read = measure
        self._watchers = watchers
        self._watching: list[asyncio.Task[None]] = []
        self._people: set[asyncio.Task[None]] = set()
        self._register()
        self.watch()

    def _note_mistake(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What the machinery here could not carry out would be lost without a word."""
        if "handle" in context:
            self.temporal.troubles.append(f"{context['message']}: {context.get('exception')!r}")

    def _register(self) -> None:
        self.temporal.register(cluster_queue("default"), self.cluster.activities())
        for provider, measured in (("datadog", self._datadog), ("web", self._web), ("prometheus", self._prometheus)):
            self.temporal.register(metrics_queue(provider), [measured])
        systems = [*self.servicenow.activities(), self.git.revert, self.notifications.send]
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
        self.cluster.lose_worker()

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

    # --------------------------------------------------------------------------------------------------- the providers

    @activity.defn(name=Activity.MEASURE_DATADOG)
    async def _datadog(self, request: MeasureRequest) -> list[Reading]:
        return await self._measure(request)

    @activity.defn(name=Activity.MEASURE_WEB)
    async def _web(self, request: MeasureRequest) -> list[Reading]:
        return await self._measure(request)

    @activity.defn(name=Activity.MEASURE_PROMETHEUS)
    async def _prometheus(self, request: MeasureRequest) -> list[Reading]:
        return await self._measure(request)

    async def _measure(self, request: MeasureRequest) -> list[Reading]:
        await asyncio.sleep(self.chances.latency())
        if self.chances.strikes("measurement fails"):
            raise ApplicationError("the provider is away", type=ErrorType.UNAVAILABLE)
        return [self._read(request.run, metric, activity.info().started_time) for metric in request.metrics]
