"""Follows the Experiment objects of a cluster, and starts the workflow of each that needs one.

The workflow reads its object itself: an edit, an end or a deletion needs no word of the watcher.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from temporalio.common import MetricMeter
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import EXPERIMENTS, Cluster, Listing, Object
from activities.kubernetes.ownership import uid_of
from activities.kubernetes.reflector import DELETED, Failures, Reflector, WatchEvent
from tidegate.client import ExperimentRef, TidegateClient, TidegateError
from tidegate.contract.instances import DEFAULT_INSTANCE, ControllerInstance
from tidegate.watch import needs_workflow
from workers.settings import WatcherSettings
from workers.watch.argo_lock import ArgoLock
from workers.watch.events import HELD_BY_ARGO, held_by, warn
from workers.watch.followed import Followed

log = structlog.get_logger(__name__)

AGAIN_SECONDS: Final = 5.0  # until a start that failed, or that Argo's controller holds up, is tried once more


class ExperimentWatch:
    """Lists and watches them. Two watchers start one workflow."""

    def __init__(
        self,
        cluster: Cluster,
        client: TidegateClient,
        name: str,
        settings: WatcherSettings,
        meter: MetricMeter = MetricMeter.noop,
        instance: ControllerInstance = DEFAULT_INSTANCE,
    ) -> None:
        """`name` is the cluster's in workflow ids; objects of another `instance` are left alone."""
        self._cluster = cluster
        self._client = client
        self._name = name
        self._settings = settings
        self._instance = instance
        self._lock = ArgoLock(cluster, instance, settings.namespaces_of_argo())
        self._failures = Failures(meter)
        self._started: dict[str, None] = {}  # uids, so that a change is no other start
        self._starting: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for namespace in self._settings.followed_namespaces():
                followed = self._followed(tasks)
                reflector = Reflector(
                    self._cluster, EXPERIMENTS, namespace, followed, self._settings.resync, self._failures
                )
                tasks.create_task(reflector.run())

    def _followed(self, tasks: asyncio.TaskGroup) -> Followed:
        async def listed(listing: Listing) -> None:
            for found in listing.objects:
                self.take(found, tasks, listed=True)

        def changed(change: WatchEvent) -> None:
            if change.object is None:
                return
            if change.kind == DELETED:
                self.forget(change.object)
            else:
                self.take(change.object, tasks, listed=False)

        return Followed(listed, changed)

    def take(self, found: Object, tasks: asyncio.TaskGroup, *, listed: bool) -> None:
        """Start the workflow of an object that needs one.

        One that was started is started again for a list, as its workflow may have been terminated, and where its status
        was taken away, which is another try.
        """
        uid = uid_of(found)
        if not self._instance.acts_on(found) or not needs_workflow(found):
            self._started.pop(uid, None)
        elif uid not in self._starting and (listed or uid not in self._started or not found.get("status")):
            self._starting[uid] = task = tasks.create_task(self._start(found))
            task.add_done_callback(lambda _: self._starting.pop(uid, None))

    def forget(self, found: Object) -> None:
        """Start nothing for an object that was deleted."""
        self._started.pop(uid_of(found), None)
        if (task := self._starting.get(uid_of(found))) is not None:
            task.cancel()

    async def _start(self, found: Object) -> None:
        """Start it, as soon as that is possible."""
        metadata = found["metadata"]
        experiment = ExperimentRef(metadata["namespace"], metadata["name"], self._name)
        while True:
            try:
                if not await self._is_held(found):
                    if await self._client.start_experiment(experiment, uid_of(found)):
                        log.info("requested", command="experiment", experiment=experiment.prefix)
                    self._started[uid_of(found)] = None
                    return
            except (TidegateError, ApplicationError) as error:
                log.warning("experiment not started yet", experiment=experiment.prefix, why=error.message)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _is_held(self, found: Object) -> bool:
        """True while a controller of Argo's acts on the object as well, which an Event says."""
        if holder := await self._lock.holder():
            await warn(self._cluster, found, HELD_BY_ARGO, holder, held_by(holder, EXPERIMENTS.kind), EXPERIMENTS)
        return bool(holder)
