"""The controllers in a time of one's own: they act at once after every write, and otherwise when time is moved on."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from datetime import UTC, datetime, timedelta

from sandbox.controllers.loop import Controller, Item
from sandbox.kubernetes_api.store import Change, Store


class SteppedClock:
    """A time that stands still until somebody moves it on; it never goes back."""

    def __init__(self, start: datetime) -> None:
        self.now = start.astimezone(UTC)

    def __call__(self) -> datetime:
        """The present."""
        return self.now

    def set(self, to: datetime) -> None:
        """Move on to a moment; one that has passed changes nothing."""
        self.now = max(self.now, to.astimezone(UTC))


class SteppedControllers:
    """Runs controllers without an event loop, in the time of the clock that their store has."""

    def __init__(self, store: Store, clock: SteppedClock, controllers: list[Controller]) -> None:
        self._clock = clock
        self._controllers = controllers
        self._queue: deque[tuple[Controller, Item]] = deque()
        self._later: list[tuple[datetime, int, Controller, Item]] = []
        self._numbers = itertools.count()
        self._working = False
        store.subscribe(self._written)

    @property
    def next_at(self) -> datetime | None:
        """When something will happen by itself, None when nothing will."""
        return self._later[0][0] if self._later else None

    def advance(self, to: datetime) -> None:
        """Let time pass until `to`, and do on the way what is due."""
        while self._later and self._later[0][0] <= to:
            at, _, controller, item = heapq.heappop(self._later)
            self._clock.set(at)
            self._queue.append((controller, item))
            self._work()
        self._clock.set(to)

    def _written(self, change: Change) -> None:
        for controller in self._controllers:
            for item in controller.affected(change):
                if (controller, item) not in self._queue:
                    self._queue.append((controller, item))
        self._work()

    def _work(self) -> None:
        if self._working:  # a write of the work itself
            return
        self._working = True
        try:
            while self._queue:
                controller, item = self._queue.popleft()
                again = controller.look_at(item)
                if again is not None:
                    at = self._clock.now + timedelta(seconds=again)
                    heapq.heappush(self._later, (at, next(self._numbers), controller, item))
        finally:
            self._working = False
