"""Follows the Rollout objects of a cluster, and attends to each as it changes; beside it the Experiment objects."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from temporalio.common import MetricMeter
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import DEPLOYMENTS, ROLLOUTS, Cluster, Listing, Object, Resource
from activities.kubernetes.reflector import DELETED, Failures, Reflector, WatchEvent
from activities.kubernetes.turns import Turns
from tidegate.client import TidegateClient, TidegateError
from tidegate.contract.instances import DEFAULT_INSTANCE, ControllerInstance
from tidegate.contract.metrics import WATCHED_ROLLOUTS
from tidegate.manifests.workload import needs_template, reference_of
from workers.settings import WatcherSettings
from workers.watch.dispatch import ObservedRollout, RolloutDispatcher
from workers.watch.experiments import ExperimentWatch
from workers.watch.followed import NOT_LISTED, Followed
from workers.watch.gauges import RolloutGauges
from workers.watch.stuck import StuckReleases

log = structlog.get_logger(__name__)

FIRST_DELAY_SECONDS: Final = 0.2
LAST_DELAY_SECONDS: Final = 30.0
AT_ONCE: Final = 16
SEEN_AGAIN: Final = timedelta(minutes=1)
RUNNING: Final = "Running"
Key = tuple[str, str]


class Watch:
    """Lists, watches, and begins again where the server forgot or went away; `trouble` says when it cannot."""

    def __init__(
        self,
        cluster: Cluster,
        client: TidegateClient,
        name: str,
        settings: WatcherSettings,
        meter: MetricMeter = MetricMeter.noop,
        instance: ControllerInstance = DEFAULT_INSTANCE,
    ) -> None:
        """`name` is the cluster's in requests and workflow ids; `meter` shows what is followed, and what fails.

        Objects of another `instance` are not followed.
        """
        self._cluster = cluster
        self._client = client
        self._name = name
        self._settings = settings
        self._instance = instance
        self._dispatcher = RolloutDispatcher(cluster, client, name, instance, settings.namespaces_of_argo())
        self._stuck = StuckReleases(cluster, client, name, settings)
        self._experiments = ExperimentWatch(cluster, client, name, settings, meter, instance)
        self._workers: dict[Key, _ObjectWorker] = {}
        self._turns = Turns(AT_ONCE)
        self._failures = Failures(meter)
        self._meter = meter
        self._gauges = RolloutGauges(meter)
        self._rollouts: dict[str, Followed] = {}  # by namespace, as wanted
        self._with_workloads: set[str] = set()  # namespaces, as wanted, whose Deployments are followed

    def trouble(self) -> str:
        """Reason why not all objects are seen, empty when they are."""
        if not self._rollouts:
            return NOT_LISTED
        return next(filter(None, (followed.trouble for followed in self._rollouts.values())), "")

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for namespace in self._settings.followed_namespaces():
                self._follow_rollouts(namespace, tasks)
            tasks.create_task(self._poll_stopped(tasks))
            tasks.create_task(self._stuck.run())
            tasks.create_task(self._experiments.run())

    def _follow_rollouts(self, namespace: str, tasks: asyncio.TaskGroup) -> None:
        first = True

        async def listed(listing: Listing) -> None:
            nonlocal first
            await self._enqueue_all(namespace, listing.objects, tasks, first=first)
            first = False

        def changed(change: WatchEvent) -> None:
            if change.object is not None:
                self._take_change(change.object, deleted=change.kind == DELETED, tasks=tasks)

        self._rollouts[namespace] = self._follow(ROLLOUTS, namespace, Followed(listed, changed), tasks)

    def _take_change(self, found: Object, *, deleted: bool, tasks: asyncio.TaskGroup) -> None:
        """Enqueue a changed object of this instance, or one that was until now."""
        key, own = _key(found), self._instance.acts_on(found)
        if own or key in self._workers:
            self._gauges.show(key, found if own and not deleted else None)
            self._enqueue(tasks, key, ObservedRollout(found, deleted=deleted))

    def _follow_workloads(self, namespace: str, tasks: asyncio.TaskGroup) -> None:
        """Enqueue a Rollout when the Deployment of its workloadRef changes."""

        async def listed(listing: Listing) -> None:
            self._enqueue_users({_key(each) for each in listing.objects}, tasks)

        def changed(change: WatchEvent) -> None:
            if change.object is not None:
                self._enqueue_users({_key(change.object)}, tasks)

        self._follow(DEPLOYMENTS, namespace, Followed(listed, changed), tasks)

    def _follow(self, resource: Resource, namespace: str, followed: Followed, tasks: asyncio.TaskGroup) -> Followed:
        tasks.create_task(
            Reflector(self._cluster, resource, namespace, followed, self._settings.resync, self._failures).run()
        )
        return followed

    def _enqueue_users(self, workloads: Collection[Key], tasks: asyncio.TaskGroup) -> None:
        for key, worker in list(self._workers.items()):
            found = worker.seen
            reference = reference_of(found) if found is not None else None
            if reference is not None and (key[0], reference.name) in workloads:
                self._enqueue(tasks, key, ObservedRollout(found))

    async def _enqueue_all(
        self, namespace: str, objects: Sequence[Object], tasks: asyncio.TaskGroup, *, first: bool
    ) -> None:
        """Enqueue every object of this instance, and every release whose object is not among them any more.

        At the `first` list, releases that have ended count, too: their objects may have been deleted without a watcher.
        """
        objects = [found for found in objects if self._instance.acts_on(found)]
        WATCHED_ROLLOUTS.set(self._meter, len(objects), watched=namespace or "all")
        self._gauges.show_all(namespace, {_key(found): found for found in objects})
        for found in objects:
            self._enqueue(tasks, _key(found), ObservedRollout(found, recheck=True))
        listed = {_key(found) for found in objects}
        known = {key for key in self._workers if namespace in ("", key[0])}
        for key in (known | await self._released(namespace, ended=first)) - listed:
            self._enqueue(tasks, key, ObservedRollout(None, missing=True))

    async def _released(self, namespace: str, *, ended: bool) -> set[Key]:
        try:
            releases = await self._client.list(namespace or None, cluster=self._name)
        except TidegateError as error:
            log.warning(
                "releases not listed: one whose Rollout is gone may go on until the next time", why=error.message
            )
            return set()
        return {(each.namespace, each.name) for each in releases if ended or each.state == RUNNING}

    async def _poll_stopped(self, tasks: asyncio.TaskGroup) -> None:
        """Enqueue every Rollout whose release was terminated: the object does not change then.

        Each one is found again for a while, as Temporal's records come late; it does no harm.
        """
        namespaces = self._settings.followed_namespaces()
        while True:
            await asyncio.sleep(self._settings.stopped_every.total_seconds())
            try:
                stopped = await self._client.stopped(self._name, datetime.now(UTC) - SEEN_AGAIN)
            except TidegateError as error:
                log.warning("releases not listed: one that was terminated is noticed later", why=error.message)
                continue
            for each in stopped:
                if "" in namespaces or each.namespace in namespaces:
                    self._enqueue(tasks, (each.namespace, each.name), ObservedRollout(None))

    def _enqueue(self, tasks: asyncio.TaskGroup, key: Key, observed: ObservedRollout) -> None:
        if observed.object is not None and needs_template(observed.object):
            followed = key[0] if key[0] in self._rollouts else ""
            if followed not in self._with_workloads:
                self._with_workloads.add(followed)
                self._follow_workloads(followed, tasks)
        worker = self._workers.get(key)
        if worker is None:
            worker = self._workers[key] = _ObjectWorker(self._dispatcher, key, self._turns)
            tasks.create_task(self._until_removed(key, worker))
        worker.update(observed)

    async def _until_removed(self, key: Key, worker: _ObjectWorker) -> None:
        await worker.run()
        del self._workers[key]


class _ObjectWorker:
    """Brings the latest state of one object to the dispatcher, again when the dispatcher requires it."""

    def __init__(self, dispatcher: RolloutDispatcher, key: Key, turns: Turns) -> None:
        self._dispatcher = dispatcher
        self._key = key
        self._turns = turns
        self._observed = ObservedRollout(None)
        self.seen: Object | None = None  # as of the last event
        self._updated = asyncio.Event()

    def update(self, observed: ObservedRollout) -> None:
        """Take a new state of the object."""
        self._observed = observed
        if observed.object is not None or observed.missing:
            self.seen = observed.object
        self._updated.set()

    async def run(self) -> None:
        """Dispatch until the object is gone and no command is left."""
        delay = FIRST_DELAY_SECONDS
        while True:
            if self._updated.is_set():
                delay = FIRST_DELAY_SECONDS
            self._updated.clear()
            again = await self._dispatch(self._observed)
            if again:
                await self._wait(delay)
                delay = min(delay * 2, LAST_DELAY_SECONDS)
                if not self._updated.is_set() and not self._observed.deleted:
                    # Another attempt reads the object as it is by then.
                    self._observed = replace(self._observed, object=None)
            elif not self._updated.is_set():
                if self._observed.deleted or self.seen is None:
                    return
                await self._updated.wait()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._updated.wait()
        except TimeoutError:
            return

    async def _dispatch(self, observed: ObservedRollout) -> bool:
        namespace, name = self._key
        try:
            async with self._turns.of(namespace):
                return await self._dispatcher.dispatch(namespace, name, observed)
        except (TidegateError, ApplicationError) as error:
            log.warning("not answered yet", namespace=namespace, name=name, why=error.message)
        except Exception:  # an unforeseen error of one object must not stop the others
            log.exception("not answered", namespace=namespace, name=name)
        return True


def _key(found: Object) -> Key:
    metadata = found.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
