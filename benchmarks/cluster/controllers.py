"""What is measured: Tidegate's processes of this checkout, and Argo's controller."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from activities.kubernetes.client import WATCHER_AGENT
from sandbox.processes import LOOPBACK, Program, free_port
from sandbox.temporal import TemporalServer
from sandbox.tidegate_process import WATCHER, TidegateProcess
from tidegate.contract import WORKER_AGENT


@dataclass(frozen=True)
class Controller:
    """Who carries out the releases.

    Attributes:
        agents: how the user agents of its requests begin.
        pids: its processes by name.
        beside: processes that it needs, and that are measured apart.
    """

    name: str
    agents: tuple[str, ...]
    pids: Mapping[str, int]
    beside: Mapping[str, int] = field(default_factory=dict)


@asynccontextmanager
async def tidegate(kubeconfig: Path, namespace: str, logs: Path | None = None) -> AsyncIterator[Controller]:
    """A worker, a watcher of one namespace, and a Temporal server for both; logs and database go into `logs`."""
    async with AsyncExitStack() as stack:
        state = logs or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-")))
        server = TemporalServer(state)
        stack.push_async_callback(server.stop)
        await server.start()
        settings = {
            "TEMPORAL_ADDRESS": server.address,
            "TIDEGATE_GRACEFUL_SHUTDOWN": "1",
            "TIDEGATE_KUBERNETES__KUBECONFIG": str(kubeconfig),
        }
        worker = TidegateProcess("worker", state, settings)
        watcher = TidegateProcess(
            "watcher", state, settings | {"TIDEGATE_WATCHER__NAMESPACES": namespace}, module=WATCHER
        )
        for process in (worker, watcher):
            stack.push_async_callback(process.stop)
            await process.start()
        pids = {"worker": worker.program.pid, "watcher": watcher.program.pid}
        yield Controller("Tidegate", (WORKER_AGENT, WATCHER_AGENT), pids, {"Temporal": server.program.pid})


@asynccontextmanager
async def argo(binary: Path, kubeconfig: Path, namespace: str) -> AsyncIterator[Controller]:
    """Argo's controller for one namespace."""
    health = free_port()
    argv = [str(binary), "--kubeconfig", str(kubeconfig), "--leader-elect=false"]
    argv += ["--namespaced", "--namespace", namespace]
    argv += ["--healthzPort", str(health), "--metricsPort", str(free_port())]

    async def answers() -> bool:
        timeout = aiohttp.ClientTimeout(total=1.0)
        url = f"http://{LOOPBACK}:{health}/healthz"
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            return answer.status == 200

    with tempfile.TemporaryDirectory(prefix="tidegate-") as state:
        program = Program("argo", argv, log_file=Path(state) / "argo.log", env={"HOME": state})
        await program.start(answers, timeout=30.0)
        try:
            yield Controller("Argo", (f"{binary.name}/",), {"controller": program.pid})
        finally:
            await program.stop()
