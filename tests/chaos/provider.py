"""The metric provider of a chaos run: it says of a version, by its hash, whether it is good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from aiohttp import web

from sandbox.processes import LOOPBACK, free_port
from tests.chaos.laws import BAD


class Provider:
    """Answers `GET /verdict/<hash>` with `{"ok": ...}`, and 404 for a version that nobody knows."""

    def __init__(self, tag: Callable[[str], str]) -> None:
        """`tag` gives the image tag of a hash, "" for an unknown one."""
        self.port = free_port()
        self.asked: Counter[str] = Counter()  # by hash
        self._tag = tag
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get("/verdict/{hash}", self._verdict)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self.port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _verdict(self, request: web.Request) -> web.Response:
        hash_ = request.match_info["hash"]
        self.asked[hash_] += 1
        tag = self._tag(hash_)
        return web.json_response({"ok": not tag.endswith(BAD)}, status=200 if tag else 404)
