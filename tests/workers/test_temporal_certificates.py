"""A process's certificates for Temporal come from files, and from the files again when they were renewed."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import RetryPolicy
from temporalio.service import RPCError

from activities.kubernetes.client import ROLLOUTS
from sandbox.kubernetes_api import KubernetesApi
from sandbox.processes import free_port, until
from sandbox.temporal import TemporalServer
from sandbox.tidegate_process import WATCHER, TidegateProcess
from tests.activities.outside import Script
from tests.sandbox.kubernetes.kube import serving
from tests.workers.guarded_temporal import Authority, MountedCertificate, TlsDoor
from tests.workers.identity_provider import ISSUER, Provider
from tests.world.planes import wanted
from tidegate.client import NotFoundError, RolloutRef
from tidegate.client.gateway import GatewayClient
from tidegate.contract import Activity, Observation, ObserveRequest, Target, cluster_queue

pytestmark = pytest.mark.asyncio(loop_scope="module")

OLD, NEW = Authority("old"), Authority("new")


@pytest_asyncio.fixture(loop_scope="module")
async def door(server: TemporalServer, tmp_path: Path) -> AsyncIterator[TlsDoor]:
    """Mutual TLS before the server, by the old authority."""
    door = TlsDoor(server.address, tmp_path)
    await door.open(identity=OLD.issue("temporal"), trusted=OLD)
    yield door
    await door.close()


@pytest.fixture
def mounted(tmp_path: Path) -> MountedCertificate:
    mounted = MountedCertificate(tmp_path / "mounted")
    mounted.write(OLD.pem, OLD.issue("first"))
    return mounted


async def look(temporal: Client, cluster: str, number: int) -> Observation:
    """What a cluster's worker sees, asked for without TLS."""
    asking = ObserveRequest(target=Target(namespace="payments", name="checkout"), rollout=wanted("1.0.0"))
    seen: Observation = await temporal.execute_activity(
        Activity.OBSERVE,
        asking,
        id=f"look-{cluster}-{number}",
        task_queue=cluster_queue(cluster),
        result_type=Observation,
        schedule_to_close_timeout=timedelta(seconds=40),
        start_to_close_timeout=timedelta(seconds=5),
        retry_policy=RetryPolicy(maximum_attempts=8, backoff_coefficient=1.0),
    )
    return seen


async def called(door: TlsDoor, name: str) -> None:
    async def yes() -> bool:
        return name in door.callers

    await until(yes, 20, f"{name} has connected")


async def test_a_worker_goes_on_with_renewed_certificates(
    server: TemporalServer, temporal: Client, door: TlsDoor, mounted: MountedCertificate, tmp_path: Path
) -> None:
    async with serving(KubernetesApi()) as kube:
        settings = {
            "TEMPORAL_ADDRESS": door.address,
            "TIDEGATE_ROLE": "cluster",
            "TIDEGATE_CLUSTER": "renewed",
            "TIDEGATE_KUBERNETES__API_URL": kube.api.url,
        }
        worker = TidegateProcess("worker", tmp_path, {**settings, **mounted.variables})
        await worker.start()
        try:
            assert (await look(temporal, "renewed", 1)) is not None
            # Renewed in time: the old one is good still.
            mounted.write(OLD.pem + NEW.pem, OLD.issue("second"))
            await called(door, "second")
            # Both sides change their authority; nothing that the first certificate opened is left.
            mounted.write(OLD.pem + NEW.pem, NEW.issue("third"))
            await door.open(identity=NEW.issue("temporal"), trusted=NEW)
            await called(door, "third")
            await until(worker.ready, 20, "the worker polls again")
            assert (await look(temporal, "renewed", 2)) is not None
            # Late: for a while it has none that is let in.
            await door.open(identity=OLD.issue("temporal"), trusted=OLD)
            await until(worker.not_ready, 20, "the health says that Temporal does not answer")
            mounted.write(OLD.pem, OLD.issue("fourth"))
            await called(door, "fourth")
            await until(worker.ready, 20, "the worker polls again")
            assert (await look(temporal, "renewed", 3)) is not None
        finally:
            await worker.stop()


async def renew(door: TlsDoor, mounted: MountedCertificate) -> None:
    """Have both sides change their authority; nothing that the first certificate opened is left."""
    await door.open(identity=NEW.issue("temporal"), trusted=NEW)
    mounted.write(NEW.pem, NEW.issue("second"))
    await called(door, "second")


@pytest.mark.long
async def test_a_watcher_goes_on_with_renewed_certificates(
    temporal: Client, door: TlsDoor, mounted: MountedCertificate, tmp_path: Path
) -> None:
    async with serving(KubernetesApi()) as kube:
        settings = {
            "TEMPORAL_ADDRESS": door.address,
            "TIDEGATE_CLUSTER": "renewed",
            "TIDEGATE_KUBERNETES__API_URL": kube.api.url,
        }
        watcher = TidegateProcess("watcher", tmp_path, {**settings, **mounted.variables}, module=WATCHER)
        await watcher.start()
        try:
            await renew(door, mounted)
            await kube.create("/api/v1/namespaces", {"metadata": {"name": "payments"}})
            await kube.create(ROLLOUTS.path("payments"), wanted("1.0.0"))
            release = temporal.get_workflow_handle("rollout/renewed/payments/checkout")

            async def begun() -> bool:
                with contextlib.suppress(RPCError):
                    return (await release.describe()).status is WorkflowExecutionStatus.RUNNING
                return False

            await until(begun, 20, "the watcher has begun a release")
            await release.terminate()
        finally:
            await watcher.stop()


async def test_a_gateway_goes_on_with_renewed_certificates(
    door: TlsDoor, mounted: MountedCertificate, tmp_path: Path
) -> None:
    provider, port, rules = Provider(), free_port(), tmp_path / "callers.yaml"
    rule = {"claims": {"repository": "payments/checkout"}, "clusters": ["default"], "namespaces": ["payments"]}
    rules.write_text(json.dumps({"callers": [rule]}))
    async with Script().then(200, await provider.fetch()) as keys:
        settings = {
            "TEMPORAL_ADDRESS": door.address,
            "TIDEGATE_GATEWAY__ISSUER": ISSUER,
            "TIDEGATE_GATEWAY__KEYS_URL": keys.url,
            "TIDEGATE_GATEWAY__CALLERS_FILE": str(rules),
            "TIDEGATE_GATEWAY__PORT": str(port),
        }
        gateway = TidegateProcess("gateway", tmp_path, {**settings, **mounted.variables}, module="workers.gateway")
        await gateway.start()
        try:
            await renew(door, mounted)

            async def token() -> str:
                return provider.token()

            async with GatewayClient(f"http://127.0.0.1:{port}", token) as client:
                with pytest.raises(NotFoundError, match="payments/checkout"):
                    await client.status(RolloutRef("payments", "checkout"), run_id=str(uuid.uuid4()))
        finally:
            await gateway.stop()
