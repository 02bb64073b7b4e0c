"""Subsets of a DestinationRule, labelled against the embedded Kubernetes API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.cluster import DESTINATION_RULES
from tests.activities.mesh import TARGET, Mesh, serving
from tidegate.contract import ErrorType, PointSubsets, SubsetState

HASH = "rollouts-pod-template-hash"
MANAGED_BY = "argo-rollouts.argoproj.io/managed-by-rollouts"
CANARY = {"name": "new", "labels": {"app": "x"}}
STABLE = {"name": "old", "labels": {HASH: "before"}, "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    async with serving() as running:
        yield running


async def point(mesh: Mesh, **more: Any) -> SubsetState:
    given = {"hashes": {"new": "C", "old": "S"}} | more
    request = PointSubsets(target=TARGET, destination_rule="dr", fence=mesh.fence(), **given)
    return await mesh.traffic.point_subsets(request)


async def subsets(mesh: Mesh) -> Any:
    return (await mesh.now(DESTINATION_RULES, "dr"))["spec"]["subsets"]


async def test_both_sides_are_labelled_and_the_rest_is_kept(mesh: Mesh) -> None:
    other = {"name": "other", "labels": {"a": "b"}}
    await mesh.destination_rule("dr", CANARY, STABLE, other)
    assert await point(mesh) == SubsetState(updated=True)
    assert await subsets(mesh) == [
        {"name": "new", "labels": {"app": "x", HASH: "C"}},
        STABLE | {"labels": {HASH: "S"}},
        other,
    ]
    annotations = (await mesh.now(DESTINATION_RULES, "dr"))["metadata"]["annotations"]
    assert annotations[MANAGED_BY] == "shop"
    assert await point(mesh) == SubsetState(updated=False)


async def test_a_side_without_pods_loses_its_label(mesh: Mesh) -> None:
    await mesh.destination_rule("dr", {"name": "new"}, STABLE)
    await point(mesh, hashes={"new": "", "old": ""})
    assert await subsets(mesh) == [{"name": "new"}, STABLE | {"labels": {}}]


async def test_strangers_go_and_are_named(mesh: Mesh) -> None:
    strangers = [{"name": "a"}, {"name": "beta"}, {"name": "b"}]
    await mesh.destination_rule("dr", strangers[0], CANARY, *strangers[1:], STABLE)
    assert (await point(mesh, keep=["beta"])).removed == ("a", "b")
    assert [each["name"] for each in await subsets(mesh)] == ["new", "beta", "old"]


async def test_experiments_get_subsets_of_their_own(mesh: Mesh) -> None:
    await mesh.destination_rule("dr", CANARY, STABLE, {"name": "exp-a"})
    await point(mesh, experiments={"exp-a": "A", "exp-b": "B"}, keep=[])
    named = {each["name"]: each["labels"] for each in await subsets(mesh)}
    assert (named["exp-a"], named["exp-b"]) == ({HASH: "A"}, {HASH: "B"})
    assert (await point(mesh, keep=[])).removed == ("exp-a", "exp-b")


async def test_it_waits_for_every_pod_of_a_set_that_is_scaled_up(mesh: Mesh) -> None:
    await mesh.destination_rule("dr", CANARY, STABLE)
    await mesh.replica_set("gone", wanted=0, available=0, hash_="G")
    await mesh.replica_set("half", wanted=2, available=1, hash_="H")
    with pytest.raises(ApplicationError) as caught:
        await point(mesh, after=["gone", "half"])
    assert caught.value.type == ErrorType.NOT_READY
    assert caught.value.message == "delaying destination rule switch: ReplicaSet half not fully available"
    assert await subsets(mesh) == [CANARY, STABLE]
    await mesh.pods("half", 2)
    assert (await point(mesh, after=["gone", "half"])).updated


async def test_the_rule_of_another_rollout_is_not_touched(mesh: Mesh) -> None:
    await mesh.destination_rule("dr", CANARY, STABLE, **{MANAGED_BY: "other"})
    with pytest.raises(ApplicationError) as caught:
        await point(mesh)
    assert caught.value.type == ErrorType.INVALID_SPEC
    assert "DestinationRule dr is managed by Rollout other" in caught.value.message
    assert await subsets(mesh) == [CANARY, STABLE]
