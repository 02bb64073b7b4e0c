"""Nothing is left behind: Services and Deployments that a Rollout no longer has serve without it."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sandbox.kubernetes_api.kinds import KINDS, REPLICA_SETS, ROLLOUTS, SERVICES, VIRTUAL_SERVICES
from sandbox.kubernetes_api.objects import Object, meta
from tests.virtual.cluster import NAMESPACE
from tests.virtual.stage import Stage, in_virtual_time, opened
from tests.workflows.test_ownership import ROLLOUT, changed, nothing_measured, standing, status
from tidegate.client import RolloutRef
from tidegate.manifests.network import HASH_LABEL, MANAGED_BY
from workers.settings import WatcherSettings

DEPLOYMENTS, DESTINATION_RULES = (
    next(kind for kind in KINDS if kind.kind == each) for each in ("Deployment", "DestinationRule")
)
LABELS = {"app": "shop"}
RESYNC_SECONDS = WatcherSettings().resync.total_seconds() + 10  # no Rollout changes with its Services


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


@in_virtual_time
async def test_a_service_that_is_named_no_more_loses_the_hash_and_the_new_one_gets_it() -> None:
    async with standing() as stage:
        stable = stage.cluster.stable_hash
        stage.cluster.apply(service("shop-main"))
        stage.cluster.change(VIRTUAL_SERVICES, "vs", rerouted)
        stage.cluster.change(ROLLOUTS, "shop", renamed)
        await stage.simulation.sleep(60)
        assert status(stage)["phase"] == "Healthy"
        assert stage.cluster.selector("shop-main") == stable
        assert selector(stage, "shop-stable") == LABELS
        left = stage.cluster.find(SERVICES, "shop-stable") or {}
        assert MANAGED_BY not in meta(left)["annotations"], "another Rollout may have it now"
        assert stage.cluster.selector("shop-canary") == stable


@in_virtual_time
async def test_a_service_that_lost_its_hash_gets_it_back_without_a_new_version() -> None:
    async with standing() as stage:
        stable = stage.cluster.stable_hash
        stage.cluster.delete(SERVICES, "shop-stable")
        stage.cluster.apply(service("shop-stable"))
        stage.cluster.change(SERVICES, "shop-canary", lambda found: found | {"spec": service("x")["spec"]})
        await stage.simulation.sleep(RESYNC_SECONDS)
        assert stage.cluster.selector("shop-stable") == stable
        assert stage.cluster.selector("shop-canary") == stable
        assert status(stage)["phase"] == "Healthy"
        assert len(stage.cluster.replica_sets()) == 1


@in_virtual_time
async def test_the_services_of_an_aborted_version_get_it_back_too_and_nobody_tries_it_again() -> None:
    async with standing() as stage:
        stable = stage.cluster.stable_hash
        stage.cluster.change(ROLLOUTS, "shop", changed(LABELS, "2"))
        await stage.simulation.sleep(10)
        stage.simulation.act("abort", True)
        await stage.simulation.sleep(120)
        stage.cluster.apply(service("shop-other"))
        stage.cluster.change(SERVICES, "shop-stable", lambda found: found | {"spec": service("x")["spec"]})
        await stage.simulation.sleep(RESYNC_SECONDS)
        assert stage.cluster.selector("shop-stable") == stable
        assert status(stage)["phase"] == "Degraded"
        assert stage.cluster.wanted() == [4, 0]


@in_virtual_time
async def test_the_services_of_a_deleted_rollout_serve_again() -> None:
    async with standing() as stage:
        stage.cluster.delete(ROLLOUTS, "shop")
        await stage.simulation.sleep(10)
        assert selector(stage, "shop-stable") == LABELS
        assert selector(stage, "shop-canary") == LABELS


@in_virtual_time
async def test_a_rollout_that_is_deleted_on_its_way_lets_go_once_its_traffic_is_back() -> None:
    async with standing() as stage:
        stage.cluster.change(ROLLOUTS, "shop", changed(LABELS, "2"))
        await stage.simulation.sleep(10)
        assert stage.cluster.weights()[-1] == 10
        stage.cluster.delete(ROLLOUTS, "shop")
        await stage.simulation.sleep(120)
        assert stage.cluster.weights()[-1] == 0
        assert selector(stage, "shop-stable") == LABELS
        assert selector(stage, "shop-canary") == LABELS


SUBSETS = ("stable", "canary")


def rule(name: str, *subsets: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "DestinationRule",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"host": "shop", "subsets": [{"name": each, "labels": dict(LABELS)} for each in subsets]},
    }


def split_by(name: str, stable: str = "stable") -> dict[str, Any]:
    """Traffic routing by the subsets of a rule."""
    sides = {"stableSubsetName": stable, "canarySubsetName": "canary"}
    return {"istio": {"virtualService": {"name": "vs"}, "destinationRule": {"name": name, **sides}}}


def leads_to(*subsets: str) -> dict[str, Any]:
    shares = zip(subsets, (100, 0), strict=True)
    route = [{"destination": {"host": "shop", "subset": each}, "weight": share} for each, share in shares]
    return {"hosts": ["demo"], "http": [{"route": route}]}


@asynccontextmanager
async def split() -> AsyncIterator[Stage]:
    """A first version that is Healthy, whose traffic is split by the subsets of a DestinationRule."""
    rollout = copy.deepcopy(ROLLOUT)
    rollout["spec"]["strategy"]["canary"]["trafficRouting"] = split_by("shop")
    async with opened({"rollout": rollout}, nothing_measured) as stage:
        stage.cluster.apply(rule("shop", *SUBSETS, "all"))
        stage.cluster.change(VIRTUAL_SERVICES, "vs", lambda found: found | {"spec": leads_to(*SUBSETS)})
        await stage.simulation.play([], 30)
        assert status(stage)["phase"] == "Healthy"
        assert selected(stage, "shop") == {
            each: {**LABELS, HASH_LABEL: stage.cluster.stable_hash} for each in SUBSETS
        } | {"all": LABELS}
        yield stage


def selected(stage: Stage, name: str) -> dict[str, dict[str, str]]:
    """The labels of each subset."""
    found = stage.cluster.find(DESTINATION_RULES, name) or {}
    return {each["name"]: each["labels"] for each in found["spec"]["subsets"]}


def weights(stage: Stage) -> list[tuple[str, int]]:
    """Subset and share of each destination."""
    routes = (stage.cluster.find(VIRTUAL_SERVICES, "vs") or {})["spec"]["http"][0]["route"]
    return [(each["destination"]["subset"], each["weight"]) for each in routes]


def mark(stage: Stage, name: str) -> str | None:
    """The Rollout that a DestinationRule is marked as being managed by."""
    found: str | None = meta(stage.cluster.find(DESTINATION_RULES, name) or {})["annotations"].get(MANAGED_BY)
    return found


@in_virtual_time
async def test_no_version_gets_traffic_by_subsets_of_a_rule_that_is_gone() -> None:
    async with split() as stage:
        stage.cluster.delete(DESTINATION_RULES, "shop")
        stage.cluster.change(ROLLOUTS, "shop", changed(LABELS, "2"))
        await stage.simulation.sleep(60)
        assert 'destinationrules.networking.istio.io "shop" not found' in status(stage)["message"]
        routes = (stage.cluster.find(VIRTUAL_SERVICES, "vs") or {})["spec"]["http"][0]["route"]
        assert {each["destination"]["subset"]: each["weight"] for each in routes} == dict(
            zip(SUBSETS, (100, 0), strict=True)
        )


@in_virtual_time
async def test_a_weight_does_not_grow_by_subsets_of_a_rule_that_goes_on_the_way() -> None:
    async with split() as stage:
        stage.cluster.change(ROLLOUTS, "shop", changed(LABELS, "2"))
        await stage.simulation.sleep(60)
        assert weights(stage) == [("stable", 90), ("canary", 10)]
        stage.cluster.delete(DESTINATION_RULES, "shop")
        stage.simulation.act("promote", "full")
        await stage.simulation.sleep(60)
        assert weights(stage) == [("stable", 90), ("canary", 10)]
        stage.cluster.apply(rule("shop", *SUBSETS))
        await stage.simulation.sleep(300)
        assert status(stage)["phase"] == "Healthy"


@in_virtual_time
async def test_the_subsets_of_a_deleted_rollout_serve_again() -> None:
    async with split() as stage:
        stage.cluster.delete(ROLLOUTS, "shop")
        await stage.simulation.sleep(10)
        assert selected(stage, "shop") == dict.fromkeys((*SUBSETS, "all"), LABELS)
        assert mark(stage, "shop") is None, "another Rollout may have it now"


@in_virtual_time
async def test_the_subsets_keep_the_hash_of_a_version_that_stays() -> None:
    async with split() as stage:
        (found,) = stage.cluster.replica_sets()

        def orphaned(found: Object) -> Object:
            return found | {"metadata": {**meta(found), "ownerReferences": []}}

        stage.cluster.change(REPLICA_SETS, meta(found)["name"], orphaned)
        stable = stage.cluster.stable_hash
        stage.cluster.delete(ROLLOUTS, "shop")
        await stage.simulation.sleep(10)
        assert selected(stage, "shop")["stable"] == {**LABELS, HASH_LABEL: stable}
        assert mark(stage, "shop") == "shop", "whoever gets it next is to be the Rollout of that name"


@in_virtual_time
async def test_what_was_applied_anew_is_no_deleted_rollouts_any_more() -> None:
    async with split() as stage:
        stage.cluster.change(DESTINATION_RULES, "shop", lambda found: found | {"spec": rule("shop", *SUBSETS)["spec"]})
        stage.cluster.change(SERVICES, "shop-stable", lambda found: found | {"spec": service("x")["spec"]})
        stage.cluster.delete(ROLLOUTS, "shop")
        await stage.simulation.sleep(10)
        assert mark(stage, "shop") is None, "another Rollout may have it now"
        assert MANAGED_BY not in meta(stage.cluster.find(SERVICES, "shop-stable") or {})["annotations"]


def with_routing(routing: dict[str, Any]) -> Any:
    def edit(found: Object) -> Object:
        spec = copy.deepcopy(found["spec"])
        spec["strategy"]["canary"]["trafficRouting"] = routing
        return found | {"spec": spec}

    return edit


@in_virtual_time
async def test_a_rule_that_is_named_no_more_loses_the_hash_and_the_new_one_gets_it() -> None:
    async with split() as stage:
        stable = stage.cluster.stable_hash
        stage.cluster.apply(rule("main", *SUBSETS))
        stage.cluster.change(ROLLOUTS, "shop", with_routing(split_by("main")))
        await stage.simulation.sleep(60)
        assert status(stage)["phase"] == "Healthy"
        assert selected(stage, "main") == {each: {**LABELS, HASH_LABEL: stable} for each in SUBSETS}
        assert selected(stage, "shop") == dict.fromkeys((*SUBSETS, "all"), LABELS)
        assert mark(stage, "shop") is None, "another Rollout may have it now"


@in_virtual_time
async def test_a_subset_that_is_named_no_more_loses_the_hash_and_its_rule_stays_the_rollouts() -> None:
    async with split() as stage:
        stable = stage.cluster.stable_hash
        stage.cluster.change(VIRTUAL_SERVICES, "vs", lambda found: found | {"spec": leads_to("all", "canary")})
        stage.cluster.change(ROLLOUTS, "shop", with_routing(split_by("shop", "all")))
        await stage.simulation.sleep(60)
        assert status(stage)["phase"] == "Healthy"
        hashed = {**LABELS, HASH_LABEL: stable}
        assert selected(stage, "shop") == {"stable": LABELS, "canary": hashed, "all": hashed}
        assert mark(stage, "shop") == "shop"


@in_virtual_time
async def test_what_a_new_rollout_of_that_name_has_is_not_taken_from_it() -> None:
    async with standing() as stage:
        gone = str(meta(stage.cluster.find(ROLLOUTS, "shop") or {})["uid"])
        stage.cluster.delete(ROLLOUTS, "shop")
        stage.cluster.apply({**ROLLOUT, "metadata": {"name": "shop", "namespace": NAMESPACE}})
        await stage.simulation.sleep(60)
        assert status(stage)["phase"] == "Healthy"
        await stage.client.let_go(RolloutRef(NAMESPACE, "shop"), gone)
        await stage.simulation.sleep(10)
        assert stage.cluster.selector("shop-stable") == stage.cluster.stable_hash


@in_virtual_time
async def test_a_deployment_gets_its_pods_back_when_its_rollout_is_deleted() -> None:
    spec = copy.deepcopy(ROLLOUT["spec"])
    template = spec.pop("template")
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "legacy", "scaleDown": "onsuccess"}
    rollout = {**ROLLOUT, "spec": {**spec, "workloadRef": reference}}
    async with opened({"rollout": rollout}, nothing_measured) as stage:
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
        await stage.simulation.sleep(10)
        found = stage.cluster.find(DEPLOYMENTS, "legacy") or {}
        assert found["spec"]["replicas"] == 3
        assert not any(name.startswith("tidegate.io/replicas") for name in meta(found)["annotations"])
        assert selector(stage, "shop-stable") == LABELS
