"""One release plane and the clusters that it serves, each with an API server, and processes that a test starts."""

from __future__ import annotations

import asyncio
import subprocess
import sysconfig
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from temporalio.client import Client

from sandbox.apply import apply
from sandbox.controllers import Controllers, PodSimulator
from sandbox.kubernetes_api import KubernetesApi
from sandbox.processes import until
from sandbox.temporal import TemporalServer
from sandbox.tidegate_process import WORKER, TidegateProcess
from tests.deploy.manifests import DEPLOY, render
from tests.deploy.policies import Policies
from tests.world.conftest import tolerant
from tidegate.client import ReleaseHandle, RolloutRef, TidegateClient, data_converter
from tidegate.contract import ReleaseRequest, ReleaseStatus

CHECKOUT = Path(__file__).parents[2] / "examples" / "checkout"
TEMPORAL = Path(sysconfig.get_path("scripts")) / "temporal"
STEPS = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {"duration": 1}}]


class Plane:
    """A Temporal server, the clusters by name, and the processes that run."""

    def __init__(self, state: Path, stack: AsyncExitStack) -> None:
        self.state = state
        self.server = TemporalServer(state)
        self.clusters: dict[str, KubernetesApi] = {}
        self.policies = Policies(render(DEPLOY / "kustomize" / "overlays" / "per-cluster-worker"))
        self._stack = stack
        self.client: TidegateClient
        self.temporal: Client

    async def add_cluster(self, name: str) -> KubernetesApi:
        """A cluster with RBAC, the policies of deploy/ and what stands around the checkout before its first release."""
        api = KubernetesApi(rbac=True, admission=self.policies)
        self._stack.push_async_callback(api.stop)
        await api.start()
        await self._stack.enter_async_context(Controllers(api.cluster, simulator=PodSimulator(api.cluster)))
        self.clusters[name] = api
        await apply(api.url, list(yaml.safe_load_all((CHECKOUT / "services-and-virtualservice.yaml").read_text())))
        return api

    async def start(self, name: str, module: str = WORKER, cwd: Path | None = None, **settings: str) -> TidegateProcess:
        """Start one of Tidegate's processes; a setting is named without its prefix, a group with two underscores."""
        given = {"GRACEFUL_SHUTDOWN": "1", **settings}
        env = {key if key.startswith("TEMPORAL_") else f"TIDEGATE_{key}": value for key, value in given.items()}
        process = TidegateProcess(
            name, self.state, {"TEMPORAL_ADDRESS": self.server.address, **env}, module=module, cwd=cwd
        )
        self._stack.push_async_callback(process.stop)
        await process.start()
        return process

    async def release(self, cluster: str, tag: str) -> ReleaseHandle:
        """Start the release of an image, the Rollout being in the cluster as well."""
        rollout = wanted(tag)
        await apply(self.clusters[cluster].url, [rollout])
        return await self.client.start(
            ReleaseRequest(cluster=cluster, namespace="payments", name="checkout", rollout=rollout, by="a test")
        )

    async def until(self, cluster: str, holds: Callable[[ReleaseStatus], bool], timeout: float = 60.0) -> ReleaseStatus:
        """Wait for a status of the newest release on a cluster."""
        seen: list[ReleaseStatus] = []

        async def holds_now() -> bool:
            seen[:] = [await self.client.status(checkout(cluster))]
            return holds(seen[0])

        await until(tolerant(holds_now), timeout, f"the status on {cluster}")
        return seen[0]

    async def temporal_cli(self, *arguments: str) -> str:
        """What a person types; fails with what the command printed."""
        done = await asyncio.to_thread(
            subprocess.run,
            [str(TEMPORAL), *arguments, "--address", self.server.address],
            capture_output=True,
            text=True,
            timeout=30,
            env={"HOME": str(self.state)},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def checkout(cluster: str) -> RolloutRef:
    """The Rollout that the tests release."""
    return RolloutRef(cluster=cluster, namespace="payments", name="checkout")


def wanted(tag: str) -> dict[str, Any]:
    """The checkout with few steps, a person's word between them, and no gate."""
    rollout: dict[str, Any] = yaml.safe_load((CHECKOUT / "rollout.yaml").read_text())
    canary = rollout["spec"]["strategy"]["canary"]
    canary.pop("analysis")
    canary["steps"] = STEPS
    canary |= {"scaleDownDelaySeconds": 1, "abortScaleDownDelaySeconds": 1}
    rollout["spec"]["replicas"] = 2
    rollout["spec"]["template"]["spec"]["containers"][0]["image"] = f"registry.internal/payments/checkout:{tag}"
    return rollout


@asynccontextmanager
async def open_plane(state: Path, *clusters: str) -> AsyncIterator[Plane]:
    """A plane with these clusters and no process of Tidegate yet; everything ends with the context."""
    async with AsyncExitStack() as stack:
        plane = Plane(state, stack)
        stack.push_async_callback(plane.server.stop)
        await plane.server.start()
        for name in clusters:
            await plane.add_cluster(name)
        plane.temporal = await Client.connect(plane.server.address, data_converter=data_converter())
        plane.client = TidegateClient(plane.temporal)
        yield plane
