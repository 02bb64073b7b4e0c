"""The local copy of a collection follows the server through events, ends of streams, expiry and restarts."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from sandbox.documents import Document, Key
from sandbox.machine import patience
from sandbox.processes import LOOPBACK, free_port, until
from sandbox.reflector import Reflector

PATH = "/api/v1/pods"


def pod(name: str, version: int) -> Document:
    return {"metadata": {"namespace": "ns", "name": name, "resourceVersion": str(version)}}


class Collection:
    """A server of one collection that says exactly what a test tells it to."""

    def __init__(self) -> None:
        self.port = free_port()
        self.version = 1
        self.listed: list[Document] = []
        self.lists = 0
        self.watched_from: list[int] = []
        self.expired = False
        self._streams: set[asyncio.Queue[Document | None]] = set()
        self._runner: web.ServerRunner | None = None

    async def start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self.port).start()

    async def stop(self) -> None:
        self.end_streams()
        if self._runner is not None:
            await self._runner.cleanup()

    def emit(self, kind: str, item: Document) -> None:
        for stream in self._streams:
            stream.put_nowait({"type": kind, "object": item})

    def end_streams(self) -> None:
        for stream in self._streams:
            stream.put_nowait(None)

    @property
    def watched(self) -> bool:
        return bool(self._streams)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if "watch" not in request.query:
            self.lists += 1
            return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": self.listed})
        self.watched_from.append(int(request.query["resourceVersion"]))
        if self.expired:
            self.expired = False
            return web.Response(status=410)
        response = web.StreamResponse()
        await response.prepare(request)
        stream: asyncio.Queue[Document | None] = asyncio.Queue()
        self._streams.add(stream)
        try:
            while (event := await stream.get()) is not None:
                await response.write(json.dumps(event).encode() + b"\n")
        finally:
            self._streams.discard(stream)
        return response


class Watched:
    """A Reflector at work on a Collection."""

    def __init__(self, collection: Collection, reflector: Reflector, changes: list[Key]) -> None:
        self.collection = collection
        self.reflector = reflector
        self.changes = changes

    @property
    def names(self) -> set[str]:
        return {name for _, name in self.reflector.objects}

    async def holds(self, *names: str) -> None:
        async def same() -> bool:
            return self.names == set(names)

        await until(same, 5.0, f"the copy holds {names}")

    async def watching(self) -> None:
        async def watched() -> bool:
            return self.collection.watched

        await until(watched, 5.0, "the collection is watched")


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    collection = Collection()
    collection.listed = [pod("a", 1)]
    await collection.start()
    changes: list[Key] = []
    async with aiohttp.ClientSession() as session:
        reflector = Reflector(session, f"http://{LOOPBACK}:{collection.port}", PATH, changes.append)
        task = asyncio.create_task(reflector.run())
        watched = Watched(collection, reflector, changes)
        await watched.watching()
        yield watched
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await collection.stop()


async def test_events_change_the_copy(watched: Watched) -> None:
    assert watched.names == {"a"}
    watched.collection.emit("ADDED", pod("b", 2))
    await watched.holds("a", "b")
    watched.collection.emit("DELETED", pod("a", 3))
    await watched.holds("b")
    assert watched.changes == [("ns", "a"), ("ns", "b"), ("ns", "a")]


async def test_a_stream_that_ends_is_taken_up_where_it_ended(watched: Watched) -> None:
    watched.collection.emit("ADDED", pod("b", 7))
    watched.collection.emit("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
    await watched.holds("a", "b")
    watched.collection.end_streams()

    async def again() -> bool:
        return len(watched.collection.watched_from) == 2

    await until(again, 5.0, "watched again")
    assert watched.collection.watched_from == [1, 9]
    assert watched.collection.lists == 1


@pytest.mark.parametrize("event", [True, False])
async def test_after_expiry_everything_is_listed_again(watched: Watched, event: bool) -> None:
    watched.collection.listed = [pod("c", 20)]
    watched.collection.version = 20
    if event:
        watched.collection.emit("ERROR", {"kind": "Status", "code": 410})
    else:
        watched.collection.expired = True
    watched.collection.end_streams()
    await watched.holds("c")
    assert ("ns", "a") in watched.changes
    assert watched.collection.lists == 2


async def test_a_server_that_was_away_is_found_again(watched: Watched) -> None:
    await watched.collection.stop()
    await watched.collection.start()
    await watched.watching()
    watched.collection.emit("ADDED", pod("b", 2))
    await watched.holds("a", "b")


async def test_caught_up_waits_for_what_the_server_holds(watched: Watched) -> None:
    watched.collection.listed = [pod("a", 1), pod("b", 2)]
    watched.collection.version = 5
    waiting = asyncio.create_task(watched.reflector.caught_up())

    async def asked() -> bool:
        return watched.collection.lists == 2

    await until(asked, 5.0, "the server was asked")
    assert not waiting.done()
    watched.collection.emit("ADDED", pod("b", 2))
    async with asyncio.timeout(patience(5)):
        await waiting


async def test_caught_up_sees_a_deletion_through(watched: Watched) -> None:
    watched.collection.listed = []
    watched.collection.version = 2
    waiting = asyncio.create_task(watched.reflector.caught_up())

    async def asked() -> bool:
        return watched.collection.lists == 2

    await until(asked, 5.0, "the server was asked")
    assert not waiting.done()
    watched.collection.emit("DELETED", pod("a", 2))
    async with asyncio.timeout(patience(5)):
        await waiting
    assert watched.names == set()
