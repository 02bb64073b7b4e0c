"""What belongs to a Rollout is decided by who owns it, never by what selects it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from sandbox.kubernetes_api.kinds import REPLICA_SETS, ROLLOUTS, SERVICES
from sandbox.kubernetes_api.objects import Object, meta
from tests.virtual.releases import World
from tests.virtual.stage import Stage, in_virtual_time, opened
from tests.workflows.edits import with_steps
from tidegate.analysis.reading import Reading

ROLLOUT: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "shop"},
    "spec": {
        "replicas": 4,
        "selector": {"matchLabels": {"app": "shop"}},
        "template": {
            "metadata": {"labels": {"app": "shop"}},
            "spec": {"containers": [{"name": "shop", "image": "img:1"}]},
        },
        "strategy": {
            "canary": {
                "stableService": "shop-stable",
                "canaryService": "shop-canary",
                "trafficRouting": {"istio": {"virtualService": {"name": "vs"}}},
                "steps": [{"setWeight": 10}, {"pause": {}}],
            }
        },
    },
}


def nothing_measured(run: str, _: Mapping[str, Any], now: datetime) -> Reading:
    raise AssertionError(f"nothing is measured here, and {run} does at {now}")


@asynccontextmanager
async def standing() -> AsyncIterator[Stage]:
    """A first version that is Healthy, with four pods."""
    async with opened({"rollout": ROLLOUT}, nothing_measured) as stage:
        await stage.simulation.play([], 30)
        assert status(stage)["phase"] == "Healthy"
        yield stage


def status(stage: Stage) -> dict[str, Any]:
    return (stage.cluster.find(ROLLOUTS, "shop") or {}).get("status") or {}


def changed(labels: dict[str, str], image: str) -> Any:
    """Other labels for the pods and in the selector, with another image."""

    def edit(found: Object) -> Object:
        spec = found["spec"]
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "shop", "image": f"img:{image}"}]},
        }
        return found | {"spec": {**spec, "selector": {"matchLabels": labels}, "template": template}}

    return edit


@in_virtual_time
async def test_a_selector_that_leaves_pods_behind_is_refused_by_name_and_touches_nothing() -> None:
    async with standing() as stage:
        before = {meta(each)["name"]: each["spec"]["replicas"] for each in stage.cluster.replica_sets()}
        services = {name: stage.cluster.selector(name) for name in ("shop-stable", "shop-canary")}
        stage.cluster.writes.clear()
        stage.cluster.change(ROLLOUTS, "shop", changed({"app": "shop", "tier": "web"}, "2"))
        await stage.simulation.sleep(30)
        said = status(stage)
        assert said["phase"] == "Degraded"
        for part in ("spec.selector", "app=shop,tier=web", next(iter(before)), "keep the selector"):
            assert part in said["message"]
        assert {meta(each)["name"]: each["spec"]["replicas"] for each in stage.cluster.replica_sets()} == before
        assert {name: stage.cluster.selector(name) for name in services} == services
        assert stage.cluster.writes == []


@in_virtual_time
async def test_a_selector_that_still_finds_the_pods_is_taken_by_the_steps() -> None:
    async with standing() as stage:
        stage.cluster.change(ROLLOUTS, "shop", changed({"app": "shop"}, "2"))
        await stage.simulation.sleep(30)
        assert status(stage)["phase"] == "Paused"
        assert len(stage.cluster.replica_sets()) == 2


@in_virtual_time
async def test_versions_whose_labels_somebody_changed_are_still_those_of_the_rollout() -> None:
    async with standing() as stage:
        (old,) = stage.cluster.replica_sets()

        def relabelled(found: Object) -> Object:
            labels = {key: value for key, value in meta(found)["labels"].items() if key != "app"}
            return found | {"metadata": {**meta(found), "labels": labels}}

        stage.cluster.change(REPLICA_SETS, meta(old)["name"], relabelled)
        stage.cluster.writes.clear()
        stage.cluster.change(ROLLOUTS, "shop", changed({"app": "shop"}, "2"))
        await stage.simulation.sleep(30)
        assert status(stage)["phase"] == "Paused", "the gate counts"
        assert stage.cluster.weights() == [10]
        assert status(stage)["stableRS"] == meta(old)["labels"]["rollouts-pod-template-hash"]
        assert status(stage)["replicas"] == 5, "the pods of both are counted"


@in_virtual_time
async def test_a_rollout_of_the_same_name_that_was_there_before_is_another_one() -> None:
    async with standing() as stage:
        (old,) = stage.cluster.replica_sets()

        def owned_by_another(found: Object) -> Object:
            owners = [{**owner, "uid": "of-another"} for owner in meta(found)["ownerReferences"]]
            return found | {"metadata": {**meta(found), "ownerReferences": owners}}

        stage.cluster.change(REPLICA_SETS, meta(old)["name"], owned_by_another)
        stage.cluster.change(ROLLOUTS, "shop", changed({"app": "shop"}, "2"))
        await stage.simulation.sleep(60)
        assert status(stage)["phase"] == "Healthy", "a first version takes no steps"
        assert status(stage)["replicas"] == 4


@pytest.mark.parametrize("relabelled", [False, True])
async def test_without_a_rollout_object_versions_are_found_by_their_names(world: World, relabelled: bool) -> None:
    await world.deploy_stable()
    (old,) = world.cluster.replica_sets()
    assert not meta(old).get("ownerReferences")
    if relabelled:
        world.cluster.change(
            REPLICA_SETS,
            meta(old)["name"],
            lambda found: (
                found
                | {
                    "metadata": {
                        **meta(found),
                        "labels": {k: v for k, v in meta(found)["labels"].items() if k.startswith("rollouts-")},
                    }
                }
            ),
        )
    handle = await world.start(world.request("1.1.0", with_steps({"setWeight": 10}, {"pause": {}})))
    seen = await world.until(handle, lambda s: s.phase == "Paused")
    assert seen.actual_weight == 10
    assert seen.stable_hash == meta(old)["labels"]["rollouts-pod-template-hash"]


async def test_a_start_without_a_rollout_object_is_refused_too(world: World) -> None:
    await world.deploy_stable()

    def another_selector(rollout: dict[str, Any]) -> None:
        labels = {"app": "checkout", "tier": "web"}
        rollout["spec"]["selector"] = {"matchLabels": labels}
        rollout["spec"]["template"]["metadata"]["labels"] = labels

    handle = await world.start(world.request("1.1.0", another_selector))
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert 'spec.selector: "app=checkout,tier=web"' in str(failed.value.cause)
    assert len(world.cluster.replica_sets()) == 1
    assert world.cluster.find(SERVICES, "checkout-stable") is not None
    assert world.cluster.writes == []
