"""A local copy of one kind of Kubernetes object, kept up to date by list and watch over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import aiohttp
import structlog

from sandbox.documents import Document, Key, key_of, resource_version

log = structlog.get_logger(__name__)

WATCH_SECONDS = 300
RETRY_SECONDS = (0.05, 0.2, 1.0)
MAX_LINE_BYTES = 8 * 2**20


class ExpiredError(Exception):
    """The server no longer has the events after our resourceVersion: everything must be listed again."""


class Reflector:
    """The objects of one collection, such as `/api/v1/pods`, by (namespace, name).

    Run `run` as a task; it survives restarts of the server. `changed(key)` is called in the loop after each change.
    """

    def __init__(
        self, session: aiohttp.ClientSession, api: str, path: str, changed: Callable[[Key], None] = lambda _: None
    ) -> None:
        self.path = path
        self.objects: dict[Key, Document] = {}
        self._session = session
        self._url = api.rstrip("/") + path
        self._changed = changed
        self._version = ""
        self._turn = asyncio.Event()

    async def run(self) -> None:
        """List and watch until cancelled."""
        failures = 0
        while True:
            try:
                if not self._version:
                    await self._list()
                async for event in self._watch():
                    failures = 0
                    self._take(event)
                await asyncio.sleep(RETRY_SECONDS[0])
            except ExpiredError:
                self._version = ""
                await asyncio.sleep(RETRY_SECONDS[0])
            except (aiohttp.ClientError, OSError, ValueError) as error:
                level = log.warning if failures == len(RETRY_SECONDS) else log.debug
                level("watch interrupted", path=self.path, error=repr(error))
                await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1

    async def caught_up(self) -> None:
        """Wait until everything that the server holds at this moment has arrived here.

        Raises aiohttp.ClientError or TimeoutError when the server does not answer. Resource versions are compared as
        numbers, which Kubernetes has guaranteed to be valid since 1.35.
        """
        listed, version = await self._fetch()
        while not self._holds(listed, version):
            self._turn.clear()
            await self._turn.wait()

    def _holds(self, listed: dict[Key, Document], version: int) -> bool:
        """Whether every event up to `version` was seen; that version may belong to an object of another kind."""
        if not self._version:
            return False
        if int(self._version) >= version:
            return True
        return self.objects.keys() == listed.keys() and all(
            resource_version(self.objects[key]) >= resource_version(seen) for key, seen in listed.items()
        )

    async def _fetch(self) -> tuple[dict[Key, Document], int]:
        timeout = aiohttp.ClientTimeout(total=10.0)
        async with self._session.get(self._url, timeout=timeout) as answer:
            answer.raise_for_status()
            document = await answer.json()
        objects = {key_of(item): item for item in document.get("items") or []}
        return objects, resource_version(document)

    async def _list(self) -> None:
        objects, version = await self._fetch()
        changed = self.objects.keys() | objects.keys()
        self.objects = objects
        self._version = str(version)
        for key in changed:
            self._changed(key)
        self._turn.set()

    async def _watch(self) -> AsyncIterator[Document]:
        """Events after our version, until the server ends the stream."""
        parameters = {
            "watch": "true",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        timeout = aiohttp.ClientTimeout(total=WATCH_SECONDS + 30, sock_connect=5.0)
        async with self._session.get(self._url, params=parameters, timeout=timeout) as answer:
            if answer.status == 410:
                raise ExpiredError
            answer.raise_for_status()
            async for line in _lines(answer.content):
                event = json.loads(line)
                if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
                    raise ValueError(f"{self.path}: a watch event that is no object: {line[:200]!r}")
                yield event

    def _take(self, event: Document) -> None:
        item = event["object"]
        if event.get("type") == "ERROR":
            raise ExpiredError
        if not isinstance(item, dict):
            return
        self._version = str(resource_version(item) or self._version)
        if event.get("type") != "BOOKMARK":
            key = key_of(item)
            if event.get("type") == "DELETED":
                self.objects.pop(key, None)
            else:
                self.objects[key] = item
            self._changed(key)
        self._turn.set()


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of a stream; raises ValueError for one of more than MAX_LINE_BYTES."""
    buffer = b""
    async for chunk in stream.iter_any():
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
        if len(buffer) > MAX_LINE_BYTES:
            raise ValueError(f"a watch event of more than {MAX_LINE_BYTES} bytes")
