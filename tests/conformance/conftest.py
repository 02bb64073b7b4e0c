from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from activities.kubernetes.client import Cluster
from tests.conformance.asking import ARGO, MERGE_PATCH, Server
from tests.conformance.objects import CONFIGS, ROLLOUTS
from tests.conformance.servers import Embedded, Real
from tests.kubernetes import crds as definitions
from tests.kubernetes import given
from tests.kubernetes.plane import Plane

MODULE = {"scope": "module", "loop_scope": "module"}


@pytest_asyncio.fixture(**MODULE)
async def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    which, _, crds = request.param.partition("-")
    if which == "embedded":
        embedded = Embedded(argo=crds == ARGO)
        await embedded.start()
        yield embedded
        await embedded.stop()
        return
    async with AsyncExitStack() as stack:
        kubeconfig = given.path(given.KUBECONFIG, "a file")
        cluster = await Cluster.connect(kubeconfig=str(kubeconfig), agent="tidegate-tests", timeout=30)
        stack.push_async_callback(cluster.close)
        plane = Plane(kubeconfig, cluster, tmp_path_factory.mktemp("plane"))
        stack.push_async_callback(definitions.put_back, plane, await definitions.standing(plane))
        for name in await definitions.bring_istio(plane):
            stack.push_async_callback(plane.kubectl, "delete", "crd", name)
        folder = given.path(given.ARGO_CRDS, "a folder with Argo's definitions") if crds == ARGO else definitions.OWN
        await definitions.put(plane, folder)
        real = Real(plane)
        await real.start()
        stack.push_async_callback(real.stop)
        yield real


@pytest_asyncio.fixture(loop_scope="module")
async def namespace(server: Server) -> AsyncIterator[str]:
    """One with its service account, that goes after the test."""
    name = f"conformance-{uuid.uuid4().hex[:8]}"
    body = {"metadata": {"name": name, "labels": {"tests": "conformance"}}}
    made = await server.http.post("/api/v1/namespaces", json=body)
    assert made.status_code == 201, made.text
    yield name
    await server.http.delete(f"/api/v1/namespaces/{name}")
    await _let_go(server, name)


async def _let_go(server: Server, namespace: str) -> None:
    """What a row that failed holds by a finalizer would hold its namespace."""
    for path in (CONFIGS, ROLLOUTS):
        where = path.replace("$ns", namespace)
        for each in (await server.http.get(where)).json()["items"]:
            if each["metadata"].get("finalizers"):
                body = {"metadata": {"finalizers": None}}
                await server.http.patch(
                    f"{where}/{each['metadata']['name']}", json=body, headers={"Content-Type": MERGE_PATCH}
                )
