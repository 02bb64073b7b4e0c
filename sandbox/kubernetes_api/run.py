"""The API server with its controllers and simulated pods: a cluster to try things on, without any real workload."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sandbox.kubernetes_api.server import KubernetesApi


async def serve_api(port: int, state_file: Path | None = None) -> None:
    """Serve the Kubernetes API on 127.0.0.1:`port` until cancelled.

    Raises:
        OSError: the port is taken.
        ValueError: `state_file` is something else.
    """
    from sandbox.controllers import Controllers, PodSimulator  # they build on this package, which therefore loads first

    api = KubernetesApi(port=port, state_file=state_file)
    try:
        await api.start()
        async with Controllers(api.cluster, simulator=PodSimulator(api.cluster)):
            await asyncio.Event().wait()
    finally:
        await api.stop()
