"""Pods of a cluster that has no kubelet: each is Ready a second after it was made.

They are bound to no node, so that the API server deletes them at once, as nobody has to end a container.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import PODS, Cluster, Listing, Object
from activities.kubernetes.reflector import DELETED, Failures, Reflector, WatchEvent

log = structlog.get_logger(__name__)

READY_AFTER_SECONDS: Final = 1.0
_CONDITIONS: Final = ("PodScheduled", "Initialized", "ContainersReady", "Ready")


class SimulatedPods:
    """Follows the pods of one namespace."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._seen: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.trouble = ""

    async def replace(self, listing: Listing) -> None:
        """All that there are."""
        for pod in listing.objects:
            self._begin(pod)

    def change(self, change: WatchEvent) -> None:
        """One was made, or changed."""
        if change.object is not None and change.kind != DELETED:
            self._begin(change.object)

    def is_wanted(self) -> bool:
        """Until it is cancelled."""
        return True

    def _begin(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if uid not in self._seen:
            self._seen.add(uid)
            task = asyncio.create_task(self._make_ready(pod))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _make_ready(self, pod: Object) -> None:
        await asyncio.sleep(READY_AFTER_SECONDS)
        metadata = pod["metadata"]
        try:
            await self._cluster.merge_status(PODS, metadata["namespace"], metadata["name"], _ready(pod))
        except ApplicationError as error:  # it was deleted meanwhile
            log.debug("pod not made ready", pod=metadata["name"], error=error.message)


@asynccontextmanager
async def simulated_pods(cluster: Cluster, namespace: str) -> AsyncIterator[None]:
    """Make the pods of a namespace Ready, for as long as the context lasts."""
    reflector = Reflector(cluster, PODS, namespace, SimulatedPods(cluster), timedelta(hours=1), Failures())
    task = asyncio.create_task(reflector.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _ready(pod: Object) -> Object:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    containers = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": container["image"],
            "ready": True,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": now}},
        }
        for container in pod["spec"]["containers"]
    ]
    return {
        "phase": "Running",
        "startTime": now,
        "conditions": [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in _CONDITIONS],
        "containerStatuses": containers,
    }
