"""What the tests of traffic share: an embedded API with mesh objects in it, and somebody who edits them too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from activities.kubernetes.client import (
    DESTINATION_RULES,
    JSON_PATCH,
    REPLICA_SETS,
    SERVICES,
    VIRTUAL_SERVICES,
    Cluster,
    Object,
    Resource,
)
from activities.kubernetes.informers import Cache
from activities.routers.traffic import Traffic
from sandbox.kubernetes_api import KubernetesApi
from sandbox.kubernetes_api.kinds import KINDS
from sandbox.processes import until
from tidegate.contract import WORKER_AGENT, Fence, Target

NAMESPACE = "default"
TARGET = Target(namespace=NAMESPACE, name="shop")


class Mesh:
    """One API server with what stands in it, asked and edited past the activities."""

    def __init__(self, api: KubernetesApi, cluster: Cluster, worker: Cluster) -> None:
        self.api = api
        self.cluster = cluster
        self.worker = worker
        self.traffic = Traffic(worker)
        self._writes = 0

    def fence(self, epoch: int = 1) -> Fence:
        """The next one of a release."""
        self._writes += 1
        return Fence(epoch=epoch, sequence=self._writes)

    async def create(self, resource: Resource, body: Object, namespace: str = NAMESPACE) -> None:
        await self.cluster.create(resource, namespace, body)

    def put(self, name: str, body: Object, namespace: str = NAMESPACE) -> None:
        """Store an object as it is: no webhook stands before it."""
        kind = next(kind for kind in KINDS if kind.kind == name)
        metadata = {"namespace": namespace, "uid": f"uid-{body['metadata']['name']}", **body["metadata"]}
        stored = {**body, "apiVersion": kind.stored_version, "kind": kind.kind, "metadata": metadata}
        self.api.store.put(kind, stored)

    async def virtual_service(self, name: str, namespace: str = NAMESPACE, **spec: Any) -> None:
        await self.create(VIRTUAL_SERVICES, {"metadata": {"name": name}, "spec": {"hosts": ["h"], **spec}}, namespace)

    async def destination_rule(self, name: str, *subsets: Object, **annotations: str) -> None:
        spec = {"host": "svc", "subsets": list(subsets)}
        await self.create(DESTINATION_RULES, {"metadata": {"name": name, "annotations": annotations}, "spec": spec})

    async def service(self, name: str) -> None:
        spec = {"selector": {"app": "shop"}, "ports": [{"port": 80}]}
        await self.create(SERVICES, {"metadata": {"name": name}, "spec": spec})

    async def replica_set(
        self, name: str, *, wanted: int, available: int, hash_: str = "pods", namespace: str = NAMESPACE
    ) -> None:
        """A ReplicaSet whose pods are what its status says: no controller is at work here."""
        labels = {"rollouts-pod-template-hash": hash_}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"replicas": wanted, "selector": {"matchLabels": labels}, "template": template}
        await self.create(REPLICA_SETS, {"metadata": {"name": name, "labels": labels}, "spec": spec}, namespace)
        await self.pods(name, available, namespace)

    async def pods(self, replica_set: str, available: int, namespace: str = NAMESPACE) -> None:
        counts = {"readyReplicas": available, "availableReplicas": available, "observedGeneration": 1}
        await self.cluster.merge_status(REPLICA_SETS, namespace, replica_set, counts)

    async def now(self, resource: Resource, name: str, namespace: str = NAMESPACE) -> Any:
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            answer = await session.get(f"{self.api.url}{resource.path(namespace, name)}")
            return await answer.json()

    async def spec(self, name: str, namespace: str = NAMESPACE) -> Any:
        return (await self.now(VIRTUAL_SERVICES, name, namespace))["spec"]

    async def weights(self, name: str, namespace: str = NAMESPACE) -> list[int]:
        return [each.get("weight", 0) for each in (await self.spec(name, namespace))["http"][-1]["route"]]

    async def edit(self, name: str, *operations: Object, manager: str = "kubectl-edit") -> None:
        """What a person does to a VirtualService."""
        await self.patch(VIRTUAL_SERVICES, name, *operations, manager=manager)

    async def patch(self, resource: Resource, name: str, *operations: Object, manager: str = "kubectl-edit") -> None:
        """What a person does to an object."""
        url = f"{self.api.url}{resource.path(NAMESPACE, name)}?fieldManager={manager}"
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            await session.patch(url, json=list(operations), headers={"Content-Type": JSON_PATCH})


@asynccontextmanager
async def serving() -> AsyncIterator[Mesh]:
    """An API server and the activities that write to it."""
    api = KubernetesApi()
    await api.start()
    cluster, worker = await Cluster.connect(url=api.url), await Cluster.connect(url=api.url, agent=WORKER_AGENT)
    try:
        yield Mesh(api, cluster, worker)
    finally:
        await cluster.close()
        await worker.close()
        await api.stop()


async def listed(cache: Cache, resource: Resource, namespace: str) -> None:
    """Wait until a cache has the objects of a kind."""
    informer = cache.informer(resource, namespace)

    async def synced() -> bool:
        return informer.synced

    await until(synced, 10.0, f"the cache has the {resource.plural}")


class Meddler:
    """Stands on the wire before an API server and does something before or after each patch that passes."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.before: list[Callable[[], Awaitable[None]]] = []
        self.after: list[Callable[[], Awaitable[None]]] = []

    @asynccontextmanager
    async def between(self) -> AsyncIterator[Traffic]:
        """Activities whose every request passes here."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        cluster = await Cluster.connect(url=f"http://127.0.0.1:{runner.addresses[0][1]}")
        try:
            yield Traffic(cluster)
        finally:
            await cluster.close()
            await runner.cleanup()

    async def _pass(self, request: web.Request) -> web.Response:
        patches = request.method == "PATCH"
        if patches and self.before:
            await self.before.pop(0)()
        headers = {name: request.headers[name] for name in ("Content-Type", "Accept") if name in request.headers}
        async with aiohttp.ClientSession() as session:
            url = f"{self.mesh.api.url}{request.path_qs}"
            answer = await session.request(request.method, url, data=await request.read(), headers=headers)
            body = await answer.read()
        if patches and self.after:
            await self.after.pop(0)()
        return web.Response(status=answer.status, body=body, content_type="application/json")
