"""How new a read of the cluster has to be: nothing that a release's passes have read or written may be missing.

A resourceVersion is compared as a number: of one kind, the API server gives a later write a greater one (Kubernetes,
KEP-5504). What is no number is compared with nothing, so that the server is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from temporalio import activity

_NOTED: ContextVar[Seen | None] = ContextVar("noted", default=None)


class Seen:
    """The newest resourceVersions that were read or written, by key.

    A key is of a collection, of an object in it, or of a selection from it. A write says how new a read of the whole
    collection has to be; what was read after that says it of itself alone, as its neighbours may have been written
    later by another client.
    """

    def __init__(self, versions: Mapping[str, str] | None = None) -> None:
        """`versions` is what an earlier pass has seen, if the release has written nothing else since."""
        self._versions: dict[str, dict[str, int]] = {}  # by collection, and in it by key
        self._lost: set[str] = set()
        for key, version in (versions or {}).items():
            self.read(collection_of(key), key, version)

    def read_at(self, collection: str, key: str) -> int | None:
        """The version at which that key was read since the last write to its collection; None: not at all."""
        return self._versions.get(collection, {}).get(key)

    def has(self, collection: str) -> bool:
        """True when anything is known of a collection: what was read, or that something was written."""
        return collection in self._versions or collection in self._lost

    def written_at(self, collection: str) -> int | None:
        """The version of the last write to a collection; None: none is known."""
        return self.read_at(collection, collection)

    def read(self, collection: str, key: str, version: str) -> None:
        """The server showed it, or all of the collection, as it stood at that version."""
        if version.isdecimal() and collection not in self._lost:
            self._versions.setdefault(collection, {})[key] = int(version)

    def wrote(self, collection: str, version: str) -> None:
        """The server stored something in a collection as that version; of no interest where nothing of it was read."""
        before = self._versions.pop(collection, None)
        if before is not None and version.isdecimal():
            self.read(collection, collection, str(max(int(version), before.get(collection, 0))))

    def lost(self, collection: str) -> None:
        """Note that something was or may have been written, at an unknown version: only the server knows more."""
        self._versions.pop(collection, None)
        self._lost.add(collection)

    def versions(self) -> dict[str, str]:
        """Versions by key that the next pass has to see as well."""
        return {key: str(version) for known in self._versions.values() for key, version in sorted(known.items())}


def collection_of(key: str) -> str:
    """The collection that a key is in."""
    return "/".join(key.partition("?")[0].split("/")[:2])


def run_of_activity() -> str:
    """The run of the release for which the activity under way is carried out, empty where there is none."""
    return (activity.info().workflow_run_id or "") if activity.in_activity() else ""


def noted() -> Seen | None:
    """Where writes are noted just now, if anywhere."""
    return _NOTED.get()


@contextmanager
def noting(seen: Seen) -> Iterator[None]:
    """Note what is written to a cluster within the block."""
    token = _NOTED.set(seen)
    try:
        yield
    finally:
        _NOTED.reset(token)
