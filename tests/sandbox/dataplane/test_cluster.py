"""Kubelet and mesh agent on the embedded Kubernetes API: objects become servers and routes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from pydantic import JsonValue

from sandbox.controllers import Controllers
from sandbox.documents import Document, items, mapping, metadata, texts
from sandbox.kubernetes_api import KubernetesApi
from sandbox.mesh.agent import MeshAgent
from sandbox.mesh.apply import MeshError
from sandbox.mesh.names import HASH_LABEL
from sandbox.pods import PORT_ANNOTATION
from sandbox.processes import LOOPBACK, Program, until
from sandbox.telemetry import Telemetry

from .conftest import Mesh
from .objects import NAMESPACE, meta, route, service, split_by_weight, virtual_service

pytestmark = pytest.mark.world

IMAGE = "registry.internal/payments/checkout"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
SERVICES = f"/api/v1/namespaces/{NAMESPACE}/services"
ENDPOINTS = f"/api/v1/namespaces/{NAMESPACE}/endpoints"
REPLICA_SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets"
VIRTUAL_SERVICES = f"/apis/networking.istio.io/v1beta1/namespaces/{NAMESPACE}/virtualservices"


class Cluster:
    """The API server over HTTP, and a kubelet that may be killed."""

    def __init__(self, url: str, session: aiohttp.ClientSession, folder: Path) -> None:
        self.url = url
        self.session = session
        argv = [sys.executable, "-m", "sandbox.kubelet", "--api", url]
        self.kubelet = Program("kubelet", argv, log_file=folder / "kubelet.log")

    async def call(
        self, method: str, path: str, body: Document | None = None, kind: str = "application/json"
    ) -> Document:
        headers = {"Content-Type": kind} if body is not None else None
        async with self.session.request(method, self.url + path, json=body, headers=headers) as answer:
            assert answer.status < 400, await answer.text()
            return mapping(await answer.json())

    async def create(self, path: str, body: Document) -> None:
        await self.call("POST", path, body)

    async def merge(self, path: str, body: Document) -> None:
        await self.call("PATCH", path, body, "application/merge-patch+json")

    async def replace(self, path: str, body: Document) -> None:
        """Make an object anew with the content of `body`, as a PUT does."""
        name = str(metadata(body)["name"])
        version = metadata(await self.call("GET", f"{path}/{name}"))["resourceVersion"]
        await self.call("PUT", f"{path}/{name}", {**body, "metadata": {**metadata(body), "resourceVersion": version}})

    async def create_pod(self, name: str, tag: str, pod_hash: str = "aaa") -> None:
        labels: Document = {"app": "checkout", HASH_LABEL: pod_hash}
        containers: list[JsonValue] = [{"name": "checkout", "image": f"{IMAGE}:{tag}"}]
        await self.create(PODS, {"metadata": meta(name, labels=labels), "spec": {"containers": containers}})

    async def pod(self, name: str) -> Document | None:
        async with self.session.get(f"{self.url}{PODS}/{name}") as answer:
            return None if answer.status == 404 else mapping(await answer.json())

    async def pod_is(self, name: str, check: Callable[[Document | None], bool], what: str) -> Document:
        async def holds() -> bool:
            return check(await self.pod(name))

        await until(holds, 10.0, f"pod {name} is {what}")
        return await self.pod(name) or {}

    async def ready(self, name: str) -> Document:
        return await self.pod_is(name, is_ready, "ready")

    async def get(self, port: int, path: str = "/") -> Document:
        async with self.session.get(f"http://{LOOPBACK}:{port}{path}") as answer:
            return mapping(await answer.json())


def is_ready(pod: Document | None) -> bool:
    conditions = items(mapping((pod or {}).get("status")).get("conditions"))
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def container(pod: Document | None) -> Document:
    return next(iter(items(mapping((pod or {}).get("status")).get("containerStatuses"))), {})


def waits_for(reason: str) -> Callable[[Document | None], bool]:
    return lambda pod: mapping(mapping(container(pod).get("state")).get("waiting")).get("reason") == reason


def port_of(pod: Document) -> int:
    return int(texts(metadata(pod)["annotations"])[PORT_ANNOTATION])


async def closed(port: int) -> None:
    async def refused() -> bool:
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
        except ConnectionRefusedError:
            return True
        writer.close()
        return False

    await until(refused, 5.0, f"port {port} is closed")


async def _at_once() -> bool:
    return True


@pytest.fixture
async def api() -> AsyncIterator[KubernetesApi]:
    api = KubernetesApi()
    await api.start()
    yield api
    await api.stop()


@pytest.fixture
async def cluster(api: KubernetesApi, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with aiohttp.ClientSession() as session:
        cluster = Cluster(api.url, session, tmp_path)
        await cluster.kubelet.start(_at_once)
        await cluster.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        yield cluster
        await cluster.kubelet.stop()


async def test_a_pod_becomes_a_server_that_knows_who_it_is(cluster: Cluster) -> None:
    await cluster.create_pod("checkout-1", "1.0.0", "abc")
    pod = await cluster.ready("checkout-1")
    assert mapping(pod["status"])["phase"] == "Running"
    assert mapping(pod["status"])["podIP"] == LOOPBACK
    assert (container(pod)["ready"], container(pod)["restartCount"]) == (True, 0)
    assert await cluster.get(port_of(pod)) == {"version": "1.0.0", "pod": "checkout-1", "hash": "abc"}


async def test_a_pod_whose_health_check_fails_runs_and_is_never_ready(cluster: Cluster) -> None:
    await cluster.create_pod("checkout-1", "1.0.0-unready")
    pod = await cluster.pod_is("checkout-1", lambda pod: "running" in mapping(container(pod).get("state")), "running")
    assert await cluster.get(port_of(pod), "/healthz") == {"ready": False}
    assert not is_ready(pod)


async def test_an_image_that_the_registry_does_not_have_is_waited_for(cluster: Cluster) -> None:
    await cluster.create_pod("checkout-1", "latest")
    await cluster.pod_is("checkout-1", waits_for("ErrImagePull"), "in ErrImagePull")
    pod = await cluster.pod_is("checkout-1", waits_for("ImagePullBackOff"), "in ImagePullBackOff")
    assert mapping(pod["status"])["phase"] == "Pending"
    await cluster.call("DELETE", f"{PODS}/checkout-1")
    await cluster.pod_is("checkout-1", lambda pod: pod is None, "gone")


async def test_a_deleted_pod_stops_being_ready_then_answers_on_then_goes(cluster: Cluster) -> None:
    await cluster.create_pod("checkout-1", "1.0.0")
    port = port_of(await cluster.ready("checkout-1"))
    await cluster.call("DELETE", f"{PODS}/checkout-1")
    await cluster.pod_is("checkout-1", lambda pod: pod is not None and not is_ready(pod), "not ready")
    assert (await cluster.get(port))["version"] == "1.0.0"
    await cluster.pod_is("checkout-1", lambda pod: pod is None, "gone")
    await closed(port)


async def test_a_pod_removed_by_force_ends_at_once(cluster: Cluster) -> None:
    await cluster.create_pod("checkout-1", "1.0.0")
    port = port_of(await cluster.ready("checkout-1"))
    await cluster.call("DELETE", f"{PODS}/checkout-1", {"gracePeriodSeconds": 0})
    await closed(port)
    assert await cluster.pod("checkout-1") is None


async def test_a_kubelet_that_was_killed_restarts_its_containers(cluster: Cluster) -> None:
    await cluster.create_pod("checkout-1", "1.0.0")
    await cluster.ready("checkout-1")
    await cluster.kubelet.kill()
    await cluster.kubelet.start(_at_once)
    pod = await cluster.pod_is(
        "checkout-1", lambda pod: container(pod).get("restartCount") == 1 and is_ready(pod), "up"
    )
    assert (await cluster.get(port_of(pod)))["version"] == "1.0.0"


@pytest.mark.parametrize(
    ("script", "policy", "phase", "restarts"),
    [("sleep 0.1", "Never", "Succeeded", 0), ("exit 3", "Never", "Failed", 0), ("exit 3", "OnFailure", "Running", 1)],
)
async def test_a_pod_that_may_end_does_what_its_command_says(
    cluster: Cluster, script: str, policy: str, phase: str, restarts: int
) -> None:
    containers: list[JsonValue] = [{"name": "c", "image": "busybox:1", "command": ["sh", "-c", script]}]
    await cluster.create(PODS, {"metadata": meta("task"), "spec": {"restartPolicy": policy, "containers": containers}})

    def has_come_to_it(pod: Document | None) -> bool:
        status = mapping((pod or {}).get("status"))
        return status.get("phase") == phase and container(pod).get("restartCount") == restarts

    await cluster.pod_is("task", has_come_to_it, f"{phase}, restarted {restarts} times")
    await cluster.call("DELETE", f"{PODS}/task")
    await cluster.pod_is("task", lambda pod: pod is None, "gone")


@pytest.fixture
async def agent(cluster: Cluster, mesh: Mesh) -> AsyncIterator[MeshAgent]:
    agent = MeshAgent(cluster.url, mesh.envoy, mesh.files)
    await agent.start()
    yield agent
    await agent.stop()


@pytest.fixture
async def release(cluster: Cluster, mesh: Mesh, agent: MeshAgent) -> Cluster:
    """Two Services with one pod each, and all traffic on the stable one."""
    for name, pod_hash in (("checkout-stable", "aaa"), ("checkout-canary", "bbb")):
        await cluster.create(SERVICES, service(name))
        address, port = await mesh.pod(pod_hash)
        pod = f"pod-{pod_hash}"
        await cluster.create_pod(pod, "0.0.0", pod_hash)
        ready: Document = {"ip": address, "targetRef": {"kind": "Pod", "name": pod, "namespace": NAMESPACE}}
        subset: Document = {"addresses": [ready], "ports": [{"port": port}]}
        await cluster.create(ENDPOINTS, {"metadata": meta(name), "subsets": [subset]})
    await cluster.create(VIRTUAL_SERVICES, split_by_weight(0))
    await agent.synced()
    return cluster


async def test_once_synced_envoy_follows_the_virtual_service(release: Cluster, mesh: Mesh, agent: MeshAgent) -> None:
    for weight, pod_hash in ((100, "bbb"), (0, "aaa")) * 3:
        await release.replace(VIRTUAL_SERVICES, split_by_weight(weight))
        await agent.synced()
        assert await mesh.ask(10) == {(200, pod_hash): 10}


async def test_what_envoy_refuses_is_told_and_can_be_mended(release: Cluster, mesh: Mesh, agent: MeshAgent) -> None:
    """RE2, the regular expressions of Envoy, has no look-behind; the API server does not know that."""
    behind: Document = {"match": [{"uri": {"regex": "(?<=a)b"}}], "route": [route("checkout-canary")]}
    await release.replace(VIRTUAL_SERVICES, virtual_service(behind, {"route": [route("checkout-canary")]}))
    with pytest.raises(MeshError, match="refused"):
        await agent.synced()
    assert await mesh.ask(5) == {(200, "aaa"): 5}
    await release.replace(VIRTUAL_SERVICES, split_by_weight(100))
    await agent.synced()
    assert await mesh.ask(5) == {(200, "bbb"): 5}


async def test_a_virtual_service_that_goes_leaves_the_services(release: Cluster, mesh: Mesh, agent: MeshAgent) -> None:
    await release.call("DELETE", f"{VIRTUAL_SERVICES}/checkout-vsvc")
    await agent.synced()
    assert [status for status, _ in await mesh.ask(1)] == [404]
    assert await mesh.ask(1, "checkout-canary") == {(200, "bbb"): 1}


async def test_without_its_endpoints_a_route_answers_503(release: Cluster, mesh: Mesh, agent: MeshAgent) -> None:
    await release.merge(f"{ENDPOINTS}/checkout-stable", {"subsets": []})
    await agent.synced()
    assert await mesh.ask(3) == {(503, ""): 3}


async def test_envoy_that_is_down_is_told_when_it_is_back(release: Cluster, mesh: Mesh, agent: MeshAgent) -> None:
    await mesh.envoy.kill()
    await release.replace(VIRTUAL_SERVICES, split_by_weight(100))
    await mesh.envoy.start()
    await agent.synced(timeout=20.0)
    assert await mesh.ask(5) == {(200, "bbb"): 5}


async def test_pods_that_are_scaled_away_lose_no_request(
    api: KubernetesApi, cluster: Cluster, mesh: Mesh, agent: MeshAgent, telemetry: Telemetry, tmp_path: Path
) -> None:
    """The whole way of a request: load, Envoy, and pods that a controller makes and takes away meanwhile."""
    labels: Document = {"app": "checkout", HASH_LABEL: "aaa"}
    containers: list[JsonValue] = [{"name": "checkout", "image": f"{IMAGE}:1.0.0"}]
    spec: Document = {
        "replicas": 3,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
    }
    summary = tmp_path / "summary.json"
    options = ["--url", mesh.envoy.url, "--host", "checkout", "--rate", "100", "--summary", str(summary)]
    load = Program("load", [sys.executable, "-m", "sandbox.load", *options], log_file=tmp_path / "load.log")

    async def available(count: int) -> None:
        async def holds() -> bool:
            status = mapping((await cluster.call("GET", f"{REPLICA_SETS}/checkout"))["status"])
            pods = items((await cluster.call("GET", PODS))["items"])
            return status.get("availableReplicas", 0) == len(pods) == count

        await until(holds, 15.0, f"{count} pods are available and no other is left")

    async def flows() -> bool:
        return "aaa" in telemetry.totals()

    async with Controllers(api.cluster):
        await cluster.create(SERVICES, service("checkout"))
        await cluster.create(REPLICA_SETS, {"metadata": meta("checkout"), "spec": spec})
        await available(3)
        await agent.synced()
        await load.start(flows)
        for count in (1, 4):
            await cluster.merge(f"{REPLICA_SETS}/checkout", {"spec": {"replicas": count}})
            await available(count)
        await load.stop()
    outcome = json.loads(summary.read_text())
    assert outcome["statuses"] == {"200": outcome["sent"]}
    assert outcome["transport_errors"] == {}
    assert telemetry.totals()["aaa"].errors == 0
