"""A cluster in the time of the virtual loop, reached by a wire that may lose what travels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.client import Client

from activities.kubernetes.client import WATCHER_AGENT, WORKER_AGENT
from activities.kubernetes.informers import Cache
from activities.reconcile.leaving import LeavingActivities
from activities.reconcile.pending_waits import PendingWaits
from activities.reconcile.reconciler import Passes
from activities.reconcile.restarts import Restarts
from activities.reconcile.rollbacks import RollbackActivities
from activities.reconcile.rollout_objects import Kubernetes
from activities.reconcile.waits import Waits
from activities.routers.traffic import Traffic
from sandbox.kubernetes_api import Call, Change
from sandbox.kubernetes_api.objects import Object
from tests.virtual.cluster import VirtualCluster
from tests.virtual.temporal.chances import Chances
from tests.virtual.temporal.loop import running
from tests.virtual.wire import Wire


class LiveCluster(VirtualCluster):
    """What happens by itself happens when its time has come; nobody has to move the time on."""

    def __init__(self, chances: Chances, temporal: Callable[[], Client], **fields: Any) -> None:
        """`temporal` is the client with which the worker tells of its waits."""
        super().__init__(running().now(), **fields)
        self._chances = chances
        self._alarm: asyncio.TimerHandle | None = None
        self.worker = Wire(self.api, WORKER_AGENT, chances)
        self.watcher = Wire(self.api, WATCHER_AGENT, chances)
        self._cache = Cache(self.worker)
        self._waits = PendingWaits(Waits(self.worker, self.cache), temporal, chance=chances.random.random)
        self.api.store.subscribe(self._wake)

    async def stop(self) -> None:
        """End what is on its way."""
        self.lose_worker()
        if self._alarm is not None:
            self._alarm.cancel()
        await self.cache.close()
        await self.worker.close()
        await self.watcher.close()

    def lose_worker(self) -> None:
        """What the worker had in memory is gone."""
        self._waits.forget()
        self.cache.forget()

    def activities(self) -> list[Callable[..., Any]]:
        """The real ones."""
        return [
            *Kubernetes(self.worker, self.cache, bake=self._bake).activities(),
            *Traffic(self.worker).activities(),
            *Passes(self.worker, self.cache).activities(),
            *self._waits.activities(),
            *Restarts(self.worker).activities(),
            *LeavingActivities(self.worker).activities(),
            *RollbackActivities(self.worker).activities(),
        ]

    def tick(self) -> None:
        """Do what is due by now."""
        if self.clock.now < (now := running().now()):
            self.advance(now)
        self._set_alarm()

    def lose_pods(self, image: str, count: int, time: timedelta) -> None:
        """Make so many pods of an image unavailable for a time."""
        lost = [pod for pod in self.pods() if pod["spec"]["containers"][0]["image"] == image][:count]
        self.set_ready(lost, ready=False)
        running().call_later(time.total_seconds(), self._back, lost)

    def _back(self, lost: list[Object]) -> None:
        self.tick()
        self.set_ready(lost, ready=True)

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if (due := self._controllers.next_at) is not None:
            seconds = max((due - running().now()).total_seconds(), 0.0)
            self._alarm = running().call_later(seconds + 1e-6, self.tick)

    def _wake(self, _: Change) -> None:
        self._set_alarm()

    async def _gate(self, call: Call) -> None:
        self.tick()
        await super()._gate(call)
