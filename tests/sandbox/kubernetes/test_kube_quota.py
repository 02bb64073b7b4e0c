"""A quota of numbers of objects, as the real server answers and its ReplicaSet controller tells."""

from __future__ import annotations

from sandbox.controllers import Controllers, PodSimulator
from sandbox.kubernetes_api import KubernetesApi
from tests.sandbox.kubernetes.kube import APPS, CORE, Kube, Object, serving, workload

SETS = f"{APPS}/replicasets"


async def limit(kube: Kube, **hard: int) -> None:
    limits = {name.replace("_", "/"): str(count) for name, count in hard.items()}
    await kube.create(f"{CORE}/resourcequotas", {"metadata": {"name": "few"}, "spec": {"hard": limits}})


async def test_a_replica_set_too_many_is_refused(kube: Kube) -> None:
    await limit(kube, **{"count_replicasets.apps": 1})
    await kube.create(SETS, workload("ReplicaSet", "one"))
    code, said = await kube.call("POST", SETS, workload("ReplicaSet", "two"))
    counted = "requested: count/replicasets.apps=1, used: count/replicasets.apps=1, limited: count/replicasets.apps=1"
    assert (code, said["reason"]) == (403, "Forbidden")
    assert said["message"] == f'replicasets.apps "two" is forbidden: exceeded quota: few, {counted}'


async def test_a_replica_set_says_that_its_pods_are_refused_for_as_long_as_they_are() -> None:
    api = KubernetesApi()
    async with serving(api) as kube, Controllers(api.cluster, simulator=PodSimulator(api.cluster, ready_after=0.0)):
        await limit(kube, pods=1)
        await kube.create(SETS, workload("ReplicaSet", "web", replicas=2))

        def refused(found: Object) -> bool:
            status = found.get("status") or {}
            return status.get("readyReplicas") == 1 and bool(status.get("conditions"))

        (condition,) = (await kube.eventually(f"{SETS}/web", refused))["status"]["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == (
            "ReplicaFailure",
            "True",
            "FailedCreate",
        )
        assert "is forbidden: exceeded quota: few, requested: pods=1, used: pods=1" in condition["message"]
        await kube.delete(f"{CORE}/resourcequotas/few")
        found = await kube.eventually(f"{SETS}/web", lambda each: each["status"].get("readyReplicas") == 2)
        assert not found["status"].get("conditions")
