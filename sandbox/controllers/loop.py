"""The control loop that every controller is: what changed is looked at again until it is as it should be."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

import structlog

from sandbox.kubernetes_api.cluster import Cluster
from sandbox.kubernetes_api.kinds import Kind
from sandbox.kubernetes_api.objects import Object, meta
from sandbox.kubernetes_api.status import ApiError
from sandbox.kubernetes_api.store import Change

_log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0


class Item(NamedTuple):
    """The object that a controller has to look at."""

    namespace: str
    name: str


def item_of(obj: Object) -> Item:
    """The work item of a namespaced object."""
    return Item(meta(obj)["namespace"], meta(obj)["name"])


class Controller(ABC):
    """Brings the objects of one kind in order. Subclasses say what concerns them and what to do about it.

    `reconcile` is called with one item at a time: at the start for everything there is, and again after every
    change that `affected` relates to the item.
    """

    kind: Kind

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.store = cluster.store
        self._queue: dict[Item, None] = {}  # in order, and each only once
        self._work = asyncio.Event()

    @abstractmethod
    def affected(self, change: Change) -> Iterable[Item]:
        """The items that have to be looked at after a write."""

    @abstractmethod
    def reconcile(self, item: Item) -> float | None:
        """Bring one object in order; returns in how many seconds to look again although nothing happened, or None."""

    async def run(self) -> None:
        """Work until cancelled."""
        unsubscribe = self.store.subscribe(lambda change: self._add(self.affected(change)))
        self._add(item_of(obj) for obj in self.store.select(self.kind))
        try:
            while True:
                await self._work.wait()
                while self._queue:
                    item = next(iter(self._queue))
                    del self._queue[item]
                    again = self.look_at(item)
                    if again is not None:
                        asyncio.get_running_loop().call_later(again, self._add, (item,))
                    await asyncio.sleep(0)  # requests come between two items, as they would with a controller far away
                self._work.clear()
        finally:
            unsubscribe()

    def look_at(self, item: Item) -> float | None:
        """As `reconcile`, but whatever goes wrong is logged, and looked at again after a while."""
        try:
            return self.reconcile(item)
        except ApiError as error:
            _log.warning("reconcile_refused", kind=self.kind.kind, item=tuple(item), error=error.message)
        except Exception:  # one object that cannot be handled must not stop the loop for all others
            _log.exception("reconcile_failed", kind=self.kind.kind, item=tuple(item))
        return RETRY_SECONDS

    def _add(self, items: Iterable[Item]) -> None:
        for item in items:
            self._queue[item] = None
            self._work.set()
