"""The Temporal server of the embedded world: the real development server with its UI, on a database file."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import aiohttp

from sandbox.processes import LOOPBACK, Program, free_port
from tidegate.contract import SEARCH_ATTRIBUTES

NAMESPACE = "default"
# Without these two a database file makes the server about six times slower; they are safe against a killed process.
PRAGMAS = ("journal_mode=wal", "synchronous=normal")
# A shard reads its queues 20 times a second at most, so that a burst of tasks waits for up to 50 ms each. A cluster
# spreads workflows over hundreds of shards; this server has one for all of them.
SETTINGS = {"history.transferProcessorMaxPollRPS": 1000, "history.timerProcessorMaxPollRPS": 1000}


class TemporalServer:
    """`temporal server start-dev` with Tidegate's search attributes; after `kill`, `start` goes on where it was.

    The write guards of a production UI (no terminate, no reset) are set by the environment of the UI's own program,
    which `start-dev` does not read: the UI of the embedded world offers every button.
    """

    def __init__(self, state_dir: Path, *, port: int | None = None, ui_port: int | None = None) -> None:
        """Keep the database and the log in `state_dir`; ports not given are free ones, kept over restarts."""
        self._port = port or free_port()
        self._ui_port = ui_port or free_port()
        self._http_port = free_port()
        self.database = state_dir / "temporal.db"
        log_file = state_dir / "temporal.log"
        self.program = Program("temporal", self._argv(), log_file=log_file, env={"HOME": str(state_dir)})

    @property
    def address(self) -> str:
        """`host:port` of the gRPC frontend."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def ui_url(self) -> str:
        """Address of the web UI, without a slash at the end."""
        return f"http://{LOOPBACK}:{self._ui_port}"

    async def start(self) -> None:
        """Start and wait until the namespace answers through the UI's API. Raises ProgramError when it does not."""
        await self.program.start(self._ready, timeout=20.0)

    async def stop(self) -> None:
        """Stop it; the database file stays."""
        await self.program.stop()

    async def kill(self) -> None:
        """Kill it as a crash would."""
        await self.program.kill()

    async def _ready(self) -> bool:
        timeout = aiohttp.ClientTimeout(total=1.0)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{self.ui_url}/api/v1/namespaces/{NAMESPACE}/search-attributes") as answer,
        ):
            if answer.status != 200:
                return False
            known = (await answer.json()).get("customAttributes", {})
        return all(key.name in known for key in SEARCH_ATTRIBUTES)

    def _argv(self) -> list[str]:
        binary = Path(sysconfig.get_path("scripts"), "temporal")
        argv = [str(binary), "server", "start-dev", "--ip", LOOPBACK, "--port", str(self._port)]
        argv += ["--ui-port", str(self._ui_port), "--http-port", str(self._http_port)]
        argv += ["--db-filename", str(self.database), "--log-level", "error"]
        for pragma in PRAGMAS:
            argv += ["--sqlite-pragma", pragma]
        for name, value in SETTINGS.items():
            argv += ["--dynamic-config-value", f"{name}={value}"]
        for key in SEARCH_ATTRIBUTES:
            kind = key.indexed_value_type.name.title().replace("_", "")
            argv += ["--search-attribute", f"{key.name}={kind}"]
        return argv
