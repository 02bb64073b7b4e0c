"""Subsets of a DestinationRule, labelled against the embedded Kubernetes API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import DESTINATION_RULES
from activities.routers.istio.subsets import point_subset
from tests.activities.mesh import TARGET, Mesh, serving
from tidegate.contract import ErrorType

HASH = "rollouts-pod-template-hash"
MANAGED_BY = "argo-rollouts.argoproj.io/managed-by-rollouts"
CANARY = {"name": "new", "labels": {"app": "x"}}
STABLE = {"name": "old", "labels": {HASH: "before"}, "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    async with serving() as running:
        yield running


async def point(mesh: Mesh, **hashes: str) -> None:
    for subset, hash_ in (hashes or {"new": "C", "old": "S"}).items():
        await point_subset(mesh.cluster, TARGET, "dr", subset, hash_, mesh.fence())


async def subsets(mesh: Mesh) -> Any:
    return (await mesh.now(DESTINATION_RULES, "dr"))["spec"]["subsets"]


async def test_both_sides_are_labelled_and_the_rest_is_kept(mesh: Mesh) -> None:
    other = {"name": "other", "labels": {"a": "b"}}
    await mesh.destination_rule("dr", CANARY, STABLE, other)
    await point(mesh)
    assert await subsets(mesh) == [
        {"name": "new", "labels": {"app": "x", HASH: "C"}},
        STABLE | {"labels": {HASH: "S"}},
        other,
    ]
    annotations = (await mesh.now(DESTINATION_RULES, "dr"))["metadata"]["annotations"]
    assert annotations[MANAGED_BY] == "shop"


async def test_a_side_without_pods_loses_its_label(mesh: Mesh) -> None:
    await mesh.destination_rule("dr", {"name": "new"}, STABLE)
    await point(mesh, new="", old="")
    assert await subsets(mesh) == [{"name": "new"}, STABLE | {"labels": {}}]


async def test_the_rule_of_another_rollout_is_not_touched(mesh: Mesh) -> None:
    await mesh.destination_rule("dr", CANARY, STABLE, **{MANAGED_BY: "other"})
    with pytest.raises(ApplicationError) as caught:
        await point(mesh)
    assert caught.value.type == ErrorType.INVALID_SPEC
    assert "DestinationRule dr is managed by Rollout other" in caught.value.message
    assert await subsets(mesh) == [CANARY, STABLE]
