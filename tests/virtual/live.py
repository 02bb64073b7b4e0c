"""A cluster in the time of the virtual loop, reached by a wire that may lose what travels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import activity

from activities.cluster import WATCHER_AGENT, WORKER_AGENT
from activities.istio import IstioTraffic
from activities.kubernetes import Kubernetes
from activities.passes import LINGER, LOOK, LOOK_AGAIN_SECONDS, Passes, not_changed
from activities.restarts import Restarts
from activities.rollbacks import Rollbacks
from sandbox.kubernetes_api import Call, Change
from tests.virtual.cluster import VirtualCluster
from tests.virtual.temporal.chances import Chances
from tests.virtual.temporal.loop import running
from tests.virtual.wire import Wire

UNSEEN = ("Event", "AnalysisRun", "Pod", "Endpoints", "EndpointSlice")  # no look at a release's objects shows them
HEARTBEAT_SECONDS = 4.0


class LiveCluster(VirtualCluster):
    """What happens by itself happens when its time has come; nobody has to move the time on."""

    def __init__(self, chances: Chances, **fields: Any) -> None:
        super().__init__(running().now(), **fields)
        self._chances = chances
        self._changed: dict[asyncio.Event, None] = {}  # in the order of waiting
        self._changes = 0
        self._seen: dict[Any, int] = {}  # by the task of an attempt, how many changes there were at its last look
        self._alarm: asyncio.TimerHandle | None = None
        self.worker = Wire(self.api, WORKER_AGENT, chances)
        self.watcher = Wire(self.api, WATCHER_AGENT, chances)
        self.api.store.subscribe(self._wake)

    async def stop(self) -> None:
        """End what is on its way."""
        if self._alarm is not None:
            self._alarm.cancel()
        await self.worker.close()
        await self.watcher.close()

    def activities(self) -> list[Callable[..., Any]]:
        """The real ones; whoever waits for a change looks again when there was one, not four times a second."""
        return [
            *Kubernetes(self.worker, bake=self._bake).activities(),
            *IstioTraffic(self.worker).activities(),
            *Passes(self.worker, between_looks=self._until_changed, for_pods=self._for_pods).activities(),
            *Restarts(self.worker).activities(),
            *Rollbacks(self.worker).activities(),
        ]

    def tick(self) -> None:
        """Do what is due by now."""
        if self.clock.now < (now := running().now()):
            self.advance(now)
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if (due := self._controllers.next_at) is not None:
            seconds = max((due - running().now()).total_seconds(), 0.0)
            self._alarm = running().call_later(seconds + 1e-6, self.tick)

    def _wake(self, change: Change) -> None:
        if change.kind.kind not in UNSEEN:
            self._changes += 1
            for event in list(self._changed):
                event.set()
        self._set_alarm()

    async def _gate(self, call: Call) -> None:
        self.tick()
        await super()._gate(call)

    async def _until_changed(self, elapsed: timedelta) -> None:
        """What changed while somebody looked is looked for once more."""
        task = asyncio.current_task()
        if self._seen.get(task) == self._changes:
            while not await self._change(HEARTBEAT_SECONDS):
                elapsed += timedelta(seconds=HEARTBEAT_SECONDS)
                if elapsed >= LOOK:
                    self._seen.pop(task, None)
                    raise not_changed()
                activity.heartbeat()
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        self._seen[task] = self._changes

    async def _for_pods(self, elapsed: timedelta) -> bool:
        return elapsed < LINGER and await self._change((LINGER - elapsed).total_seconds())

    async def _change(self, seconds: float) -> bool:
        """Wait for a change; returns whether there was one."""
        event = asyncio.Event()
        self._changed[event] = None
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return False
        finally:
            self._changed.pop(event, None)
        return True
