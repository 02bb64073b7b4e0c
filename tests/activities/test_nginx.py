"""Traffic activities on Ingresses of NGINX, against the embedded Kubernetes API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import INGRESSES, SERVICES, Object
from activities.kubernetes.fresh import FreshReader
from activities.kubernetes.informers import Cache
from activities.kubernetes.seen import Seen
from activities.routers.choice import read_traffic
from activities.routers.required_pods import RequiredPods
from activities.routers.traffic import RouteWrite
from tests.activities.mesh import NAMESPACE, TARGET, Mesh, listed, serving
from tidegate.contract import RestoreStable, Routing, TrafficState
from tidegate.manifests.network import MANAGED_BY
from tidegate.manifests.rollout import Canary

WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
PODS = RequiredPods("new", 1)
OWNER = "uid-shop"


def routing(maximum: int | None = None, **nginx: Any) -> Routing:
    """Routing by a stable Ingress `web`, or by these settings."""
    given = {"nginx": nginx or {"stableIngress": "web"}} | ({"maxTrafficWeight": maximum} if maximum else {})
    found = Routing.of(
        Canary.model_validate({"stableService": "stable", "canaryService": "canary", "trafficRouting": given})
    )
    assert found is not None
    return found


def rule(host: str = "a", service: str = "stable") -> Object:
    backend = {"service": {"name": service, "port": {"number": 80}}}
    return {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    async with serving() as running:
        running.put("Rollout", {"metadata": {"name": "shop", "uid": OWNER}})
        await running.create(INGRESSES, {"metadata": {"name": "web"}, "spec": {"rules": [rule()]}})
        await running.replica_set("new", wanted=2, available=2, hash_="new")
        yield running


async def shift(mesh: Mesh, weight: int, where: Routing | None = None, owner: str = OWNER, **more: Any) -> TrafficState:
    write = RouteWrite(TARGET, where or routing(), mesh.fence(), more.pop("last", None), owner)
    return await mesh.traffic.set_weight(write, weight, **{"canary": PODS} | more)


async def restore(mesh: Mesh, where: Routing | None = None) -> TrafficState:
    request = RestoreStable(target=TARGET, routing=where or routing(), stable_hash="old", fence=mesh.fence())
    return await mesh.traffic.restore_stable(request)


async def weight(mesh: Mesh, name: str = "shop-web-canary") -> str:
    return str((await mesh.now(INGRESSES, name))["metadata"]["annotations"][WEIGHT])


async def test_a_canary_ingress_is_made_written_read_back_and_never_verified(mesh: Mesh) -> None:
    with pytest.raises(ApplicationError, match="weight 20 refused"):
        await shift(mesh, 20, canary=RequiredPods("new", 3))
    before = await read_traffic(mesh.cluster, routing(), TARGET)
    assert before is not None
    assert (before.canary, before.converged) == (0, False)
    state = await shift(mesh, 0)
    assert state.events == (("CreatingCanaryIngress", "Creating canary ingress `shop-web-canary` with weight `0`"),)
    state = await shift(mesh, 20)
    assert state.events == (("PatchingCanaryIngress", "Updating Ingress `shop-web-canary` to desiredWeight '20'"),)
    assert (state.canary, state.converged, state.verified) == (20, True, False)
    [owner] = (await mesh.now(INGRESSES, "shop-web-canary"))["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["blockOwnerDeletion"]) == ("Rollout", OWNER, True)
    assert (await shift(mesh, 20)).updated == ()


async def test_weights_may_be_of_another_whole_than_100(mesh: Mesh) -> None:
    state = await shift(mesh, 5, routing(1000))
    assert (state.canary, state.maximum, state.percent) == (5, 1000, 1)
    assert state.routes[0].stable == 995


async def test_an_edit_of_the_stable_ingress_is_followed(mesh: Mesh) -> None:
    await shift(mesh, 20)
    await mesh.patch(INGRESSES, "web", {"op": "add", "path": "/spec/rules/-", "value": rule("b")})
    found = await read_traffic(mesh.cluster, routing(), TARGET)
    assert found is not None
    assert not found.converged
    assert (await shift(mesh, 20)).converged
    now = await mesh.now(INGRESSES, "shop-web-canary")
    assert now["spec"]["rules"] == [rule("a", "canary"), rule("b", "canary")]


async def test_the_way_back_needs_no_stable_ingress(mesh: Mesh) -> None:
    await mesh.service("canary")
    assert (await restore(mesh)).missing == (), "before the first weight there is none, and none has to be"
    await shift(mesh, 60)
    await mesh.cluster.delete(INGRESSES, NAMESPACE, "web")
    state = await restore(mesh)
    assert (state.canary, state.updated) == (0, ("shop-web-canary.default",))
    assert await weight(mesh) == "0"
    assert (await mesh.now(SERVICES, "canary"))["spec"]["selector"]["rollouts-pod-template-hash"] == "old"


async def test_somebody_elses_weight_is_overwritten_and_named(mesh: Mesh) -> None:
    last = await shift(mesh, 20)
    annotation = WEIGHT.replace("/", "~1")
    operation = {"op": "add", "path": f"/metadata/annotations/{annotation}", "value": "90"}
    await mesh.patch(INGRESSES, "shop-web-canary", operation)
    state = await shift(mesh, 30, last=last)
    [change] = state.external_changes
    assert (change.kind, change.name, change.manager) == ("Ingress", "shop-web-canary", "kubectl-edit")
    assert change.what == "stable 10 %, canary 90 % instead of stable 80 %, canary 20 %"


async def test_an_ingress_of_somebody_else_is_left_alone(mesh: Mesh) -> None:
    await mesh.service("canary")
    await mesh.create(INGRESSES, {"metadata": {"name": "shop-web-canary"}, "spec": {"rules": [rule("z")]}})
    for work in (shift(mesh, 20), restore(mesh)):
        with pytest.raises(ApplicationError, match="canary ingress `shop-web-canary` controlled by different object"):
            await work
    assert (await mesh.now(INGRESSES, "shop-web-canary"))["spec"]["rules"] == [rule("z")]


async def test_without_a_rollout_object_the_canary_ingress_is_marked(mesh: Mesh) -> None:
    await shift(mesh, 20, owner="")
    assert (await shift(mesh, 30, owner="")).canary == 30
    assert (await mesh.now(INGRESSES, "shop-web-canary"))["metadata"]["annotations"][MANAGED_BY] == "shop"


async def test_no_ingress_is_written_while_one_is_missing(mesh: Mesh) -> None:
    with pytest.raises(ApplicationError, match=r'ingress\.networking\.k8s\.io "gone" not found'):
        await shift(mesh, 20, routing(stableIngresses=["web", "gone"]))
    assert await mesh.cluster.find(INGRESSES, NAMESPACE, "shop-web-canary") is None


async def test_ingresses_are_read_from_a_cache(mesh: Mesh) -> None:
    await shift(mesh, 20)
    cache = Cache(mesh.worker)
    try:
        with cache.lister() as lister:
            found = await read_traffic(FreshReader(mesh.worker, lister, Seen()), routing(), TARGET)
            await listed(cache, INGRESSES, NAMESPACE)
    finally:
        await cache.close()
    assert found is not None
    assert found.canary == 20
