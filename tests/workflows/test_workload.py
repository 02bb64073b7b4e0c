"""A Rollout that takes its pod template from a Deployment, and the place of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from sandbox.kubernetes_api.kinds import KINDS, ROLLOUTS
from sandbox.kubernetes_api.objects import Object, meta
from tests.virtual.releases import IMAGE, World
from tests.workflows.edits import with_steps
from tidegate.contract import ErrorType, ReleaseRequest

DEPLOYMENTS = next(kind for kind in KINDS if kind.kind == "Deployment")


def request(world: World, scale_down: str, *steps: dict[str, Any]) -> ReleaseRequest:
    """A release of the example whose template stands in the Deployment `legacy`."""

    def edit(rollout: dict[str, Any]) -> None:
        with_steps(*steps)(rollout)
        for field in ("template", "selector"):
            del rollout["spec"][field]
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "legacy", "scaleDown": scale_down}
        rollout["spec"]["workloadRef"] = reference

    whole = world.request("unused")
    return whole.model_copy(update={"rollout": edited(whole.rollout, edit)})


def edited(rollout: dict[str, Any], edit: Any) -> dict[str, Any]:
    document = copy.deepcopy(rollout)
    edit(document)
    return document


def deploy(world: World, tag: str, replicas: int = 8) -> None:
    spec = world.request(tag).rollout["spec"]
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "legacy", "namespace": "payments"},
        "spec": {"replicas": replicas, "selector": spec["selector"], "template": spec["template"]},
    }
    world.cluster.apply(deployment)


def replicas(world: World) -> int:
    found: Object = world.cluster.find(DEPLOYMENTS, "legacy") or {}
    return int(found["spec"]["replicas"])


@pytest.mark.parametrize(("scale_down", "left"), [("never", 8), ("onsuccess", 0), ("progressively", 0)])
async def test_the_template_of_a_deployment_is_brought_out_and_its_pods_make_way(
    world: World, scale_down: str, left: int
) -> None:
    deploy(world, "1.0.0")
    sizes: list[tuple[int, int]] = []
    world.cluster.api.store.subscribe(
        lambda change: sizes.append((replicas(world), available(world))) if change.kind is DEPLOYMENTS else None
    )
    result = await (await world.start(request(world, scale_down))).result()
    assert result.status.images == {"checkout": f"{IMAGE}:1.0.0"}
    assert replicas(world) == left
    assert all(here + there >= 8 for there, here in sizes), sizes
    deploy(world, "1.1.0", replicas=left)
    handle = await world.start(request(world, scale_down, {"setWeight": 50}, {"pause": {}}))
    status = await world.until(handle, lambda found: found.phase == "Paused")
    assert status.images == {"checkout": f"{IMAGE}:1.1.0"}
    assert replicas(world) == left
    await handle.signal("promote")
    assert (await handle.result()).outcome == "Healthy"


def available(world: World) -> int:
    return sum(int((found.get("status") or {}).get("availableReplicas") or 0) for found in world.cluster.replica_sets())


async def test_the_object_says_which_generation_of_the_deployment_is_out(world: World) -> None:
    deploy(world, "1.0.0")
    asked = request(world, "never")
    world.cluster.apply(dict(asked.rollout))
    await (await world.start(asked)).result()
    found = world.cluster.find(ROLLOUTS, "checkout") or {}
    generation = str(meta(world.cluster.find(DEPLOYMENTS, "legacy") or {})["generation"])
    assert found["status"]["workloadObservedGeneration"] == generation
    assert meta(found)["annotations"]["rollout.argoproj.io/workload-generation"] == generation
    assert found["status"]["selector"] == "app=checkout"


async def test_a_deployment_that_is_missing_is_named(world: World) -> None:
    handle = await world.start(request(world, "never"))
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert getattr(failed.value.cause, "type", "") == ErrorType.INVALID_SPEC
    assert "spec.workloadRef.name: 'legacy': no such Deployment" in str(failed.value.cause)
    assert not world.cluster.replica_sets()


def with_role(asked: ReleaseRequest, *, own_selector: bool, **labels: str) -> ReleaseRequest:
    """The request with labels for the canary's pods, and with the selector that the Deployment has as its own."""

    def edit(rollout: dict[str, Any]) -> None:
        rollout["spec"]["strategy"]["canary"]["canaryMetadata"] = {"labels": labels}
        if own_selector:
            rollout["spec"]["selector"] = {"matchLabels": {"app": "checkout"}}

    return asked.model_copy(update={"rollout": edited(asked.rollout, edit)})


@pytest.mark.parametrize("own_selector", [True, False])
async def test_metadata_of_a_role_is_judged_with_the_template_that_is_lent(world: World, own_selector: bool) -> None:
    deploy(world, "1.0.0")
    asked = request(world, "never", {"setWeight": 50}, {"pause": {}})
    assert (await (await world.start(asked)).result()).outcome == "Healthy"
    deploy(world, "1.1.0")
    handle = await world.start(with_role(asked, own_selector=own_selector, role="canary"))
    await world.until(handle, lambda found: found.phase == "Paused")
    labels = [found["spec"]["template"]["metadata"]["labels"] for found in world.cluster.replica_sets()]
    assert [each.get("role") for each in labels if "role" in each] == ["canary"]
    await handle.signal("abort")
    with pytest.raises(WorkflowFailureError):
        await handle.result()


async def test_metadata_that_takes_pods_from_the_selector_of_the_deployment_is_refused(world: World) -> None:
    deploy(world, "1.0.0")
    handle = await world.start(with_role(request(world, "never"), own_selector=False, app="other"))
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert getattr(failed.value.cause, "type", "") == ErrorType.INVALID_SPEC
    assert "canaryMetadata.labels: with these labels pods would not belong" in str(failed.value.cause)
    assert not world.cluster.replica_sets()
