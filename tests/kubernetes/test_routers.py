"""Routers on a real control plane, with the rights of the rendered role: weights written, read back, cleaned."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from activities.kubernetes.client import INGRESSES, REPLICA_SETS, ROLLOUTS, Cluster, Object, Resource
from activities.routers.choice import read_traffic
from activities.routers.gateway_api import RESOURCES
from activities.routers.required_pods import RequiredPods
from activities.routers.traffic import RouteWrite, Traffic
from tests.kubernetes import given
from tests.kubernetes.conftest import SESSION, Spaces
from tests.kubernetes.crds import crds_of
from tests.kubernetes.plane import Plane
from tests.kubernetes.roles import Roles
from tidegate.contract import WORKER_AGENT, Fence, RestoreStable, Routing, Target, TrafficState
from tidegate.manifests.gateway_api import IN_PROGRESS_KEY, KINDS, PLUGIN
from tidegate.manifests.rollout import Canary
from tidegate.manifests.steps import SetHeaderRoute

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAME = "routed"
PODS = RequiredPods(NAME, 1)
HEADER = SetHeaderRoute.model_validate({"name": "hdr", "match": [{"headerName": "a", "headerValue": {"exact": "x"}}]})


class Stand:
    """Objects of one test, and the worker's activities on them."""

    def __init__(self, plane: Plane, worker: Cluster, namespace: str, routing: Routing, uid: str = "") -> None:
        self.plane, self.worker, self.routing = plane, worker, routing
        self.target = Target(namespace=namespace, name=NAME)
        self._uid, self._writes = uid, 0

    async def shift(self, weight: int) -> TrafficState:
        return await Traffic(self.worker).set_weight(self._write(), weight, canary=PODS)

    async def header(self) -> TrafficState:
        return await Traffic(self.worker).set_managed_route(self._write(), HEADER, PODS)

    async def restore(self) -> TrafficState:
        request = RestoreStable(target=self.target, routing=self.routing, stable_hash="", fence=self._fence())
        return await Traffic(self.worker).restore_stable(request)

    async def now(self, resource: Resource, name: str = NAME) -> Object:
        return await self.plane.cluster.get(resource, self.target.namespace, name)

    def _write(self) -> RouteWrite:
        return RouteWrite(self.target, self.routing, self._fence(), None, self._uid)

    def _fence(self) -> Fence:
        self._writes += 1
        return Fence(epoch=1, sequence=self._writes)


@pytest_asyncio.fixture(**SESSION)
async def worker(roles: Roles) -> AsyncIterator[Cluster]:
    cluster = await Cluster.connect(kubeconfig=str(await roles.kubeconfig("tidegate-cluster")), agent=WORKER_AGENT)
    yield cluster
    await cluster.close()


@pytest_asyncio.fixture(**SESSION)
async def gateway_api(plane: Plane) -> AsyncIterator[None]:
    crds = crds_of(given.path(given.GATEWAY_CRDS, "a folder with the definitions of the Gateway API"))
    names = [f"crd/{each['metadata']['name']}" for each in crds]
    await plane.kubectl("apply", "--server-side", "-f", plane.file(*crds))
    await plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
    yield
    await plane.kubectl("delete", *names)


@pytest_asyncio.fixture(**SESSION)
async def pods(plane: Plane, spaces: Spaces) -> str:
    """A ReplicaSet with an available pod; the namespace that it is in, of which no watcher hears."""
    labels = {"app": NAME}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    await plane.create([_made(REPLICA_SETS, spaces.handover, spec)])
    await plane.wait(
        REPLICA_SETS, spaces.handover, NAME, lambda each: each.get("status", {}).get("availableReplicas") == 1
    )
    return spaces.handover


def _made(resource: Resource, namespace: str, spec: Object) -> Object:
    metadata = {"name": NAME, "namespace": namespace}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}


def _routing(**routing: Object) -> Routing:
    given = {"trafficRouting": {**routing, "managedRoutes": [{"name": "hdr"}]}}
    found = Routing.of(Canary.model_validate({"stableService": "stable", "canaryService": "canary", **given}))
    assert found is not None
    return found


def _weights(route: Object) -> list[list[int]]:
    return [[each["weight"] for each in rule["backendRefs"]] for rule in route["spec"]["rules"]]


@pytest.mark.usefixtures("gateway_api")
@pytest.mark.parametrize("kind", list(KINDS))
async def test_a_route_is_written_read_back_and_cleaned(plane: Plane, worker: Cluster, pods: str, kind: str) -> None:
    resource = RESOURCES[kind]
    references = [{"name": "stable", "port": 80}, {"name": "canary", "port": 80}]
    await plane.create(
        [_made(resource, pods, {"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": references}]})]
    )
    try:
        stand = Stand(plane, worker, pods, _routing(plugins={PLUGIN: {f"{KINDS[kind]}Route": NAME}}))
        assert (await stand.shift(30)).canary == 30
        assert _weights(await stand.now(resource)) == [[70, 30]]
        assert (await stand.shift(30)).updated == ()
        if kind in ("HTTPRoute", "GRPCRoute"):
            assert [each.route for each in (await stand.header()).managed] == ["hdr"]
            assert (await stand.header()).updated == (), "what the server fills in is no difference"
            assert _weights(await stand.now(resource)) == [[70, 30], [1]]
        assert (await stand.now(resource))["metadata"]["labels"] == {IN_PROGRESS_KEY: "in-progress"}
        state = await stand.restore()
        assert (state.canary, state.managed) == (0, ())
        found = await stand.now(resource)
        assert (_weights(found), found["metadata"].get("labels")) == ([[100, 0]], None)
    finally:
        await plane.kubectl("delete", f"{resource.plural}.{resource.group}", NAME, "-n", pods)


async def test_a_canary_ingress_is_made_read_back_and_goes_with_its_rollout(
    plane: Plane, worker: Cluster, pods: str
) -> None:
    backend = {"service": {"name": "stable", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    template = {"metadata": {"labels": {"app": "none"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    selector = {"matchLabels": {"app": "none"}}
    rollout = {"replicas": 0, "selector": selector, "template": template, "strategy": {"canary": {}}}
    ingress = {"rules": [{"host": "a", "http": {"paths": paths}}]}
    await plane.create([_made(INGRESSES, pods, ingress), _made(ROLLOUTS, pods, rollout)])
    try:
        uid = (await plane.cluster.get(ROLLOUTS, pods, NAME))["metadata"]["uid"]
        stand = Stand(plane, worker, pods, _routing(nginx={"stableIngress": NAME}), uid)
        name = f"{NAME}-{NAME}-canary"
        assert (await stand.shift(0)).events[0][0] == "CreatingCanaryIngress"
        assert (await stand.shift(20)).canary == 20
        found = await read_traffic(worker, stand.routing, stand.target)
        assert found is not None
        assert (found.canary, found.converged) == (20, True), "what the server fills in is no difference"
        assert (await stand.restore()).canary == 0
        annotations = (await stand.now(INGRESSES, name))["metadata"]["annotations"]
        assert annotations["nginx.ingress.kubernetes.io/canary-weight"] == "0"
        await plane.kubectl("delete", "rollouts.argoproj.io", NAME, "-n", pods)
        await plane.gone(INGRESSES, pods, name)
    finally:
        await plane.kubectl("delete", "ingress", NAME, "-n", pods)
        await plane.kubectl("delete", "rollouts.argoproj.io", NAME, "-n", pods, "--ignore-not-found")
