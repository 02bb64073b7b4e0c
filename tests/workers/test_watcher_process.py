"""The watcher as a process: it waits for Temporal, watches, and goes when told."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.kubernetes_api import KubernetesApi
from sandbox.processes import until
from sandbox.temporal import TemporalServer
from sandbox.tidegate_process import WATCHER, TidegateProcess
from tests.sandbox.kubernetes.kube import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_watcher_says_when_it_sees_everything_and_goes_when_told(
    server: TemporalServer, tmp_path: Path
) -> None:
    async with serving(KubernetesApi()) as kube:
        settings = {
            "TEMPORAL_ADDRESS": server.address,
            "TIDEGATE_KUBERNETES__API_URL": kube.api.url,
            "TIDEGATE_WATCHER__NAMESPACES": "default,payments",
        }
        watcher = TidegateProcess("watcher", tmp_path, settings, module=WATCHER)
        try:
            await watcher.program.start(watcher.alive)
            await until(watcher.ready, 20, "the watcher has listed every namespace")
        finally:
            await watcher.stop()
    assert "stopped" in watcher.program.log_file.read_text().splitlines()[-1]
