"""Waiting until one Rollout's objects look otherwise: nothing is asked of the API server while nothing happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.kubernetes.client import Cluster
from activities.kubernetes.fresh import FreshReader
from activities.kubernetes.informers import Cache, Lister
from activities.kubernetes.seen import Seen
from activities.reconcile.cluster_state import Snapshots
from activities.reconcile.experiment_passes import living, standing, state_digest
from tidegate.contract import AwaitChange, AwaitExperiment, ErrorType

ASK_AGAIN_SECONDS: Final = 1.0  # what the cache does not know is asked of the API server so often
LOOK_ANYWAY_SECONDS: Final = 300.0  # the cache is looked at so often without news, should one ever get lost
GATHER: Final = timedelta(seconds=0.2)  # what changes within so short a time is one change

BetweenLooks = Callable[[Lister], Awaitable[None]]


def not_changed(retry_delay: timedelta | None = None) -> ApplicationError:
    """End of an attempt, after which the wait goes on in the next one: after `retry_delay`, or as its policy says.

    It is shown beside a pending activity, as its last failure, which it is not.
    """
    return ApplicationError(
        "no failure: nothing has changed in the cluster so far, and the wait goes on",
        type=ErrorType.NOT_CHANGED,
        category=ApplicationErrorCategory.BENIGN,
        next_retry_delay=retry_delay,
    )


async def wait_for_change(lister: Lister) -> None:
    """Wait until it is time to look again."""
    await lister.changed(LOOK_ANYWAY_SECONDS if lister.synced else ASK_AGAIN_SECONDS)


class Waits:
    """Waits for changes in what one cluster holds of Rollouts and Experiments."""

    def __init__(self, cluster: Cluster, cache: Cache, *, between_looks: BetweenLooks = wait_for_change) -> None:
        """`between_looks` is called while nothing changed."""
        self._cluster = cluster
        self._cache = cache
        self._between_looks = between_looks

    async def changed(self, request: AwaitChange) -> None:
        """Return when the cluster no longer has the digest.

        A look is not older than that, so that what it shows otherwise is newer: the API server is asked while the cache
        does not show all that the pass before has seen, and where it is not known what that was.
        """
        with self._cache.lister() as lister:
            wait = _Wait(FreshReader(self._cluster, lister, Seen(request.seen)), request)
            await self._until(lister, lambda: _differs(request, wait))

    async def experiment_changed(self, request: AwaitExperiment) -> None:
        """Do the same for an Experiment object and what it owns."""
        with self._cache.lister() as lister:
            reader = FreshReader(self._cluster, lister, Seen(request.seen))
            await self._until(lister, lambda: _experiment_differs(request, reader))

    async def _until(self, lister: Lister, differs: Callable[[], Awaitable[bool]]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        while not await differs():
            await self._between_looks(lister)
        if (left := started + GATHER.total_seconds() - loop.time()) > 0:
            await asyncio.sleep(left)


class _Wait:
    """One wait.

    Attributes:
        hashes: of the versions that stood at the last look.
    """

    def __init__(self, reader: FreshReader, request: AwaitChange) -> None:
        self.reader = reader
        self.snapshots = Snapshots(reader, request)
        self.hashes: frozenset[str] | None = None


async def _differs(request: AwaitChange, wait: _Wait) -> bool:
    lister = wait.reader.lister
    among = None if lister.synced else wait.hashes
    lister.begin()
    try:
        snapshot = await wait.snapshots.snapshot(among)
    except ApplicationError as error:
        if error.non_retryable:
            raise
        lister.synced = False  # so that nobody relies on its news alone
        return False
    wait.hashes = snapshot.hashes
    return snapshot.state_digest() != request.state_digest


async def _experiment_differs(request: AwaitExperiment, reader: FreshReader) -> bool:
    reader.lister.begin()
    try:
        live = await living(reader, request)
        sets = await standing(reader, request)
    except ApplicationError as error:
        if error.non_retryable:
            raise
        reader.lister.synced = False
        return False
    return state_digest(live, sets) != request.state_digest
