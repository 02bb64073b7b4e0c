"""Nothing is left behind: Services and Deployments that a Rollout no longer has serve without it."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

from sandbox.kubernetes_api.kinds import KINDS, ROLLOUTS, SERVICES
from sandbox.kubernetes_api.objects import Object, meta
from tests.virtual.cluster import NAMESPACE
from tests.virtual.stage import Stage, opened
from tests.workflows.test_ownership import ROLLOUT, changed, look_for, nothing_measured, standing, status
from tidegate.manifests.network import MANAGED_BY

DEPLOYMENTS = next(kind for kind in KINDS if kind.kind == "Deployment")
LABELS = {"app": "shop"}


def service(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": dict(LABELS), "ports": [{"port": 80}]},
    }


def selector(stage: Stage, name: str) -> dict[str, str]:
    found: dict[str, str] = (stage.cluster.find(SERVICES, name) or {})["spec"]["selector"]
    return found


def renamed(found: Object) -> Object:
    spec = copy.deepcopy(found["spec"])
    spec["strategy"]["canary"] |= {"stableService": "shop-main"}
    return found | {"spec": spec}


def rerouted(found: Object) -> Object:
    spec = copy.deepcopy(found["spec"])
    spec["http"][0]["route"][0]["destination"]["host"] = "shop-main"
    return found | {"spec": spec}


async def test_a_service_that_is_named_no_more_loses_the_hash_and_the_new_one_gets_it() -> None:
    async with standing() as stage:
        stable = stage.cluster.stable_hash
        stage.cluster.apply(service("shop-main"))
        stage.cluster.change(next(kind for kind in KINDS if kind.kind == "VirtualService"), "vs", rerouted)
        stage.cluster.change(ROLLOUTS, "shop", renamed)
        await look_for(stage, 60)
        assert status(stage)["phase"] == "Healthy"
        assert stage.cluster.selector("shop-main") == stable
        assert selector(stage, "shop-stable") == LABELS
        left = stage.cluster.find(SERVICES, "shop-stable") or {}
        assert MANAGED_BY not in meta(left)["annotations"], "another Rollout may have it now"
        assert stage.cluster.selector("shop-canary") == stable


async def test_a_service_that_lost_its_hash_gets_it_back_without_a_new_version() -> None:
    async with standing() as stage:
        stable = stage.cluster.stable_hash
        stage.cluster.delete(SERVICES, "shop-stable")
        stage.cluster.apply(service("shop-stable"))
        stage.cluster.change(SERVICES, "shop-canary", lambda found: found | {"spec": service("x")["spec"]})
        await look_for(stage, 60)
        assert stage.cluster.selector("shop-stable") == stable
        assert stage.cluster.selector("shop-canary") == stable
        assert status(stage)["phase"] == "Healthy"
        assert len(stage.cluster.replica_sets()) == 1


async def test_the_services_of_an_aborted_version_get_it_back_too_and_nobody_tries_it_again() -> None:
    async with standing() as stage:
        stable = stage.cluster.stable_hash
        stage.cluster.change(ROLLOUTS, "shop", changed(LABELS, "2"))
        await look_for(stage, 10)
        await stage.simulation.act("abort", True)
        await stage.simulation.sleep_until(stage.cluster.clock.now + timedelta(seconds=120))
        stage.cluster.apply(service("shop-other"))
        stage.cluster.change(SERVICES, "shop-stable", lambda found: found | {"spec": service("x")["spec"]})
        await look_for(stage, 120)
        assert stage.cluster.selector("shop-stable") == stable
        assert status(stage)["phase"] == "Degraded"
        assert stage.cluster.wanted() == [4, 0]


async def test_the_services_of_a_deleted_rollout_serve_again() -> None:
    async with standing() as stage:
        stage.cluster.delete(ROLLOUTS, "shop")
        await look_for(stage, 10)
        assert selector(stage, "shop-stable") == LABELS
        assert selector(stage, "shop-canary") == LABELS


async def test_a_rollout_that_is_deleted_on_its_way_lets_go_once_its_traffic_is_back() -> None:
    async with standing() as stage:
        stage.cluster.change(ROLLOUTS, "shop", changed(LABELS, "2"))
        await look_for(stage, 10)
        assert stage.cluster.weights()[-1] == 10
        stage.cluster.delete(ROLLOUTS, "shop")
        await look_for(stage, 120)
        assert stage.cluster.weights()[-1] == 0
        assert selector(stage, "shop-stable") == LABELS
        assert selector(stage, "shop-canary") == LABELS


async def test_what_a_new_rollout_of_that_name_has_is_not_taken_from_it() -> None:
    async with standing() as stage:
        gone = str(meta(stage.cluster.find(ROLLOUTS, "shop") or {})["uid"])
        stage.cluster.delete(ROLLOUTS, "shop")
        stage.cluster.apply({**ROLLOUT, "metadata": {"name": "shop", "namespace": NAMESPACE}})
        await look_for(stage, 60)
        assert status(stage)["phase"] == "Healthy"
        await stage.let_go("shop", gone)
        await stage.simulation.sleep_until(stage.cluster.clock.now + timedelta(seconds=10))
        assert stage.cluster.selector("shop-stable") == stage.cluster.stable_hash


async def test_a_deployment_gets_its_pods_back_when_its_rollout_is_deleted() -> None:
    spec = copy.deepcopy(ROLLOUT["spec"])
    template = spec.pop("template")
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "legacy", "scaleDown": "onsuccess"}
    rollout = {**ROLLOUT, "spec": {**spec, "workloadRef": reference}}
    async with opened({"rollout": rollout}, lambda *_: nothing_measured()) as stage:
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "legacy", "namespace": NAMESPACE},
            "spec": {"replicas": 3, "selector": {"matchLabels": LABELS}, "template": template},
        }
        stage.cluster.apply(deployment)
        await stage.simulation.play([], 60)
        assert (stage.cluster.find(DEPLOYMENTS, "legacy") or {})["spec"]["replicas"] == 0
        stage.cluster.delete(ROLLOUTS, "shop")
        await look_for(stage, 10)
        found = stage.cluster.find(DEPLOYMENTS, "legacy") or {}
        assert found["spec"]["replicas"] == 3
        assert not any(name.startswith("tidegate.io/replicas") for name in meta(found)["annotations"])
        assert selector(stage, "shop-stable") == LABELS
