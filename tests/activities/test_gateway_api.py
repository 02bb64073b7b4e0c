"""Traffic activities on routes of the Gateway API, against the embedded Kubernetes API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import FENCE_ANNOTATION, HTTP_ROUTES, SERVICES, Object
from activities.kubernetes.fresh import FreshReader
from activities.kubernetes.informers import Cache
from activities.kubernetes.seen import Seen
from activities.routers.choice import read_traffic
from activities.routers.gateway_api import EXPERIMENTS, RESOURCES
from activities.routers.required_pods import RequiredPods
from activities.routers.router import ExperimentWeight
from activities.routers.traffic import RouteWrite
from tests.activities.mesh import NAMESPACE, TARGET, Mesh, listed, serving
from tidegate.contract import ErrorType, RestoreStable, Routing, TrafficState
from tidegate.manifests.gateway_api import IN_PROGRESS_KEY, KINDS, PLUGIN
from tidegate.manifests.rollout import Canary
from tidegate.manifests.steps import SetHeaderRoute, SetMirrorRoute

HEADER = SetHeaderRoute.model_validate({"name": "hdr", "match": [{"headerName": "a", "headerValue": {"exact": "x"}}]})
BOTH = {"backendRefs": [{"name": "stable", "port": 80}, {"name": "canary", "port": 80}]}
PODS = RequiredPods("new", 1)


def routing(**settings: Any) -> Routing:
    """Routing by the settings of the plugin, of the route `shop` where there are none."""
    plugins = {PLUGIN: settings or {"httpRoute": "shop"}}
    steps = [{"setHeaderRoute": HEADER.to_wire()}]
    found = Routing.of(
        Canary.model_validate(
            {
                "stableService": "stable",
                "canaryService": "canary",
                "steps": steps,
                "trafficRouting": {"plugins": plugins, "managedRoutes": [{"name": "hdr"}]},
            }
        )
    )
    assert found is not None
    return found


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    async with serving() as running:
        await route(running, "shop", BOTH)
        await running.replica_set("new", wanted=2, available=2, hash_="new")
        yield running


async def route(mesh: Mesh, name: str, *rules: Object, kind: str = "HTTPRoute", **labels: str) -> None:
    body = {
        "metadata": {"name": name, "labels": labels},
        "spec": {"parentRefs": [{"name": "gw"}], "rules": list(rules)},
    }
    await mesh.create(RESOURCES[kind], body)


async def shift(mesh: Mesh, weight: int, where: Routing | None = None, **more: Any) -> TrafficState:
    write = RouteWrite(TARGET, where or routing(), mesh.fence(), more.pop("last", None))
    return await mesh.traffic.set_weight(write, weight, **{"canary": PODS} | more)


async def managed(mesh: Mesh, step: SetHeaderRoute | SetMirrorRoute, where: Routing | None = None) -> TrafficState:
    return await mesh.traffic.set_managed_route(RouteWrite(TARGET, where or routing(), mesh.fence()), step, PODS)


async def restore(mesh: Mesh, where: Routing | None = None, **more: Any) -> TrafficState:
    request = RestoreStable(
        target=TARGET, routing=where or routing(), stable_hash=more.pop("stable_hash", ""), fence=mesh.fence(), **more
    )
    return await mesh.traffic.restore_stable(request)


async def weights(mesh: Mesh, name: str = "shop", kind: str = "HTTPRoute") -> list[list[int]]:
    rules = (await mesh.now(RESOURCES[kind], name))["spec"]["rules"]
    return [[each["weight"] for each in rule["backendRefs"]] for rule in rules]


async def test_a_weight_is_counted_written_read_back_and_labelled(mesh: Mesh) -> None:
    with pytest.raises(ApplicationError, match="weight 30 refused: ReplicaSet new has 2 available pods, 3 are needed"):
        await shift(mesh, 30, canary=RequiredPods("new", 3))
    assert await weights(mesh) == [[1, 1]]
    state = await shift(mesh, 30)
    assert (state.canary, state.converged, state.updated) == (30, True, ("shop.default",))
    assert [(row.kind, row.route, row.stable) for row in state.routes] == [("HTTPRoute", "rules[0]", 70)]
    found = (await mesh.now(HTTP_ROUTES, "shop"))["metadata"]
    assert (found["labels"], found["annotations"]) == ({IN_PROGRESS_KEY: "in-progress"}, {FENCE_ANNOTATION: "1.2"})
    assert (await shift(mesh, 0)).canary == 0
    assert "labels" not in (await mesh.now(HTTP_ROUTES, "shop"))["metadata"]


async def test_a_repeated_weight_writes_nothing(mesh: Mesh) -> None:
    await shift(mesh, 30)
    before = await mesh.now(HTTP_ROUTES, "shop")
    assert (await shift(mesh, 30)).updated == ()
    assert (await mesh.now(HTTP_ROUTES, "shop"))["metadata"]["generation"] == before["metadata"]["generation"]


async def test_a_route_whose_weights_nobody_wrote_is_no_split_that_was_asked_for(mesh: Mesh) -> None:
    """The default weight of a backend is 1: half of the requests would go to the canary Service."""
    found = await read_traffic(mesh.cluster, routing(), TARGET)
    assert found is not None
    assert (found.canary, found.converged, found.verified) == (50, False, False)


@pytest.mark.parametrize("kind", list(KINDS))
async def test_routes_of_each_kind_are_found_split_and_read_from_a_cache(mesh: Mesh, kind: str) -> None:
    await route(mesh, "one", BOTH, kind=kind, team="shop")
    await route(mesh, "other", BOTH, kind=kind, team="else")
    where = routing(**{f"{KINDS[kind]}RouteSelector": {"matchLabels": {"team": "shop"}}})
    assert (await shift(mesh, 20, where)).canary == 20
    assert await weights(mesh, "one", kind) == [[80, 20]]
    assert await weights(mesh, "other", kind) == [[1, 1]]
    cache = Cache(mesh.worker)
    try:
        with cache.lister() as lister:
            found = await read_traffic(FreshReader(mesh.worker, lister, Seen()), where, TARGET)
            await listed(cache, RESOURCES[kind], NAMESPACE)
    finally:
        await cache.close()
    assert found is not None
    assert [row.name for row in found.routes] == ["one"]


async def test_no_route_is_written_while_one_is_missing(mesh: Mesh) -> None:
    with pytest.raises(ApplicationError, match=r'httproutes.gateway.networking.k8s.io "gone" not found') as caught:
        await shift(mesh, 20, routing(httpRoutes=[{"name": "shop"}, {"name": "gone"}]))
    assert caught.value.type == ErrorType.NOT_FOUND
    assert await weights(mesh) == [[1, 1]]


async def test_the_way_back_is_one_write(mesh: Mesh) -> None:
    """Weights, header rules, experiments and the label, and then the canary Service."""
    await mesh.service("canary")
    await mesh.service("exp")
    await shift(mesh, 60, experiments=[ExperimentWeight("exp", 10)])
    await managed(mesh, HEADER)
    found = await mesh.now(HTTP_ROUTES, "shop")
    assert await weights(mesh) == [[30, 60, 10], [1]]
    assert found["metadata"]["annotations"][EXPERIMENTS] == "exp"
    state = await restore(mesh, stable_hash="old")
    assert (state.canary, state.managed, state.updated) == (0, (), ("shop.default",))
    now = await mesh.now(HTTP_ROUTES, "shop")
    assert await weights(mesh) == [[100, 0]]
    assert now["metadata"]["generation"] == found["metadata"]["generation"] + 1
    assert EXPERIMENTS not in now["metadata"]["annotations"]
    service = await mesh.now(SERVICES, "canary")
    assert service["spec"]["selector"]["rollouts-pod-template-hash"] == "old"


async def test_the_way_back_passes_what_is_gone_or_leads_nowhere(mesh: Mesh) -> None:
    await route(mesh, "stable-alone", {"backendRefs": [{"name": "stable", "port": 80}]})
    await shift(mesh, 60)
    state = await restore(mesh, routing(httpRoutes=[{"name": "gone"}, {"name": "stable-alone"}, {"name": "shop"}]))
    assert (state.canary, state.missing) == (0, ("gone.default",))
    assert await weights(mesh) == [[100, 0]]


async def test_a_header_route_comes_and_goes_and_says_when_somebody_took_it(mesh: Mesh) -> None:
    await shift(mesh, 20)
    last = await managed(mesh, HEADER)
    assert [each.route for each in last.managed] == ["hdr"]
    assert (await managed(mesh, HEADER)).updated == ()
    await mesh.patch(HTTP_ROUTES, "shop", {"op": "remove", "path": "/spec/rules/1"})
    state = await shift(mesh, 30, last=last)
    assert [(each.kind, each.what, each.manager) for each in state.external_changes] == [
        ("HTTPRoute", "the managed route is gone", "kubectl-edit")
    ]
    await managed(mesh, HEADER)
    assert (await managed(mesh, SetHeaderRoute(name="hdr"))).managed == ()


async def test_a_mirror_is_refused(mesh: Mesh) -> None:
    mirror = SetMirrorRoute.model_validate({"name": "hdr", "match": [{"method": {"exact": "GET"}}]})
    with pytest.raises(ApplicationError, match="a mirror route is not supported with the Gateway API"):
        await managed(mesh, mirror)


async def test_a_weight_is_verified_when_a_gateway_says_so(mesh: Mesh) -> None:
    assert not (await shift(mesh, 20)).verified
    generation = (await mesh.now(HTTP_ROUTES, "shop"))["metadata"]["generation"]

    async def accept(observed: int) -> None:
        condition = {"type": "Accepted", "status": "True", "observedGeneration": observed}
        await mesh.cluster.merge_status(
            HTTP_ROUTES, NAMESPACE, "shop", {"parents": [{"parentRef": {"name": "gw"}, "conditions": [condition]}]}
        )

    await accept(generation)
    found = await read_traffic(mesh.cluster, routing(), TARGET)
    assert found is not None
    assert found.verified
    assert not (await shift(mesh, 30)).verified, "nobody has seen this one yet"


async def test_an_experiment_without_its_service_gets_nothing(mesh: Mesh) -> None:
    with pytest.raises(ApplicationError, match='"exp" not found'):
        await shift(mesh, 20, experiments=[ExperimentWeight("exp", 10)])
    assert await weights(mesh) == [[1, 1]]
