"""Turns among namespaces: one that asks for much does not keep the others waiting behind all that it asks for."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Limit of concurrent turns; one that becomes free goes to the namespace with the fewest, which has waited longest.

    While others wait, none is given more than its share; where no other does, one namespace may have all.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._under_way: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # by namespace, in the order of their first

    @asynccontextmanager
    async def of(self, namespace: str) -> AsyncIterator[None]:
        """Wait for a turn of a namespace, and have it for as long as the context lasts."""
        if self._free:
            self._take(namespace)
        else:
            await self._wait(namespace)
        try:
            yield
        finally:
            self._give_back(namespace)

    def _take(self, namespace: str) -> None:
        self._free -= 1
        self._under_way[namespace] += 1

    async def _wait(self, namespace: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given, and will not be used
                self._give_back(namespace)
            raise

    def _give_back(self, namespace: str) -> None:
        self._free += 1
        self._under_way[namespace] -= 1
        if not self._under_way[namespace]:
            del self._under_way[namespace]
        while self._free and self._waiting:
            chosen = min(self._waiting, key=lambda each: self._under_way[each])
            turn = self._waiting[chosen].popleft()
            # The next one of the same namespace stands behind the others that have as few.
            if rest := self._waiting.pop(chosen):
                self._waiting[chosen] = rest
            if not turn.done():
                self._take(chosen)
                turn.set_result(None)
