"""Tidegate's own processes, the worker and the watcher, as they run in production: only addresses differ."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from sandbox.processes import LOOPBACK, Program, free_port

WORKER = "workers.worker"
WATCHER = "workers.watcher"
READY_SECONDS = 30.0


class TidegateProcess:
    """One process with its log in `state`; its health says when it can take work."""

    def __init__(
        self, name: str, state: Path, settings: Mapping[str, str], *, module: str = WORKER, cwd: Path | None = None
    ) -> None:
        """`settings` are its environment variables, `cwd` a folder whose code comes before the installed one."""
        self._port = free_port()
        env = {"HOME": str(state), "TIDEGATE_HEALTH__PORT": str(self._port), **settings}
        self.program = Program(name, [sys.executable, "-m", module], log_file=state / f"{name}.log", env=env, cwd=cwd)

    async def begin(self) -> None:
        """Start it, and wait until it answers at all. Raises ProgramError."""
        await self.program.start(self.alive, timeout=READY_SECONDS)

    async def start(self, timeout: float = READY_SECONDS) -> None:
        """Start it, and wait for at most so many seconds until it can take work. Raises ProgramError."""
        await self.program.start(self.ready, timeout=timeout)

    async def stop(self, grace: float = 20.0) -> None:
        """Tell it to go, and kill it after `grace` seconds."""
        await self.program.stop(grace)

    async def alive(self) -> bool:
        """Whether it answers at all. Raises OSError or aiohttp.ClientError while nobody listens."""
        return await self._status("/healthz") == 200

    async def ready(self) -> bool:
        """Whether it can take work. Raises as `alive` does."""
        return await self._status("/readyz") == 200

    async def not_ready(self) -> bool:
        """Whether it says that it cannot take work. Raises as `alive` does."""
        return await self._status("/readyz") == 503

    async def _status(self, path: str) -> int:
        timeout = aiohttp.ClientTimeout(total=1.0)
        url = f"http://{LOOPBACK}:{self._port}{path}"
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            return answer.status
