"""Releases whose traffic the Gateway API or NGINX splits: Envoy does what HTTPRoute and Ingress say, under load."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sandbox.account import counted_weights
from sandbox.demo import RATE, REGISTRY
from sandbox.world import World
from tests.world.conftest import Releases, connected
from tidegate.client import ReleaseHandle, RolloutRef, TidegateClient
from tidegate.contract import ErrorType, ReleaseRequest
from tidegate.manifests.gateway_api import PLUGIN

pytestmark = [pytest.mark.world, pytest.mark.long, pytest.mark.asyncio(loop_scope="session")]
NAMESPACE = "payments"
ROUTERS: dict[str, dict[str, Any]] = {
    "gateway": {"plugins": {PLUGIN: {"httpRoute": "gateway"}}},
    "nginx": {"nginx": {"stableIngress": "nginx"}},
}


def rollout(name: str, tag: str) -> dict[str, Any]:
    steps = [{"setWeight": 25}, {"pause": {"duration": "3s"}}, {"setWeight": 60}, {"pause": {"duration": "3s"}}]
    canary = {
        "stableService": f"{name}-stable",
        "canaryService": f"{name}-canary",
        "scaleDownDelaySeconds": 1,
        "trafficRouting": ROUTERS[name],
        "steps": steps,
    }
    container = {"name": name, "image": f"{REGISTRY}/checkout:{tag}", "ports": [{"containerPort": 8080}]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    selector = {"matchLabels": {"app": name}}
    spec = {"replicas": 2, "selector": selector, "template": template, "strategy": {"canary": canary}}
    return made("argoproj.io/v1alpha1", "Rollout", name, spec)


def made(version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def services(name: str) -> list[dict[str, Any]]:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    return [made("v1", "Service", f"{name}-{side}", spec) for side in ("stable", "canary")]


def split(name: str) -> dict[str, Any]:
    """The route or the Ingress that a team has before its first release; the load asks for the name as the host."""
    if name == "gateway":
        references = [{"name": f"{name}-{side}", "port": 80} for side in ("stable", "canary")]
        spec: dict[str, Any] = {"hostnames": [name], "rules": [{"backendRefs": references}]}
        return made("gateway.networking.k8s.io/v1", "HTTPRoute", name, spec)
    backend = {"service": {"name": f"{name}-stable", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    return made("networking.k8s.io/v1", "Ingress", name, {"rules": [{"host": name, "http": {"paths": paths}}]})


class Routed(Releases):
    """Releases of a Rollout with one of the routers."""

    def __init__(self, world: World, client: TidegateClient, name: str) -> None:
        self.world, self.client = world, client
        self.rollout = RolloutRef(cluster="default", namespace=NAMESPACE, name=name)

    async def start(self, tag: str) -> ReleaseHandle:
        wanted = rollout(self.rollout.name, tag)
        await self.world.apply([wanted])
        request = ReleaseRequest(namespace=NAMESPACE, name=self.rollout.name, rollout=wanted, by="a test")
        return await self.client.start(request)


@pytest.mark.parametrize("name", list(ROUTERS))
async def test_envoy_gives_each_version_the_share_that_its_router_says(world: World, name: str) -> None:
    releases = Routed(world, TidegateClient(await connected(world)), name)
    await world.apply([*services(name), split(name)])
    first = await releases.ended(await releases.start("1.0.0"))
    assert first.outcome == "Healthy", first.message
    load = await world.start_load(RATE, name)
    try:
        result = await releases.ended(await releases.start("1.1.0"))
        assert result.outcome == "Healthy", result.message
        assert [row.canary for row in result.status.weights] == [25, 60, 100]
        assert not result.status.weight_verified, "no Gateway and no controller of Ingresses has confirmed it"
        await world.telemetry.flushed()
        for row in counted_weights(world.telemetry, result.status, time.time()):
            assert row["counted"] is None or abs(row["counted"] - row["set"]) <= 8, row
        handle = await releases.start("1.4.0")
        await releases.until(lambda status: status.actual_weight == 25 and status.finished_at is None)
        await releases.client.abort(releases.rollout, reason="a test", by="a test")
        aborted = await releases.ended(handle)
        assert aborted.outcome == ErrorType.ROLLOUT_ABORTED
        assert [row.canary for row in aborted.status.weights] == [25, 0]
    finally:
        await load.stop()
