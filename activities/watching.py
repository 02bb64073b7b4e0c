"""Every object of a kind, and then every change of one: Kubernetes' list and watch."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final, NamedTuple

from activities.cluster import Cluster, Object, Resource

DELETED: Final = "DELETED"
_BOOKMARK: Final = "BOOKMARK"
# Beyond the time after which the server ends a watch by itself: then the connection is dead.
_GRACE_SECONDS: Final = 15.0


class Listing(NamedTuple):
    """All objects at one moment, and the resourceVersion from which a watch goes on."""

    objects: list[Object]
    version: str


class Change(NamedTuple):
    """One event of a watch: ADDED, MODIFIED or DELETED with the object; only `version` counts where that is None."""

    kind: str
    object: Object | None
    version: str


async def list_all(cluster: Cluster, resource: Resource, namespace: str) -> Listing:
    """Read all objects of a namespace, or of all with an empty one, in pages."""
    objects: list[Object] = []
    token = ""
    while True:
        page = await cluster.page(resource, namespace, token)
        objects.extend(page.get("items") or [])
        metadata = page.get("metadata") or {}
        token = str(metadata.get("continue") or "")
        if not token:
            return Listing(objects, str(metadata.get("resourceVersion") or ""))


async def changes(
    cluster: Cluster, resource: Resource, namespace: str, version: str, seconds: int
) -> AsyncGenerator[Change, None]:
    """Watch for `seconds`, or until the server ends it.

    Raises as `Cluster` does. `Rejected` may mean that the server has forgotten `version` (410): then list again.
    """
    query = [
        ("watch", "1"),
        ("resourceVersion", version),
        ("allowWatchBookmarks", "true"),
        ("timeoutSeconds", str(seconds)),
    ]
    async for event in cluster.stream(resource.path(namespace), query, seconds + _GRACE_SECONDS):
        kind, seen = str(event.get("type")), event.get("object")
        if not isinstance(seen, dict):
            continue
        reached = str((seen.get("metadata") or {}).get("resourceVersion") or "")
        yield Change(kind, None if kind == _BOOKMARK else seen, reached)
