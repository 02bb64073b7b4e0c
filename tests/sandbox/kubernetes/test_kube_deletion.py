from __future__ import annotations

from typing import Any

from tests.sandbox.kubernetes.kube import APPS, ARGO, CORE, Kube, pod, workload


async def owned_pod(kube: Kube, name: str, *owners: dict[str, Any]) -> dict[str, Any]:
    body = pod(name)
    body["metadata"]["ownerReferences"] = [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": True,
        }
        for owner in owners
    ]
    return await kube.create(f"{CORE}/pods", body)


async def replica_set(kube: Kube, name: str) -> dict[str, Any]:
    return await kube.create(f"{APPS}/replicasets", workload("ReplicaSet", name))


async def start(kube: Kube, name: str) -> None:
    await kube.patch(f"{CORE}/pods/{name}/status", {"status": {"startTime": "2026-01-01T00:00:00Z"}})


async def test_finalizers_hold_a_deletion(kube: Kube) -> None:
    path = f"{ARGO}/rollouts/r"
    await kube.create(f"{ARGO}/rollouts", {"metadata": {"name": "r", "finalizers": ["x/y"]}, "spec": {}})
    await kube.delete(path)
    assert (await kube.get(path))["metadata"]["deletionTimestamp"]
    await kube.patch(path, {"metadata": {"finalizers": None}})
    assert (await kube.call("GET", path))[0] == 404


async def test_a_deletion_can_be_bound_to_what_was_seen(kube: Kube) -> None:
    made = await kube.create(f"{CORE}/pods", pod("p"))
    for name, wrong in (("uid", "other"), ("resourceVersion", "1")):
        code, answer = await kube.call("DELETE", f"{CORE}/pods/p", {"preconditions": {name: wrong}})
        assert (code, answer["reason"]) == (409, "Conflict")
    await kube.delete(f"{CORE}/pods/p", {"preconditions": {"uid": made["metadata"]["uid"]}})
    assert await kube.names(f"{CORE}/pods") == []


async def test_a_started_pod_goes_when_its_kubelet_says_so(kube: Kube) -> None:
    await kube.create(f"{CORE}/pods", pod("p"))
    await start(kube, "p")
    marked = await kube.delete(f"{CORE}/pods/p", {"gracePeriodSeconds": 7})
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 7
    again = await kube.delete(f"{CORE}/pods/p")
    assert again["metadata"]["deletionTimestamp"] == marked["metadata"]["deletionTimestamp"]
    await kube.delete(f"{CORE}/pods/p", {"gracePeriodSeconds": 0})
    assert await kube.names(f"{CORE}/pods") == []


async def test_dependents_go_with_their_last_owner(kube: Kube) -> None:
    first, second = await replica_set(kube, "one"), await replica_set(kube, "two")
    await owned_pod(kube, "both", first, second)
    await owned_pod(kube, "only", first)
    await kube.delete(f"{APPS}/replicasets/one")
    assert await kube.names(f"{CORE}/pods") == ["both"]
    left = (await kube.get(f"{CORE}/pods/both"))["metadata"]["ownerReferences"]
    assert [ref["name"] for ref in left] == ["two"]
    await kube.delete(f"{APPS}/replicasets/two")
    assert await kube.names(f"{CORE}/pods") == []


async def test_an_object_whose_owner_never_was_is_collected(kube: Kube) -> None:
    owner = await replica_set(kube, "one")
    owner["metadata"]["uid"] = "never"
    await owned_pod(kube, "p", owner)
    assert await kube.names(f"{CORE}/pods") == []


async def test_orphaned_dependents_stay(kube: Kube) -> None:
    await owned_pod(kube, "p", await replica_set(kube, "one"))
    await kube.delete(f"{APPS}/replicasets/one?propagationPolicy=Orphan")
    assert await kube.names(f"{APPS}/replicasets") == []
    assert "ownerReferences" not in (await kube.get(f"{CORE}/pods/p"))["metadata"]


async def test_in_the_foreground_the_owner_goes_last(kube: Kube) -> None:
    await owned_pod(kube, "p", await replica_set(kube, "one"))
    await start(kube, "p")
    await kube.delete(f"{APPS}/replicasets/one", {"propagationPolicy": "Foreground"})
    assert (await kube.get(f"{CORE}/pods/p"))["metadata"]["deletionTimestamp"]
    assert await kube.names(f"{APPS}/replicasets") == ["one"]
    await kube.delete(f"{CORE}/pods/p", {"gracePeriodSeconds": 0})
    assert await kube.names(f"{CORE}/pods") == []
    assert await kube.names(f"{APPS}/replicasets") == []


async def test_a_namespace_goes_when_it_is_empty(kube: Kube) -> None:
    await kube.create("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    assert await kube.names("/api/v1/namespaces/shop/serviceaccounts") == ["default"]
    pods = "/api/v1/namespaces/shop/pods"
    await kube.create(pods, pod("p"))
    await kube.patch(f"{pods}/p/status", {"status": {"startTime": "2026-01-01T00:00:00Z"}})
    await kube.delete("/api/v1/namespaces/shop")
    assert (await kube.get("/api/v1/namespaces/shop"))["status"]["phase"] == "Terminating"
    code, answer = await kube.call("POST", pods, pod("q"))
    assert (code, answer["reason"]) == (403, "Forbidden")
    await kube.delete(f"{pods}/p", {"gracePeriodSeconds": 0})
    assert (await kube.call("GET", "/api/v1/namespaces/shop"))[0] == 404


async def test_a_collection_is_deleted_by_selector(kube: Kube) -> None:
    for name in ("a", "b", "c"):
        await kube.create(f"{CORE}/pods", pod(name, keep=str(name == "b").lower()))
    await kube.delete(f"{CORE}/pods?labelSelector=keep=false")
    assert await kube.names(f"{CORE}/pods") == ["b"]
