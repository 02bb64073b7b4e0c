"""Every object of a kind, and then every change of one: Kubernetes' list and watch, as client-go's Reflector."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Final, NamedTuple, Protocol

import structlog
from temporalio.common import MetricMeter
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import Cluster, Listing, Object, Resource
from tidegate.contract import ErrorType
from tidegate.contract.metrics import WATCH_FAILURES

log = structlog.get_logger(__name__)

DELETED: Final = "DELETED"
_BOOKMARK: Final = "BOOKMARK"
# How long the server lets one watch last, each another time, so that they do not all end together (client-go: 5 to 10
# minutes).
WATCH_SECONDS: Final = (240.0, 360.0)
# After so long without a word the connection is dead: an API server sends a bookmark each minute, give or take a
# quarter of it.
SILENCE_SECONDS: Final = 90.0
GRACE_SECONDS: Final = 15.0  # beyond the time after which the server ends a watch by itself
TOO_SHORT_SECONDS: Final = 1.0  # a watch that ends so soon, and tells nothing, is no reason to begin another at once
FIRST_DELAY_SECONDS: Final = 0.2
LAST_DELAY_SECONDS: Final = 30.0
LIST_AGAIN: Final = 3  # failures in a row after which the version may be what the server cannot go on from


class WatchEvent(NamedTuple):
    """One event of a watch: ADDED, MODIFIED or DELETED with the object; only `version` counts where that is None."""

    kind: str
    object: Object | None
    version: str


class Follower(Protocol):
    """Who hears of the objects.

    Attributes:
        trouble: why changes may be missed just now, empty while none is.
    """

    trouble: str

    async def replace(self, listing: Listing) -> None:
        """These are all the objects that there are."""

    def change(self, change: WatchEvent) -> None:
        """One of them changed, or a version was reached."""

    def is_wanted(self) -> bool:
        """Asked before each list: whether to go on."""


class Failures:
    """Counts what broke watches off, by kind of object and type of the failure."""

    def __init__(self, meter: MetricMeter = MetricMeter.noop) -> None:
        self._meter = meter

    def note(self, kind: str, failure: str) -> None:
        """One more."""
        WATCH_FAILURES.add(self._meter, kind=kind, failure=failure)


class Reflector:
    """Lists, watches, and goes on where it was cut off; lists again where the server forgot, and now and then anyway.

    Every failure is told to the follower and in the log, and tried again after a growing time, never at the same moment
    as others do it.
    """

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        namespace: str,
        follower: Follower,
        resync: timedelta,
        failures: Failures,
    ) -> None:
        """An empty `namespace` means all; `resync` is after how long all objects are listed again."""
        self._counted = failures
        self._cluster = cluster
        self._resource = resource
        self._namespace = namespace
        self._follower = follower
        self._resync = resync.total_seconds()
        self._version = ""  # empty: to be listed
        self._list_at = 0.0
        self._failures = 0

    async def run(self) -> None:
        """Go on until cancelled, or until nobody wants it any more."""
        while True:
            if asyncio.get_running_loop().time() >= self._list_at:
                self._version = ""
            if not self._version and not self._follower.is_wanted():
                return
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except ApplicationError as error:
                await self._failed(error)

    async def _list(self) -> None:
        listing = await self._cluster.listing(self._resource, self._namespace, {})
        await self._follower.replace(listing)
        self._version = listing.version
        self._list_at = asyncio.get_running_loop().time() + self._resync

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        begun, told = loop.time(), False
        seconds = max(1, round(min(random.uniform(*WATCH_SECONDS), self._list_at - begun)))
        watched = changes(self._cluster, self._resource, self._namespace, self._version, seconds, self._opened)
        async with aclosing(watched) as stream:
            async for change in stream:
                told, self._failures = True, 0
                self._version = change.version or self._version
                self._follower.change(change)
                await asyncio.sleep(0)  # what has come already is taken without waiting: others have their turn between
        if not told and loop.time() - begun < min(TOO_SHORT_SECONDS, seconds / 2):
            raise ApplicationError("a watch ended as soon as it had begun", type=ErrorType.UNAVAILABLE)

    def _opened(self) -> None:
        self._follower.trouble = ""

    async def _failed(self, error: ApplicationError) -> None:
        self._failures += 1
        # `Rejected` may mean that the server has forgotten the version (410).
        if error.type == ErrorType.REJECTED or self._failures >= LIST_AGAIN:
            self._version = ""
        self._follower.trouble = error.message
        self._counted.note(self._resource.kind, error.type or "Unknown")
        where = self._namespace or "all"
        log.warning("watch broken off", kind=self._resource.kind, namespace=where, error=error.message)
        delay = min(FIRST_DELAY_SECONDS * 2 ** min(self._failures - 1, 10), LAST_DELAY_SECONDS)
        await asyncio.sleep(delay * random.uniform(0.75, 1.25))


async def changes(
    cluster: Cluster, resource: Resource, namespace: str, version: str, seconds: int, opened: Callable[[], None]
) -> AsyncGenerator[WatchEvent, None]:
    """Watch for `seconds`, or until the server ends it; `opened` is called when it has begun.

    Raises as `Cluster` does. `Rejected` may mean that the server has forgotten `version` (410): then list again.
    """
    query = [
        ("watch", "1"),
        ("resourceVersion", version),
        ("allowWatchBookmarks", "true"),
        ("timeoutSeconds", str(seconds)),
    ]
    longest = seconds + GRACE_SECONDS
    end = asyncio.get_running_loop().time() + longest
    stream = cluster.stream(resource.path(namespace), query, min(SILENCE_SECONDS, longest), opened)
    async for event in stream:
        kind, seen = str(event.get("type")), event.get("object")
        if not isinstance(seen, dict):
            continue
        reached = str((seen.get("metadata") or {}).get("resourceVersion") or "")
        yield WatchEvent(kind, None if kind == _BOOKMARK else seen, reached)
        if asyncio.get_running_loop().time() >= end:  # a server that forgot its own limit
            return
