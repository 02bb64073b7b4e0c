"""Reads for a decision: from the cache what is certain to be as new as the last write, else from the API server."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from activities.kubernetes.client import Cluster, Object, Resource
from activities.kubernetes.informers import Informer, Lister, version_of
from activities.kubernetes.seen import Seen

PATIENCE_SECONDS: Final = 1.0  # for the watch to tell of a write; one in order takes some milliseconds
FEW: Final = 50  # so many objects are read at once, instead of their names before them


class FreshReader:
    """Reader of one pass, as `Reader` says."""

    def __init__(self, cluster: Cluster, lister: Lister, seen: Seen, *, waits: bool = True) -> None:
        """`lister` hears of changes in what was read. Without `waits` no watch that is behind is waited for."""
        self._cluster = cluster
        self._seen = seen
        self._waits = waits
        self.lister = lister

    async def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """One object, or None when there is none."""
        collection = resource.collection(namespace)
        key = f"{collection}/{name}"
        informer = self.lister.of_object(resource, namespace, name)
        read = self._seen.read_at(collection, key)
        version = read if read is not None else self._seen.written_at(collection)
        if informer.synced and version is not None and await self._reach(informer, version):
            return informer.get(namespace, name)
        found = await self._cluster.find(resource, namespace, name)
        self._seen.read(collection, key, version_of(found))
        return found

    async def select(
        self,
        resource: Resource,
        namespace: str,
        labels: Mapping[str, str | Collection[str] | None],
        *,
        rollout: str = "",
        lagging: bool = False,
    ) -> list[Object]:
        """The objects that carry all of `labels`, as `Reader` says."""
        collection = resource.collection(namespace)
        key, wider = _key(collection, labels), _key(collection, dict.fromkeys(labels))
        informer = self.lister.of_rollout(resource, namespace, rollout)
        if lagging and informer.synced and not self._seen.has(collection):
            self._seen.read(collection, key, informer.version)
        if await self._shows(informer, collection, key, wider):
            return informer.select(namespace, labels, rollout)
        listing = await self._cluster.listing(resource, namespace, labels)
        shown = informer.select(namespace, labels, "") if informer.synced else None
        # What the cache shows as well is as new there as the list, whose version may be far ahead of a quiet kind's.
        if shown is not None and _versions(shown) == _versions(listing.objects):
            self._seen.read(collection, key, informer.version)
        else:
            self._seen.read(collection, key, listing.version)
        return listing.objects

    async def names(self, resource: Resource, namespace: str, label: str, *, rollout: str = "") -> list[str]:
        """Names of the objects that carry a label, as `Reader` says."""
        collection = resource.collection(namespace)
        wider = _key(collection, {label: None})
        key = f"{wider}#names"
        informer = self.lister.of_rollout(resource, namespace, rollout)

        def shown(of: str) -> list[str]:
            return [each["metadata"]["name"] for each in informer.select(namespace, {label: None}, of)]

        if await self._shows(informer, collection, key, wider):
            return shown(rollout)
        if informer.synced and len(shown("")) <= FEW:  # the objects are read next: one request instead of two
            objects = await self.select(resource, namespace, {label: None}, rollout=rollout)
            return [each["metadata"]["name"] for each in objects]
        naming = await self._cluster.naming(resource, namespace, label)
        known = informer.synced and set(shown("")) == set(naming.names)
        self._seen.read(collection, key, informer.version if known else naming.version)
        return naming.names

    async def _shows(self, informer: Informer, collection: str, *keys: str) -> bool:
        """True when the cache has all that one of these selected. No watch tells of a list: it is not awaited."""
        if not informer.synced:
            return False
        read = [version for key in keys if (version := self._seen.read_at(collection, key)) is not None]
        if read:
            return any(map(informer.has_reached, read))
        written = self._seen.written_at(collection)
        return written is not None and await self._reach(informer, written)

    async def _reach(self, informer: Informer, version: int) -> bool:
        """True when the cache has what was written by then, of which a watch is about to tell."""
        if not informer.has_reached(version) and self._waits:
            self._waits = await informer.reach(version, PATIENCE_SECONDS)  # one that is held up is not waited for twice
        return informer.synced and informer.has_reached(version)


def _key(collection: str, labels: Mapping[str, str | Collection[str] | None]) -> str:
    """Key of a selection: collection and labels as one text."""
    terms = [
        key if value is None else f"{key}={value if isinstance(value, str) else '|'.join(sorted(value))}"
        for key, value in sorted(labels.items())
    ]
    return f"{collection}?{','.join(terms)}"


def _versions(objects: list[Object]) -> set[tuple[str, str]]:
    return {(str(each["metadata"].get("uid")), version_of(each)) for each in objects}
