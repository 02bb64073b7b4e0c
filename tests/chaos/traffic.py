"""The clients of the services: a steady stream of requests through Envoy, each noted with the version that answered."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter

import aiohttp

from sandbox.envoy import Envoy
from tests.chaos.laws import Request

PER_SECOND = 8.0  # to each service
REQUEST_SECONDS = 5.0


class Traffic:
    """Sends from `begin` on, to each service in turn; `requests` are those that were answered."""

    def __init__(self, envoy: Envoy) -> None:
        self.requests: list[Request] = []
        self.failures: Counter[str] = Counter()  # without any answer, by the kind of error
        self._envoy = envoy
        self._hosts: list[str] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._sending: asyncio.Task[None] | None = None

    def begin(self, hosts: list[str]) -> None:
        """Send to these services from now on."""
        self._hosts = list(hosts)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())

    def taken(self) -> list[Request]:
        """What was answered since the last time."""
        found, self.requests = self.requests, []
        return found

    async def stop(self) -> None:
        """Send no more."""
        tasks = [*self._under_way, *([self._sending] if self._sending is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sending = None

    async def _send(self) -> None:
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=200)) as session:
            for number in itertools.count():
                task = asyncio.create_task(self._request(session, self._hosts[number % len(self._hosts)]))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
                await asyncio.sleep(1 / (PER_SECOND * len(self._hosts)))

    async def _request(self, session: aiohttp.ClientSession, host: str) -> None:
        at = time.time()
        try:
            async with session.get(self._envoy.url, headers={"Host": host}) as answer:
                said = await answer.json(content_type=None) if answer.content_type == "application/json" else {}
                self.requests.append(Request(at, host, str(said.get("hash", "")), answer.status))
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failures[type(error).__name__] += 1
