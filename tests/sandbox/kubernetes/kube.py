"""What the tests of the Kubernetes API share: manifests, and a client that speaks plain HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from sandbox.kubernetes_api import KubernetesApi
from sandbox.machine import patience

Object = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

CORE = "/api/v1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"
ISTIO = "/apis/networking.istio.io/v1/namespaces/default"
ARGO = "/apis/argoproj.io/v1alpha1/namespaces/default"


def pod(name: str, **labels: str) -> Object:
    return {"metadata": {"name": name, "labels": labels}, "spec": {"containers": [{"name": "main", "image": "app:1"}]}}


def workload(kind: str, name: str, replicas: int = 1, image: str = "app:1") -> Object:
    containers = [{"name": "main", "image": image}, {"name": "side", "image": "side:1"}]
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}},
        },
    }


def virtual_service(name: str, stable: Any = 100, canary: Any = 0) -> Object:
    destinations = [
        {"destination": {"host": "stable"}, "weight": stable},
        {"destination": {"host": "canary"}, "weight": canary},
    ]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name},
        "spec": {"hosts": ["web"], "http": [{"name": "primary", "route": destinations}]},
    }


class Kube:
    """A client of one server. `call` answers (status, body); the other verbs want success."""

    def __init__(self, api: KubernetesApi, http: httpx.AsyncClient) -> None:
        self.api = api
        self.http = http

    async def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        content = None if body is None else body if isinstance(body, str) else json.dumps(body)
        headers = {} if body is None else {"Content-Type": content_type}
        answer = await self.http.request(method, path, content=content, headers=headers)
        return answer.status_code, answer.json()

    async def _good(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Object:
        code, answer = await self.call(method, path, body, content_type)
        assert code < 300, answer
        return dict(answer)

    async def get(self, path: str) -> Object:
        return await self._good("GET", path)

    async def create(self, path: str, body: Object) -> Object:
        return await self._good("POST", path, body)

    async def replace(self, path: str, body: Object) -> Object:
        return await self._good("PUT", path, body)

    async def patch(self, path: str, body: Any, content_type: str = MERGE_PATCH) -> Object:
        return await self._good("PATCH", path, body, content_type)

    async def apply(self, path: str, body: Object, manager: str, query: str = "") -> Object:
        return await self._good("PATCH", f"{path}?fieldManager={manager}{query}", body, APPLY_PATCH)

    async def delete(self, path: str, body: Object | None = None) -> Object:
        return await self._good("DELETE", path, body)

    async def names(self, path: str) -> list[str]:
        return [item["metadata"]["name"] for item in (await self.get(path))["items"]]

    async def eventually(self, path: str, condition: Callable[[Object], bool]) -> Object:
        """The object at `path` (a list too) as soon as the condition holds for it; awaits writes, not time."""
        written = asyncio.Event()
        unsubscribe = self.api.store.subscribe(lambda _: written.set())
        try:
            async with asyncio.timeout(patience(10)):
                while True:
                    written.clear()
                    code, found = await self.call("GET", path)
                    if code == 200 and condition(found):
                        return dict(found)
                    await written.wait()
        finally:
            unsubscribe()

    @asynccontextmanager
    async def watch(self, path: str, query: str = "") -> AsyncIterator[AsyncIterator[Object]]:
        """The events of a watch that has begun."""
        async with self.http.stream("GET", f"{path}?watch=1&{query}", timeout=15) as answer:
            assert answer.status_code == 200, await answer.aread()
            yield (json.loads(line) async for line in answer.aiter_lines())


@asynccontextmanager
async def serving(api: KubernetesApi) -> AsyncIterator[Kube]:
    """A client of `api`, which is started and stopped."""
    await api.start()
    try:
        async with httpx.AsyncClient(base_url=api.url) as http:
            yield Kube(api, http)
    finally:
        await api.stop()
