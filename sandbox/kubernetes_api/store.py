"""The objects themselves: their resourceVersions, the log of changes that watches read, and who listens to writes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple, Protocol

import structlog

from sandbox.kubernetes_api.kinds import Kind
from sandbox.kubernetes_api.objects import Key, Object, meta, utc_now, with_metadata
from sandbox.kubernetes_api.status import expired

_log = structlog.get_logger(__name__)

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"


class Change(NamedTuple):
    """One write that happened. `previous` is the object before it, None for ADDED; the objects must not be changed."""

    type: str
    kind: Kind
    object: Object
    previous: Object | None
    version: int


Listener = Callable[[Change], None]
Clock = Callable[[], datetime]
"""The present, in UTC."""


class Journal(Protocol):
    """Where writes are kept for the next start."""

    def put(self, key: Key, obj: Object, version: int) -> None:
        """Keep an object under its key, and the store's version."""

    def remove(self, key: Key, version: int) -> None:
        """Forget an object, and keep the store's version."""


def key_of(kind: Kind, obj: Object) -> Key:
    """The identity under which an object is stored."""
    return Key(kind.group, kind.plural, meta(obj).get("namespace", "") if kind.namespaced else "", meta(obj)["name"])


class Store:
    """All objects of one cluster. It checks nothing: rules are `Cluster`'s.

    It is not thread-safe; everything happens on one event loop, and no method awaits, so that a read followed by a
    write is atomic.

    Attributes:
        version: resourceVersion of the latest write; it grows by one with each.
        clock: the present of this cluster, by which objects are created, become available and expire.
    """

    def __init__(self, *, history: int = 4096, journal: Journal | None = None, clock: Clock = utc_now) -> None:
        self.version = 0
        self.clock = clock
        self._objects: dict[tuple[str, str], dict[tuple[str, str], Object]] = {}
        self._history = history
        self._changes: list[Change] = []
        self._journal = journal
        self._listeners: list[Listener] = []
        self._undelivered: deque[Change] = deque()
        self._delivering = False

    def restore(self, objects: list[tuple[Key, Object]], version: int) -> None:
        """Take over what an earlier run left. Watches from versions before it are answered 410."""
        for key, obj in objects:
            self._objects.setdefault((key.group, key.plural), {})[key.namespace, key.name] = obj
        self.version = version

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        return self._of(kind).get((namespace if kind.namespaced else "", name))

    def select(self, kind: Kind, namespace: str = "") -> list[Object]:
        """The objects of a kind in order of namespace and name; an empty namespace means all."""
        found = self._of(kind)
        return [found[key] for key in sorted(found) if not namespace or key[0] == namespace]

    def select_at(self, kind: Kind, namespace: str, version: int) -> list[Object]:
        """The same as they were at an earlier version.

        Raises:
            ApiError: 410 when the log no longer reaches back that far.
        """
        found = dict(self._of(kind))
        for change in reversed(self.changes_after(version)):
            if change.kind is kind:
                key = key_of(kind, change.object)
                found.pop((key.namespace, key.name), None)
                if change.previous is not None:
                    found[key.namespace, key.name] = change.previous
        return [found[key] for key in sorted(found) if not namespace or key[0] == namespace]

    def put(self, kind: Kind, obj: Object) -> Object:
        """Create or replace an object; returns it as stored, with its new resourceVersion."""
        self.version += 1
        stored = with_metadata(obj, resourceVersion=str(self.version))
        key = key_of(kind, stored)
        slot = (key.namespace, key.name)
        objects = self._of(kind)
        previous = objects.get(slot)
        objects[slot] = stored
        if self._journal is not None:
            self._journal.put(key, stored, self.version)
        self._record(Change(ADDED if previous is None else MODIFIED, kind, stored, previous, self.version))
        return stored

    def remove(self, kind: Kind, obj: Object) -> Object:
        """Delete an object; returns its last form, which carries the resourceVersion of the deletion."""
        self.version += 1
        last = with_metadata(obj, resourceVersion=str(self.version))
        key = key_of(kind, last)
        previous = self._of(kind).pop((key.namespace, key.name))
        if self._journal is not None:
            self._journal.remove(key, self.version)
        self._record(Change(DELETED, kind, last, previous, self.version))
        return last

    def changes_after(self, version: int) -> list[Change]:
        """What happened after `version`, oldest first.

        Raises:
            ApiError: 410 when the log no longer reaches back that far.
        """
        oldest = self.version - len(self._changes)
        if version < oldest:
            raise expired(f"too old resource version: {version} ({oldest})")
        return self._changes[version - oldest :]

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every write, in the order of writes; returns what ends the subscription.

        A listener may write: that change is delivered after the present one has reached everybody.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def everything(self) -> Iterator[tuple[tuple[str, str], Object]]:
        """Every object with its (group, plural); the store may be written to meanwhile."""
        for resource, objects in list(self._objects.items()):
            for obj in list(objects.values()):
                yield resource, obj

    def _of(self, kind: Kind) -> dict[tuple[str, str], Object]:
        return self._objects.setdefault((kind.group, kind.plural), {})

    def _record(self, change: Change) -> None:
        self._changes.append(change)
        if len(self._changes) > 2 * self._history:  # trimmed in bulk: each change is moved at most once on average
            del self._changes[: -self._history]
        self._undelivered.append(change)
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._undelivered:
                self._deliver(self._undelivered.popleft())
        finally:
            self._delivering = False

    def _deliver(self, change: Change) -> None:
        for listener in list(self._listeners):
            try:
                listener(change)
            except Exception:  # the write has happened: a faulty listener must not fail it for its author
                _log.exception(
                    "listener_failed", change=change.type, kind=change.kind.kind, name=meta(change.object)["name"]
                )
