"""The watcher as a process: it waits for Temporal, watches, and goes when told."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from sandbox.kubernetes_api import KubernetesApi
from sandbox.processes import LOOPBACK, free_port, until
from sandbox.temporal import TemporalServer
from sandbox.tidegate_process import WATCHER, TidegateProcess
from tests.sandbox.kubernetes.kube import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_watcher_says_when_it_sees_everything_and_goes_when_told(
    server: TemporalServer, tmp_path: Path
) -> None:
    metrics = f"{LOOPBACK}:{free_port()}"
    async with serving(KubernetesApi()) as kube:
        settings = {
            "TEMPORAL_ADDRESS": server.address,
            "TIDEGATE_KUBERNETES__API_URL": kube.api.url,
            "TIDEGATE_WATCHER__NAMESPACES": "default,payments",
            "TIDEGATE_TELEMETRY": metrics,
        }
        watcher = TidegateProcess("watcher", tmp_path, settings, module=WATCHER)
        try:
            await watcher.begin()
            await until(watcher.ready, 20, "the watcher has listed every namespace")
            async with httpx.AsyncClient() as http:
                text = (await http.get(f"http://{metrics}/metrics")).text
                assert 'tidegate_watched_rollouts{watched="payments"} 0' in text.splitlines()
                await kube.api.stop()

                async def counted() -> bool:
                    lines = (await http.get(f"http://{metrics}/metrics")).text.splitlines()
                    found = [line for line in lines if line.startswith("tidegate_watch_failures_total{")]
                    return any('failure="Unavailable"' in line and 'kind="Rollout"' in line for line in found)

                await until(counted, 20, "the watches that failed are counted")
        finally:
            await watcher.stop()
    assert "stopped" in watcher.program.log_file.read_text().splitlines()[-1]
