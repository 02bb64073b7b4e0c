"""Watches: the log of changes as a stream, from any version that the log still has."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.kubernetes_api.objects import Object, meta, with_metadata
from sandbox.kubernetes_api.paths import ResourcePath
from sandbox.kubernetes_api.representation import Representation
from sandbox.kubernetes_api.status import ApiError, bad_request, future_version, invalid_options
from sandbox.kubernetes_api.store import ADDED, DELETED, Change, Store

_BOOKMARK_SECONDS = 30.0
_DEFAULT_TIMEOUT_SECONDS = 1800
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"


def parse_number(query: Mapping[str, str], name: str) -> int:
    """A parameter that counts something; 0 when it is absent.

    Raises:
        ApiError: 400.
    """
    text = query.get(name, "")
    if text and not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise bad_request(f"{name}: invalid value {text!r}: must be a whole number")
    return int(text or 0)


def parse_version(query: Mapping[str, str], store: Store) -> int:
    """The `resourceVersion` parameter; 0 when any will do.

    Raises:
        ApiError: 400 when it is no number, 504 when the store has not reached it.
    """
    version = parse_number(query, "resourceVersion")
    if version > store.version:
        raise future_version(version, store.version)
    return version


@dataclass(frozen=True)
class WatchRequest:
    """What a client wants to be told.

    Version 0 starts with the objects as they are, and so does `initial_events`, which marks their end with a bookmark.
    `timeout` is in seconds.
    """

    path: ResourcePath
    matches: Callable[[Object], bool]
    representation: Representation
    version: int
    initial_events: bool
    bookmarks: bool
    timeout: int

    @classmethod
    def of(
        cls, request: web.Request, path: ResourcePath, matches: Callable[[Object], bool], store: Store
    ) -> WatchRequest:
        """The parameters of a watch.

        Raises:
            ApiError: 400 for a malformed one, 406, 504 for a version that the store has not reached.
        """
        query = request.query
        initial = query.get("sendInitialEvents") == "true"
        if initial and query.get("resourceVersionMatch") != "NotOlderThan":
            why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            raise invalid_options("ListOptions", f"resourceVersionMatch: Forbidden: {why}")
        version = parse_version(query, store)
        return cls(
            path=path,
            matches=matches,
            representation=Representation.of(request),
            version=0 if initial else version,
            initial_events=initial,
            bookmarks=query.get("allowWatchBookmarks") == "true",
            timeout=parse_number(query, "timeoutSeconds") or _DEFAULT_TIMEOUT_SECONDS,
        )


class Watches:
    """The watches under way, so that all end when the server stops."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wakes: set[asyncio.Event] = set()
        self._closed = False

    async def serve(self, request: web.Request, watch: WatchRequest) -> web.StreamResponse:
        """Stream events until the timeout, the client's leaving or the server's stop.

        When the log no longer has the version to start from, that is the only event: the real server has begun to
        answer by the time it looks.
        """
        feed = _Feed(self._store, watch)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        wake = asyncio.Event()
        self._wakes.add(wake)
        unsubscribe = self._store.subscribe(lambda _: wake.set())
        try:
            with contextlib.suppress(ConnectionResetError):
                try:
                    first = feed.first()
                except ApiError as error:
                    await response.write(_lines([_error(error)]))
                    return response
                await response.write(_lines(first))
                await self._follow(response, feed, wake, watch.timeout)
        finally:
            unsubscribe()
            self._wakes.discard(wake)
        return response

    async def _follow(self, response: web.StreamResponse, feed: _Feed, wake: asyncio.Event, timeout: int) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not self._closed:
            wake.clear()
            try:
                events = feed.news()
            except ApiError as error:  # this client reads too slowly: the log went on without it
                await response.write(_lines([_error(error)]))
                return
            if events:
                await response.write(_lines(events))
            left = deadline - loop.time()
            if left > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), min(left, _BOOKMARK_SECONDS))
                    continue
            await response.write(_lines(feed.bookmark()))
            if left <= _BOOKMARK_SECONDS:
                return

    def close(self) -> None:
        """End every watch in good order."""
        self._closed = True
        for wake in self._wakes:
            wake.set()


class _Feed:
    """The events of one watch, in order."""

    def __init__(self, store: Store, watch: WatchRequest) -> None:
        self._store = store
        self._watch = watch
        self._version = watch.version or store.version

    def first(self) -> list[Object]:
        """What to send before anything happens.

        Raises:
            ApiError: 410.
        """
        watch, path = self._watch, self._watch.path
        if watch.version:
            return self.news()
        events = [
            self._event(ADDED, obj) for obj in self._store.select(path.kind, path.namespace) if watch.matches(obj)
        ]
        return events + ([self._mark({_INITIAL_EVENTS_END: "true"})] if watch.initial_events else [])

    def news(self) -> list[Object]:
        """What happened since the last call.

        Raises:
            ApiError: 410.
        """
        changes = self._store.changes_after(self._version)
        self._version = self._store.version
        return [event for change in changes if (event := self._seen(change)) is not None]

    def bookmark(self) -> list[Object]:
        """How far this watch has come, for clients that asked to be told."""
        return [self._mark({})] if self._watch.bookmarks else []

    def _seen(self, change: Change) -> Object | None:
        """A change as it looks through the selectors: what leaves them is deleted, what comes into them is added."""
        path = self._watch.path
        if change.kind is not path.kind or (path.namespace and meta(change.object).get("namespace") != path.namespace):
            return None
        before = change.previous is not None and self._watch.matches(change.previous)
        after = change.type != DELETED and self._watch.matches(change.object)
        if not before and not after:
            return None
        if before and not after and change.type != DELETED:  # as it was, in the version in which it left
            return self._event(DELETED, with_metadata(change.previous or {}, resourceVersion=str(change.version)))
        return self._event(change.type if before and after else ADDED if after else DELETED, change.object)

    def _event(self, event_type: str, obj: Object) -> Object:
        return {"type": event_type, "object": self._watch.representation.one(self._watch.path, obj)}

    def _mark(self, annotations: dict[str, str]) -> Object:
        path = self._watch.path
        metadata: dict[str, Any] = {"resourceVersion": str(self._version), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        return self._event("BOOKMARK", {"kind": path.kind.kind, "metadata": metadata})


def _error(error: ApiError) -> Object:
    return {"type": "ERROR", "object": error.status()}


def _lines(events: list[Object]) -> bytes:
    return b"".join(json.dumps(event, separators=(",", ":")).encode() + b"\n" for event in events)
