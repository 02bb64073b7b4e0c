"""Follows the Rollout objects of a cluster, and attends to each as it changes."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from temporalio.common import MetricMeter
from temporalio.exceptions import ApplicationError

from activities.cluster import DEPLOYMENTS, ROLLOUTS, Cluster, Object
from activities.watching import DELETED, changes, list_all
from tidegate.client import TidegateClient, TidegateError
from tidegate.manifests.workload import needs_template, reference_of
from workers.settings import WatcherSettings
from workers.watch_door import Door, Sighting
from workers.watch_stuck import StuckReleases

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
    ) -> None:
        """`name` is the cluster's in requests and workflow ids; `meter` shows how many objects are followed."""
        self._cluster = cluster
        self._client = client
        self._name = name
        self._settings = settings
        self._door = Door(cluster, client, name)
        self._stuck = StuckReleases(cluster, client, name, settings)
        self._attendants: dict[Key, _Attendant] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._followed = meter.create_gauge("tidegate_watched_rollouts", "Rollout objects when all were last looked at")
        self._troubles = dict.fromkeys(settings.wanted(), "not listed yet")
        self._with_workloads: set[str] = set()  # namespaces, as wanted, whose Deployments are followed

    def trouble(self) -> str:
        """Why not all objects are seen, empty when they are."""
        return next(filter(None, self._troubles.values()), "")

    async def run(self) -> None:
        """Go on until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for namespace in self._settings.wanted():
                tasks.create_task(self._follow(namespace, tasks))
            tasks.create_task(self._look_for_stopped(tasks))
            tasks.create_task(self._stuck.run())

    async def _follow(self, namespace: str, tasks: asyncio.TaskGroup) -> None:
        delay, first = FIRST_DELAY_SECONDS, True
        while True:
            try:
                version = await self._look_at_all(namespace, tasks, first=first)
                self._troubles[namespace], first = "", False
                delay = FIRST_DELAY_SECONDS
                await self._look_at_changes(namespace, version, tasks)
            except ApplicationError as error:
                self._troubles[namespace] = error.message
                log.warning("watch broken off", namespace=namespace or "all", error=error.message)
                await asyncio.sleep(delay)
                delay = min(delay * 2, LAST_DELAY_SECONDS)

    async def _follow_workloads(self, namespace: str, tasks: asyncio.TaskGroup) -> None:
        """Attend to a Rollout when the Deployment changes that it takes its pod template from."""
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                _, version = await list_all(self._cluster, DEPLOYMENTS, namespace)
                seconds = max(1, round(self._settings.resync.total_seconds()))
                async with aclosing(changes(self._cluster, DEPLOYMENTS, namespace, version, seconds)) as stream:
                    async for change in stream:
                        delay = FIRST_DELAY_SECONDS
                        if change.object is not None:
                            self._attend_to_users(_key(change.object), tasks)
            except ApplicationError as error:
                log.warning("Deployments not watched", namespace=namespace or "all", error=error.message)
                await asyncio.sleep(delay)
                delay = min(delay * 2, LAST_DELAY_SECONDS)

    def _attend_to_users(self, workload: Key, tasks: asyncio.TaskGroup) -> None:
        for key, attendant in list(self._attendants.items()):
            found = attendant.seen
            reference = reference_of(found) if found is not None and key[0] == workload[0] else None
            if reference is not None and reference.name == workload[1]:
                self._attend(tasks, key, Sighting(found))

    async def _look_at_all(self, namespace: str, tasks: asyncio.TaskGroup, *, first: bool) -> str:
        """Attend to every object, and to every release whose object may be gone; returns the version of the list.

        At the `first` look those that have ended count, too: their objects may have gone while nobody looked.
        """
        objects, version = await list_all(self._cluster, ROLLOUTS, namespace)
        self._followed.set(len(objects), {"watched": namespace or "all"})
        for found in objects:
            self._attend(tasks, _key(found), Sighting(found, recheck=True))
        listed = {_key(found) for found in objects}
        known = {key for key in self._attendants if namespace in ("", key[0])}
        for key in (known | await self._released(namespace, ended=first)) - listed:
            self._attend(tasks, key, Sighting(None, missing=True))
        return version

    async def _released(self, namespace: str, *, ended: bool) -> set[Key]:
        try:
            releases = await self._client.list(namespace or None, cluster=self._name)
        except TidegateError as error:
            log.warning(
                "releases not listed: one whose Rollout is gone may go on until the next time", why=error.message
            )
            return set()
        return {(each.namespace, each.name) for each in releases if ended or each.state == RUNNING}

    async def _look_for_stopped(self, tasks: asyncio.TaskGroup) -> None:
        """Attend to every Rollout whose release was terminated: nothing changes in the object then.

        What was found once is found again for a while, as Temporal's records come late; it does no harm.
        """
        wanted = self._settings.wanted()
        while True:
            await asyncio.sleep(self._settings.stopped_every.total_seconds())
            try:
                stopped = await self._client.stopped(self._name, datetime.now(UTC) - SEEN_AGAIN)
            except TidegateError as error:
                log.warning("releases not listed: one that was terminated is noticed later", why=error.message)
                continue
            for each in stopped:
                if "" in wanted or each.namespace in wanted:
                    self._attend(tasks, (each.namespace, each.name), Sighting(None))

    async def _look_at_changes(self, namespace: str, version: str, tasks: asyncio.TaskGroup) -> None:
        """Attend to every change until it is time to look at all again."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._settings.resync.total_seconds()
        while (left := end - loop.time()) > 0:
            watched = changes(self._cluster, ROLLOUTS, namespace, version, max(1, round(left)))
            async with aclosing(watched) as stream:
                async for change in stream:
                    version = change.version or version
                    if change.object is not None:
                        seen = Sighting(change.object, deleted=change.kind == DELETED)
                        self._attend(tasks, _key(change.object), seen)

    def _attend(self, tasks: asyncio.TaskGroup, key: Key, sighting: Sighting) -> None:
        if sighting.object is not None and needs_template(sighting.object):
            followed = key[0] if key[0] in self._troubles else ""
            if followed not in self._with_workloads:
                self._with_workloads.add(followed)
                tasks.create_task(self._follow_workloads(followed, tasks))
        attendant = self._attendants.get(key)
        if attendant is None:
            attendant = self._attendants[key] = _Attendant(self._door, key, self._at_once)
            tasks.create_task(self._until_dismissed(key, attendant))
        attendant.tell(sighting)

    async def _until_dismissed(self, key: Key, attendant: _Attendant) -> None:
        await attendant.run()
        del self._attendants[key]


class _Attendant:
    """Brings the newest sighting of one object to the door, again and again while it has to."""

    def __init__(self, door: Door, key: Key, at_once: asyncio.Semaphore) -> None:
        self._door = door
        self._key = key
        self._at_once = at_once
        self._sighting = Sighting(None)
        self.seen: Object | None = None  # as it was seen last
        self._news = asyncio.Event()

    def tell(self, sighting: Sighting) -> None:
        """The object was seen, or is to be looked at."""
        self._sighting = sighting
        if sighting.object is not None or sighting.missing:
            self.seen = sighting.object
        self._news.set()

    async def run(self) -> None:
        """Attend until the object is gone and nothing is left to say about it."""
        delay = FIRST_DELAY_SECONDS
        while True:
            if self._news.is_set():
                delay = FIRST_DELAY_SECONDS
            self._news.clear()
            again = await self._bring(self._sighting)
            if again:
                await self._wait(delay)
                delay = min(delay * 2, LAST_DELAY_SECONDS)
                if not self._news.is_set() and not self._sighting.deleted:
                    # What is asked once more is asked of the object as it stands by then.
                    self._sighting = replace(self._sighting, object=None)
            elif not self._news.is_set():
                if self._sighting.deleted or self.seen is None:
                    return
                await self._news.wait()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    async def _bring(self, sighting: Sighting) -> bool:
        namespace, name = self._key
        try:
            async with self._at_once:
                return await self._door.answer(namespace, name, sighting)
        except (TidegateError, ApplicationError) as error:
            log.warning("not answered yet", namespace=namespace, name=name, why=error.message)
        except Exception:  # one object that nobody foresaw must not keep the others from being attended to
            log.exception("not answered", namespace=namespace, name=name)
        return True


def _key(found: Object) -> Key:
    metadata = found.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
