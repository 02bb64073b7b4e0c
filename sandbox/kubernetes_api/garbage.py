"""Garbage collection: what becomes of dependents when their owner goes, and of the content of a namespace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sandbox.kubernetes_api.cluster import Cluster, DeleteOptions, Ref
from sandbox.kubernetes_api.kinds import NAMESPACES, SERVICE_ACCOUNTS, Kind, find_kind, kind_of
from sandbox.kubernetes_api.managed_fields import Writer
from sandbox.kubernetes_api.objects import FOREGROUND, ORPHAN, Object, meta, with_metadata
from sandbox.kubernetes_api.store import ADDED, DELETED, Change

_COLLECTOR = Writer("garbage-collector", "v1")
_NAMESPACE_CONTROLLER = Writer("namespace-controller", "v1")


def ref_of(kind: Kind, obj: Object) -> Ref:
    """The address of an object."""
    return Ref(kind, meta(obj).get("namespace", ""), meta(obj)["name"])


def _owners(obj: Object) -> list[dict[str, Any]]:
    return meta(obj).get("ownerReferences") or []


class GarbageCollector:
    """Deletes what has lost its last owner; serves foreground and orphan deletion. It acts right after a write."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        cluster.store.subscribe(self._changed)

    def _changed(self, change: Change) -> None:
        obj = change.object
        if change.type == DELETED:
            for kind, dependent in self._dependents(obj):
                self._collect(kind, dependent)
            for owner in _owners(obj):
                self._release_foreground(owner, meta(obj).get("namespace", ""))
            return
        if _owners(obj) and (change.type == ADDED or _owners(obj) != _owners(change.previous or {})):
            self._collect(change.kind, obj)
        if meta(obj).get("deletionTimestamp"):
            self._finalize(change.kind, obj)

    def _finalize(self, kind: Kind, obj: Object) -> None:
        finalizers = meta(obj).get("finalizers") or []
        if ORPHAN in finalizers:
            for dependent_kind, dependent in self._dependents(obj):
                self._drop_owners(dependent_kind, dependent, {obj["metadata"]["uid"]})
            self._drop_finalizer(kind, obj, ORPHAN)
        elif FOREGROUND in finalizers:
            blocking = False
            for dependent_kind, dependent in self._dependents(obj):
                ref = next(ref for ref in _owners(dependent) if ref.get("uid") == obj["metadata"]["uid"])
                blocking = blocking or bool(ref.get("blockOwnerDeletion"))
                if not meta(dependent).get("deletionTimestamp"):
                    self._cluster.delete(ref_of(dependent_kind, dependent), DeleteOptions(propagation="Foreground"))
            if not blocking:
                self._drop_finalizer(kind, obj, FOREGROUND)

    def _release_foreground(self, owner: dict[str, Any], namespace: str) -> None:
        found = self._owner(owner, namespace)
        if found is not None and meta(found[1]).get("deletionTimestamp"):
            self._finalize(*found)

    def _collect(self, kind: Kind, obj: Object) -> None:
        """Delete `obj` when none of its owners exists; forget those that do not when another does."""
        namespace = meta(obj).get("namespace", "")
        gone = {ref.get("uid", "") for ref in _owners(obj) if not self._exists(ref, namespace)}
        if not gone or self._cluster.store.get(*ref_of(kind, obj)) is None:
            return
        if len(gone) < len(_owners(obj)):
            self._drop_owners(kind, obj, gone)
        elif not meta(obj).get("deletionTimestamp"):
            self._cluster.delete(ref_of(kind, obj))

    def _drop_owners(self, kind: Kind, obj: Object, uids: set[str]) -> None:
        def without(live: Object) -> Object:
            return with_metadata(
                live, ownerReferences=[ref for ref in _owners(live) if ref.get("uid") not in uids] or None
            )

        self._cluster.patch(ref_of(kind, obj), without, _COLLECTOR)

    def _drop_finalizer(self, kind: Kind, obj: Object, finalizer: str) -> None:
        def without(live: Object) -> Object:
            left = [name for name in meta(live).get("finalizers") or [] if name != finalizer]
            return with_metadata(live, finalizers=left or None)

        self._cluster.patch(ref_of(kind, obj), without, _COLLECTOR)

    def _dependents(self, owner: Object) -> Iterator[tuple[Kind, Object]]:
        uid = owner["metadata"]["uid"]
        for (group, plural), obj in self._cluster.store.everything():
            kind = find_kind(group, plural)
            if kind is not None and any(ref.get("uid") == uid for ref in _owners(obj)):
                yield kind, obj

    def _owner(self, ref: dict[str, Any], namespace: str) -> tuple[Kind, Object] | None:
        kind = kind_of(ref.get("apiVersion", ""), ref.get("kind", ""))
        if kind is None:
            return None
        found = self._cluster.store.get(kind, namespace, ref.get("name", ""))
        return (kind, found) if found is not None and found["metadata"]["uid"] == ref.get("uid") else None

    def _exists(self, ref: dict[str, Any], namespace: str) -> bool:
        known = kind_of(ref.get("apiVersion", ""), ref.get("kind", "")) is not None
        return not known or self._owner(ref, namespace) is not None  # of an owner of unknown kind nothing can be said


class NamespaceLifecycle:
    """Gives a namespace its default service account, and empties and removes one that is deleted."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        cluster.store.subscribe(self._changed)

    def _changed(self, change: Change) -> None:
        if change.kind is NAMESPACES:
            if change.type == ADDED:
                account = {"metadata": {"name": "default"}}
                self._cluster.create(
                    SERVICE_ACCOUNTS, account, _NAMESPACE_CONTROLLER, namespace=meta(change.object)["name"]
                )
            elif change.type != DELETED and meta(change.object).get("deletionTimestamp"):
                self._empty(meta(change.object)["name"])
        elif change.type == DELETED and meta(change.object).get("namespace"):
            self._finish(meta(change.object)["namespace"])

    def _content(self, namespace: str) -> Iterator[Ref]:
        for (group, plural), obj in self._cluster.store.everything():
            kind = find_kind(group, plural)
            if kind is not None and kind.namespaced and meta(obj).get("namespace") == namespace:
                yield ref_of(kind, obj)

    def _empty(self, namespace: str) -> None:
        for ref in list(self._content(namespace)):
            if self._cluster.store.get(*ref) is not None:
                self._cluster.delete(ref)
        self._finish(namespace)

    def _finish(self, namespace: str) -> None:
        found = self._cluster.store.get(NAMESPACES, "", namespace)
        if found is not None and meta(found).get("deletionTimestamp") and next(self._content(namespace), None) is None:
            self._cluster.finish(Ref(NAMESPACES, "", namespace))
