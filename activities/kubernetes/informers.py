"""A cache of an API server's objects, fed by watches, as client-go's shared informers; waits end on changes.

Each kind in each namespace in which something is read has one informer, from the first read until nothing was
read for a while. So a worker needs no more rights than in the namespaces in which it releases something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Final

import structlog
from temporalio.common import MetricMeter

from activities.kubernetes.client import Cluster, Listing, Object, Resource
from activities.kubernetes.ownership import rollouts_of
from activities.kubernetes.reflector import DELETED, Failures, Reflector, WatchEvent

log = structlog.get_logger(__name__)

RESYNC: Final = timedelta(minutes=10)
Name = tuple[str, str]  # namespace and name
Part = tuple[str, str, str]  # what somebody has read of a kind: an object, a Rollout's objects, or all of a namespace
_OBJECT, _ROLLOUT, _ALL = "object", "rollout", "all"
Labels = Mapping[str, str | Collection[str] | None]
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


class Informer:
    """The objects of one kind, by their names and by the Rollouts that they may belong to.

    Attributes:
        version: the resourceVersion that was reached.
    """

    def __init__(
        self, cluster: Cluster, resource: Resource, namespace: str, resync: timedelta, failures: Failures
    ) -> None:
        """An empty `namespace` means all."""
        self.version = ""
        self._trouble = "not listed yet"
        self._objects: dict[Name, Object] = {}
        self._of_rollout: dict[Name, dict[Name, None]] = {}  # in order, so that what is read does not hang on a hash
        self._listers: dict[Part, dict[Lister, None]] = {}
        self._everyone: dict[Lister, None] = {}
        self._read = True  # since the last list
        self._reached: dict[asyncio.Event, None] = {}  # of those who wait for a version
        self._reflector = Reflector(cluster, resource, namespace, self, resync, failures)

    async def run(self) -> None:
        """Follow the objects until cancelled, or until none was read from one list to the next."""
        await self._reflector.run()

    @property
    def synced(self) -> bool:
        """True when all objects are here, and their changes are heard of."""
        return not self._trouble

    def has_reached(self, version: int) -> bool:
        """True when all that was written up to then is here."""
        return self.version.isdecimal() and int(self.version) >= version

    async def reach(self, version: int, seconds: float) -> bool:
        """Wait until all that was written up to then is here, for at most so long; whether it is."""
        reached = asyncio.Event()
        self._reached[reached] = None
        try:
            async with asyncio.timeout(seconds):
                while not self.has_reached(version):
                    reached.clear()
                    await reached.wait()
        except TimeoutError:
            return False
        finally:
            del self._reached[reached]
        return True

    # --------------------------------------------------------------------------------------------------------- reading

    def get(self, namespace: str, name: str) -> Object | None:
        """One object, or None where there is none."""
        return self._objects.get((namespace, name))

    def select(self, namespace: str, labels: Labels, rollout: str) -> list[Object]:
        """Those in a namespace that carry the labels; with the name of a `rollout`, of those that belong to it."""
        names = self._of_rollout.get((namespace, rollout), {}) if rollout else self._objects
        found = (self._objects[each] for each in sorted(names) if each[0] == namespace)
        return [each for each in found if _carries(each, labels)]

    def subscribe(self, part: Part, lister: Lister) -> None:
        """Subscribe a lister to the changes of a part that it reads."""
        self._read = True
        self._listers.setdefault(part, {})[lister] = None
        self._everyone[lister] = None

    def unsubscribe(self, part: Part, lister: Lister) -> None:
        """He no longer reads it."""
        self._everyone.pop(lister, None)
        if (listers := self._listers.get(part)) is not None:
            listers.pop(lister, None)
            if not listers:
                del self._listers[part]

    # --------------------------------------------------------------------------------------------------- as a follower

    @property
    def trouble(self) -> str:
        """Why changes may be missed just now, empty while none is."""
        return self._trouble

    @trouble.setter
    def trouble(self, why: str) -> None:
        turned = bool(why) != bool(self._trouble)
        self._trouble = why
        if turned:  # who asked the server may read here now, or the other way round
            for lister in list(self._everyone):
                lister.wake()

    async def replace(self, listing: Listing) -> None:
        """These are all the objects that there are."""
        found = {_name(each): each for each in listing.objects}
        for name in [name for name in self._objects if name not in found]:
            self._put(name, None)
        for name, each in found.items():
            if version_of(self._objects.get(name)) != version_of(each):
                self._put(name, each)
        self._advance(listing.version)
        self._read = bool(self._everyone)

    def change(self, change: WatchEvent) -> None:
        """One of them changed, or a version was reached."""
        if change.object is not None:
            self._put(_name(change.object), None if change.kind == DELETED else change.object)
        self._advance(change.version or self.version)

    def _advance(self, version: str) -> None:
        self.version = version
        for reached in list(self._reached):
            reached.set()

    def is_wanted(self) -> bool:
        """True when anybody reads."""
        return self._read or bool(self._everyone)

    def _put(self, name: Name, found: Object | None) -> None:
        before = self._objects.pop(name, None)
        parts = dict.fromkeys([(_OBJECT, *name), (_ALL, name[0], "")])
        for rollout in rollouts_of(before) if before is not None else ():
            parts[_ROLLOUT, name[0], rollout] = None
            names = self._of_rollout[name[0], rollout]
            del names[name]
            if not names:
                del self._of_rollout[name[0], rollout]
        if found is not None:
            self._objects[name] = _trimmed(found)
            for rollout in rollouts_of(found):
                parts[_ROLLOUT, name[0], rollout] = None
                self._of_rollout.setdefault((name[0], rollout), {})[name] = None
        for part in parts:
            for lister in list(self._listers.get(part, ())):
                lister.wake()


class Cache:
    """The informers of one cluster, begun when something is first read."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        cluster_wide: bool = False,
        resync: timedelta = RESYNC,
        meter: MetricMeter = MetricMeter.noop,
    ) -> None:
        """`cluster_wide` watches all namespaces together; `resync` is after how long all objects are listed again.

        `meter` counts failures of watches.
        """
        self._cluster = cluster
        self._cluster_wide = cluster_wide
        self._resync = resync
        self._failures = Failures(meter)
        self._informers: dict[tuple[Resource, str], tuple[Informer, asyncio.Task[None]]] = {}

    def forget(self) -> None:
        """End all watches; what is read from now on begins new ones."""
        informers, self._informers = self._informers, {}
        for informer, task in informers.values():
            task.cancel()
            informer.trouble = "stopped"

    async def close(self) -> None:
        """End all watches for good."""
        tasks = [task for _, task in self._informers.values()]
        self.forget()
        await asyncio.gather(*tasks, return_exceptions=True)

    def informers(self) -> list[tuple[Resource, Informer]]:
        """Those that there are, each with its kind."""
        return [(resource, informer) for (resource, _), (informer, _) in self._informers.items()]

    def informer(self, resource: Resource, namespace: str) -> Informer:
        """That of a kind in a namespace; it begins with the first call."""
        key = (resource, "" if self._cluster_wide else namespace)
        if key not in self._informers:
            informer = Informer(self._cluster, *key, self._resync, self._failures)
            task = asyncio.create_task(informer.run())
            self._informers[key] = (informer, task)
            task.add_done_callback(lambda ended: self._ended(key, informer, ended))
        return self._informers[key][0]

    @contextmanager
    def lister(self) -> Iterator[Lister]:
        """Reader of its own for one wait for changes."""
        lister = Lister(self)
        try:
            yield lister
        finally:
            lister.begin()

    def _ended(self, key: tuple[Resource, str], informer: Informer, task: asyncio.Task[None]) -> None:
        """Drop an informer that is not wanted any more, or that failed: who waits reads from a new one."""
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("informer failed", kind=key[0].kind, namespace=key[1] or "all", exc_info=error)
        if self._informers.get(key, (None,))[0] is informer:
            del self._informers[key]
        informer.trouble = "stopped"


class Lister:
    """Finds in the cache what is read, and hears of changes in it.

    Attributes:
        synced: whether the cache has all that was read, so that no change is missed.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._news = asyncio.Event()
        self._parts: list[tuple[Informer, Part]] = []
        self.synced = True

    def begin(self) -> None:
        """Forget what was read: what changes in it from now on is no news."""
        for informer, part in self._parts:
            informer.unsubscribe(part, self)
        self._parts.clear()
        self._news.clear()
        self.synced = True

    def of_object(self, resource: Resource, namespace: str, name: str) -> Informer:
        """The informer that shows an object, of which is heard from now on."""
        return self._subscribed(resource, (_OBJECT, namespace, name))

    def of_rollout(self, resource: Resource, namespace: str, rollout: str) -> Informer:
        """The informer that shows a Rollout's objects, or with an empty name all of the namespace."""
        return self._subscribed(resource, (_ROLLOUT, namespace, rollout) if rollout else (_ALL, namespace, ""))

    def _subscribed(self, resource: Resource, part: Part) -> Informer:
        informer = self._cache.informer(resource, part[1])
        informer.subscribe(part, self)
        self._parts.append((informer, part))
        self.synced = self.synced and informer.synced
        return informer

    @property
    def has_changed(self) -> bool:
        """True when who waits is to look up."""
        return self._news.is_set()

    def wake(self) -> None:
        """Something changed, or something else happened for which who waits has to look up."""
        self._news.set()

    async def changed(self, seconds: float) -> None:
        """Wait until something changes in what was read since `begin`, for at most so long.

        What changed between reading and waiting counts as well.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()


def _name(found: Object) -> Name:
    metadata = found.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def version_of(found: Object | None) -> str:
    """The resourceVersion of an object, empty where there is none."""
    return str((found or {}).get("metadata", {}).get("resourceVersion") or "")


def _trimmed(found: Object) -> Object:
    """Object without the fields that are never read, which are up to half of it."""
    metadata = {key: value for key, value in found["metadata"].items() if key != "managedFields"}
    if annotations := metadata.get("annotations"):
        metadata["annotations"] = {key: value for key, value in annotations.items() if key != _LAST_APPLIED}
    return {**found, "metadata": metadata}


def _carries(found: Object, labels: Labels) -> bool:
    carried = found["metadata"].get("labels") or {}
    return all(_meets(carried.get(key), wanted) for key, wanted in labels.items())


def _meets(value: str | None, wanted: str | Collection[str] | None) -> bool:
    if value is None or wanted is None:
        return value is not None
    return value == wanted if isinstance(wanted, str) else value in wanted
