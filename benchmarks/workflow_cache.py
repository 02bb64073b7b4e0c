"""What a release costs in memory: a worker of workflows without any, and what each release that it keeps adds.

`python -m benchmarks.workflow_cache [-n 60]`. Real Temporal, the embedded API server, processes of their own; each
release stands in a pause in the middle of its steps. The constants of `workers/memory.py` come from here.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import os
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from temporalio.client import Client

from benchmarks.machine import Machine
from sandbox.apply import apply
from sandbox.controllers import Controllers, PodSimulator
from sandbox.kubernetes_api import KubernetesApi
from sandbox.processes import until
from sandbox.temporal import TemporalServer
from sandbox.tidegate_process import TidegateProcess
from tidegate.client import RolloutRef, TidegateClient, data_converter
from tidegate.contract import ReleaseRequest

NAMESPACE = "payments"
ROLLOUT: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"namespace": NAMESPACE},
    "spec": {
        "replicas": 1,
        "strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}},
    },
}


def rollout(number: int, tag: str) -> dict[str, Any]:
    """A Rollout without traffic routing, that waits for a person half way."""
    wanted = copy.deepcopy(ROLLOUT)
    labels = {"app": f"checkout-{number}"}
    wanted["metadata"]["name"] = f"checkout-{number}"
    container = {"name": "checkout", "image": f"registry.internal/payments/checkout:{tag}"}
    wanted["spec"] |= {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    return wanted


def resident(process: TidegateProcess) -> int:
    """Resident memory in bytes."""
    pages = int(Path(f"/proc/{process.program.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def measured(count: int) -> tuple[int, int]:
    """Bytes of the worker before the first release, and with `count` of them standing."""
    async with AsyncExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-")))
        server, api = TemporalServer(state), KubernetesApi()
        for part in (server, api):
            stack.push_async_callback(part.stop)
            await part.start()
        await stack.enter_async_context(Controllers(api.cluster, simulator=PodSimulator(api.cluster)))
        common = {"TEMPORAL_ADDRESS": server.address, "TIDEGATE_GRACEFUL_SHUTDOWN": "1"}
        deciding = TidegateProcess("workflows", state, {**common, "TIDEGATE_ROLE": "workflows"})
        reached = {**common, "TIDEGATE_ROLE": "activities", "TIDEGATE_KUBERNETES__API_URL": api.url}
        acting = TidegateProcess("activities", state, reached)
        for process in (deciding, acting):
            stack.push_async_callback(process.stop)
            await process.start()
        empty = resident(deciding)
        client = TidegateClient(await Client.connect(server.address, data_converter=data_converter()))
        await asyncio.gather(*(_stand(client, api, number) for number in range(count)))
        return empty, resident(deciding)


async def _stand(client: TidegateClient, api: KubernetesApi, number: int) -> None:
    """A second version of a Rollout, until it waits for a person."""
    for tag in ("1.0.0", "1.1.0"):
        wanted = rollout(number, tag)
        await apply(api.url, [wanted])
        name = wanted["metadata"]["name"]
        handle = await client.start(ReleaseRequest(namespace=NAMESPACE, name=name, rollout=wanted))
        if tag == "1.0.0":
            await client.wait(handle)

    async def waits() -> bool:
        return (await client.status(RolloutRef(NAMESPACE, name))).held

    await until(waits, 300, f"{name} waits for a person")


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--releases", type=int, default=60)
    count = parser.parse_args().releases
    before = Machine.now()
    empty, full = await measured(count)
    print(
        f"a worker of workflows without a release: {empty / 2**20:.0f} MiB",
        f"with {count} standing: {full / 2**20:.0f} MiB, {(full - empty) / count / 2**20:.2f} MiB for each",
        f"before: {before}",
        f"after:  {Machine.now()}",
        sep="\n",
    )


if __name__ == "__main__":
    asyncio.run(_main())
