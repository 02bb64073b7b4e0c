from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sandbox.controllers import Controllers, PodSimulator
from sandbox.kubernetes_api import KubernetesApi
from tests.sandbox.kubernetes.kube import APPS, CORE, Kube, pod, serving, workload

SETS, PODS = f"{APPS}/replicasets", f"{CORE}/pods"
NEVER = "app:broken"


@asynccontextmanager
async def running(*, ready_after: float = 0, simulated: bool = True) -> AsyncIterator[Kube]:
    """A server with controllers, and pods that become ready by themselves if `simulated`."""
    api = KubernetesApi()
    simulator = PodSimulator(api.cluster, ready_after=ready_after, never_ready={NEVER}) if simulated else None
    async with serving(api) as kube, Controllers(api.cluster, simulator=simulator):
        yield kube


def ready(count: int) -> Any:
    return lambda replica_set: replica_set.get("status", {}).get("readyReplicas", 0) == count


async def test_a_replica_set_gets_its_pods_and_says_how_they_are() -> None:
    async with running() as kube:
        made = await kube.create(SETS, workload("ReplicaSet", "web", replicas=3))
        found = await kube.eventually(f"{SETS}/web", ready(3))
        assert found["status"] == {
            "replicas": 3,
            "fullyLabeledReplicas": 3,
            "readyReplicas": 3,
            "availableReplicas": 3,
            "observedGeneration": 1,
        }
        pods = (await kube.get(f"{PODS}?labelSelector=app=web"))["items"]
        assert all(one["metadata"]["name"].startswith("web-") for one in pods)
        owners = {(ref["uid"], ref["controller"]) for one in pods for ref in one["metadata"]["ownerReferences"]}
        assert owners == {(made["metadata"]["uid"], True)}


async def test_scaling_down_leaves_the_good_pods() -> None:
    async with running(simulated=False) as kube:
        await kube.create(SETS, workload("ReplicaSet", "web", replicas=3))
        await kube.eventually(f"{SETS}/web", lambda found: found["status"].get("replicas") == 3)
        good = (await kube.names(PODS))[1]
        await report(kube, good, ready_condition="True")
        await kube.patch(f"{SETS}/web/scale", {"spec": {"replicas": 1}})
        await kube.eventually(f"{SETS}/web", lambda found: found["status"]["replicas"] == 1)
        assert await kube.names(PODS) == [good]


async def test_a_lost_pod_is_replaced_and_the_set_takes_its_pods_along() -> None:
    async with running() as kube:
        await kube.create(SETS, workload("ReplicaSet", "web", replicas=2))
        await kube.eventually(f"{SETS}/web", ready(2))
        before = set(await kube.names(PODS))
        await kube.delete(f"{PODS}/{min(before)}")
        await kube.eventually(PODS, lambda pods: len({p["metadata"]["name"] for p in pods["items"]} - before) == 1)
        await kube.delete(f"{SETS}/web")
        await kube.eventually(PODS, lambda pods: pods["items"] == [])


async def test_a_matching_pod_without_owner_is_adopted_and_one_that_no_longer_matches_is_let_go() -> None:
    async with running(simulated=False) as kube:
        await kube.create(PODS, pod("mine", app="web"))
        await kube.create(SETS, workload("ReplicaSet", "web", replicas=1))
        await kube.eventually(f"{PODS}/mine", lambda found: "ownerReferences" in found["metadata"])
        assert await kube.names(PODS) == ["mine"]
        await kube.patch(f"{PODS}/mine", {"metadata": {"labels": {"app": "aside"}}})
        await kube.eventually(PODS, lambda pods: len(pods["items"]) == 2)
        await kube.eventually(f"{PODS}/mine", lambda found: "ownerReferences" not in found["metadata"])


async def test_availability_waits_for_min_ready_seconds() -> None:
    async with running() as kube:
        body = workload("ReplicaSet", "web")
        body["spec"]["minReadySeconds"] = 3600
        await kube.create(SETS, body)
        first = await kube.eventually(f"{SETS}/web", ready(1))
        assert "availableReplicas" not in first["status"]
        await kube.patch(f"{SETS}/web", {"spec": {"minReadySeconds": 1}})
        await kube.eventually(f"{SETS}/web", lambda found: found["status"].get("availableReplicas") == 1)


async def test_an_image_that_never_gets_ready_does_not() -> None:
    async with running() as kube:
        await kube.create(SETS, workload("ReplicaSet", "bad", image=NEVER))
        await kube.create(SETS, workload("ReplicaSet", "good"))
        await kube.eventually(f"{SETS}/good", ready(1))
        (bad,) = (await kube.get(f"{PODS}?labelSelector=app=bad"))["items"]
        assert bad["status"]["phase"] == "Running"
        assert {c["type"]: c["status"] for c in bad["status"]["conditions"]}["Ready"] == "False"


async def test_a_simulated_pod_stays_as_it_is_told_to_be() -> None:
    async with running() as kube:
        await kube.create(SETS, workload("ReplicaSet", "web"))
        await kube.eventually(f"{SETS}/web", ready(1))
        (name,) = await kube.names(PODS)
        await report(kube, name, ready_condition="False")
        await kube.eventually(f"{SETS}/web", ready(0))


async def report(kube: Kube, name: str, *, ready_condition: str, port: str = "") -> None:
    """What a kubelet would write."""
    if port:
        await kube.patch(f"{PODS}/{name}", {"metadata": {"annotations": {"sandbox.tidegate.io/host-port": port}}})
    status = {
        "phase": "Running",
        "podIP": "127.0.0.1",
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [{"type": "Ready", "status": ready_condition, "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }
    await kube.patch(f"{PODS}/{name}/status", {"status": status})


def service(target: int | str) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": target}]
    return {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}}


def addresses(endpoints: dict[str, Any], which: str = "addresses") -> Sequence[tuple[str, int]]:
    return sorted(
        (address["targetRef"]["name"], port["port"])
        for subset in endpoints.get("subsets", [])
        for address in subset.get(which, [])
        for port in subset["ports"]
    )


@pytest.mark.parametrize(("target", "port", "expected"), [(8080, "", 8080), ("web", "", 9090), (8080, "31000", 31000)])
async def test_endpoints_resolve_the_port_of_a_pod(target: int | str, port: str, expected: int) -> None:
    async with running(simulated=False) as kube:
        body = pod("p", app="web")
        body["spec"]["containers"][0]["ports"] = [{"name": "web", "containerPort": 9090}]
        await kube.create(PODS, body)
        await kube.create(f"{CORE}/services", service(target))
        await report(kube, "p", ready_condition="True", port=port)
        await kube.eventually(f"{CORE}/endpoints/web", lambda found: addresses(found) == [("p", expected)])


async def test_endpoints_follow_readiness_selector_and_deletion() -> None:
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    path = f"{CORE}/endpoints/web"
    async with running(simulated=False) as kube:
        await kube.create(f"{CORE}/services", service(80))
        for name, port in (("a", "31001"), ("b", "31002")):
            await kube.create(PODS, pod(name, app="web", hash=name))
            await report(kube, name, ready_condition="True", port=port)
        await kube.eventually(path, lambda found: addresses(found) == [("a", 31001), ("b", 31002)])
        assert sorted(one["ports"][0]["port"] for one in (await kube.get(slices))["items"]) == [31001, 31002]

        await report(kube, "a", ready_condition="False")
        found = await kube.eventually(path, lambda found: addresses(found) == [("b", 31002)])
        assert addresses(found, "notReadyAddresses") == [("a", 31001)]

        await kube.patch(f"{CORE}/services/web", {"spec": {"selector": {"hash": "b"}}})
        await kube.eventually(path, lambda found: addresses(found, "notReadyAddresses") == [])

        await kube.delete(f"{PODS}/b")  # it has started: it stays until its kubelet is done, but gets no new requests
        await kube.eventually(path, lambda found: "subsets" not in found)
        (terminating,) = (await kube.get(slices))["items"][0]["endpoints"]
        assert terminating["conditions"] == {"ready": False, "serving": True, "terminating": True}

        await kube.delete(f"{CORE}/services/web")
        await kube.eventually(f"{CORE}/endpoints", lambda found: found["items"] == [])
        assert await kube.names(slices) == []
