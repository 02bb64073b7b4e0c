"""An event loop whose time is skipped as soon as everybody waits: an hour of timers takes as long as its callbacks."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

# Later than any machine says it is: what the product dates by the wall clock lies in the past, and so counts.
START = datetime(2100, 1, 1, tzinfo=UTC)

Answer = TypeVar("Answer")


class StandstillError(AssertionError):
    """Everybody waits, and for nothing that could ever happen."""


class _Skipping(selectors.SelectSelector):
    """Waits for no socket: instead of sleeping it moves the time on."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StandstillError
        self.elapsed += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs what never leaves this process, in an order that depends on nothing outside it."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        """Seconds of virtual time since the loop was made."""
        return self._skipping.elapsed

    def now(self) -> datetime:
        """The virtual moment."""
        return START + timedelta(seconds=self.time())


def running() -> VirtualLoop:
    """The loop that this code runs on."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def run_virtually(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Carry a coroutine out in a loop of its own. Raises StandstillError when everybody waits for ever."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
