"""The watcher as a process: it waits for Temporal, watches, and goes when told."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

from sandbox.kubernetes_api import KubernetesApi
from sandbox.processes import LOOPBACK, Program, free_port, until
from sandbox.temporal import TemporalServer
from tests.sandbox.kubernetes.kube import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_watcher_says_when_it_sees_everything_and_goes_when_told(
    server: TemporalServer, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "watcher.log"
    health = f"http://{LOOPBACK}:{port}"

    async def answers(path: str) -> bool:
        try:
            async with httpx.AsyncClient() as http:
                return (await http.get(f"{health}{path}")).status_code == 200
        except httpx.TransportError:
            return False

    async with serving(KubernetesApi()) as kube:
        env = {
            "HOME": str(tmp_path),
            "TEMPORAL_ADDRESS": server.address,
            "TIDEGATE_HEALTH__PORT": str(port),
            "TIDEGATE_KUBERNETES__API_URL": kube.api.url,
            "TIDEGATE_WATCHER__NAMESPACES": "default,payments",
        }
        from_here = [sys.executable, "-m", "workers.watcher"]
        watcher = Program("watcher", from_here, log_file=log, env=env)
        try:
            await watcher.start(lambda: answers("/healthz"))
            await until(lambda: answers("/readyz"), 20, "the watcher has listed every namespace")
        finally:
            await watcher.stop(grace=20)
    assert "stopped" in log.read_text().splitlines()[-1]
