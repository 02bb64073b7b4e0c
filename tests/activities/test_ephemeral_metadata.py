"""Metadata of roles on the pods and ReplicaSets of the embedded Kubernetes API."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import PODS, REPLICA_SETS, Cluster, Object, Resource
from activities.kubernetes.ephemeral_metadata import EphemeralMetadata
from activities.kubernetes.json_patch import annotate, put
from activities.kubernetes.replica_sets import EPHEMERAL, HASH_LABEL, UNFINISHED, build, state
from sandbox.kubernetes_api import KubernetesApi
from tests.activities.test_passes import TARGET, Stage, hash_of, version
from tests.activities.test_passes import stage as stage  # a fixture
from tidegate.contract import DesiredState, ErrorType, Fence
from tidegate.manifests.steps import PodTemplateMetadata

NAMESPACES = Resource("", "v1", "namespaces", "Namespace")
ROLES: dict[str, Any] = {
    "canaryMetadata": {"labels": {"role": "canary"}, "annotations": {"example.com/note": "new"}},
    "stableMetadata": {"labels": {"role": "stable"}},
}


def dressed(number: int) -> dict[str, Any]:
    """A version with metadata for both roles."""
    rollout = version(number)
    rollout["spec"]["strategy"]["canary"] |= ROLES
    return rollout


async def worn(stage: Stage, hash_: str) -> list[tuple[str, str]]:
    """Label `role` and annotation `example.com/note` of a version's template, and of its pods after that."""
    found = await stage.cluster.get(REPLICA_SETS, "payments", f"checkout-{hash_}")
    pods = await stage.cluster.select(PODS, "payments", {HASH_LABEL: hash_})
    metadata = [each["metadata"] for each in (found["spec"]["template"], *pods)]
    return [
        (each["labels"].get("role", ""), (each.get("annotations") or {}).get("example.com/note", ""))
        for each in metadata
    ]


async def uids(stage: Stage, hash_: str) -> set[str]:
    return {each["metadata"]["uid"] for each in await stage.cluster.select(PODS, "payments", {HASH_LABEL: hash_})}


async def note(stage: Stage, hash_: str) -> Any:
    """What the ReplicaSet says that it wears."""
    found = await stage.cluster.get(REPLICA_SETS, "payments", f"checkout-{hash_}")
    annotations = found["metadata"]["annotations"]
    assert UNFINISHED not in annotations
    return json.loads(annotations.get(EPHEMERAL, "null"))


async def test_pods_wear_what_their_role_says_and_stay_the_same_pods(stage: Stage) -> None:
    first, second = await stage.stand(), hash_of(dressed(2))
    assert second == hash_of(version(2)), "it is no part of the version"
    before = await uids(stage, first)
    await stage.reach(dressed(2), DesiredState(hash=second, stable_hash=first, index=0))
    assert await worn(stage, second) == [("canary", "new")] * 2
    assert await worn(stage, first) == [("stable", "")] * 5
    assert await uids(stage, first) == before
    assert await note(stage, second) == ROLES["canaryMetadata"]
    canary = await uids(stage, second)
    await stage.reach(dressed(2), DesiredState(hash=second, stable_hash=first, index=2))
    await stage.reach(dressed(2), DesiredState(hash=second, stable_hash=second, index=2))
    assert await worn(stage, second) == [("stable", "")] * 5
    assert await worn(stage, first) == [("", "")] * 5
    assert canary < await uids(stage, second)
    assert await note(stage, second) == ROLES["stableMetadata"]
    assert await note(stage, first) is None


async def test_a_first_version_is_stable_from_its_beginning(stage: Stage) -> None:
    first = hash_of(dressed(1))
    await stage.reach(dressed(1), DesiredState(hash=first, stable_hash=first, index=2))
    assert await worn(stage, first) == [("stable", "")] * 5


async def test_weights_stand_still_while_pods_change_their_clothes(stage: Stage) -> None:
    first, second = await stage.stand(), hash_of(version(2))
    desired = DesiredState(hash=second, stable_hash=first, index=0)
    await stage.reach(version(2), desired)
    stage.said = []
    done = await stage.reach(dressed(2), desired)
    assert stage.said == []
    assert done.traffic is not None
    assert done.traffic.canary == 25
    assert await worn(stage, second) == [("canary", "new")] * 2


async def test_a_pass_that_finds_all_as_it_should_be_writes_nothing(stage: Stage) -> None:
    first, second = await stage.stand(), hash_of(dressed(2))
    desired = DesiredState(hash=second, stable_hash=first, index=0)
    await stage.reach(dressed(2), desired)
    before = [await stage.cluster.get(REPLICA_SETS, "payments", f"checkout-{each}") for each in (first, second)]
    await stage.once(dressed(2), desired)
    assert before == [await stage.cluster.get(REPLICA_SETS, "payments", f"checkout-{each}") for each in (first, second)]


async def test_one_that_was_cut_off_is_finished(stage: Stage) -> None:
    """The template had been written and a pod had not: what was worn before is taken off all the same."""
    first, second = await stage.stand(), hash_of(dressed(2))
    desired = DesiredState(hash=second, stable_hash=first, index=0)
    await stage.reach(dressed(2), desired)
    half = {"labels": {"role": "x", "gone": "y"}, "annotations": {"example.com/note": "new"}}

    def cut_off(found: Object) -> list[dict[str, Any]]:
        return annotate(found, {EPHEMERAL: json.dumps(half), UNFINISHED: "true"})

    fence = Fence(epoch=1000, sequence=100)
    await stage.cluster.change(REPLICA_SETS, "payments", f"checkout-{second}", fence, cut_off)
    (pod,) = await stage.cluster.select(PODS, "payments", {HASH_LABEL: second})
    edit = [put("/metadata/labels/gone", "y"), put("/metadata/labels/role", "x")]
    await stage.cluster.change(PODS, "payments", pod["metadata"]["name"], fence, lambda _: edit)
    stage.skip_to(101)
    await stage.reach(dressed(2), desired)
    assert await worn(stage, second) == [("canary", "new")] * 2
    (pod,) = await stage.cluster.select(PODS, "payments", {HASH_LABEL: second})
    assert "gone" not in pod["metadata"]["labels"]
    assert await note(stage, second) == ROLES["canaryMetadata"]


async def test_what_the_manifest_no_longer_says_is_taken_off(stage: Stage) -> None:
    first, second = await stage.stand(), hash_of(version(2))
    desired = DesiredState(hash=second, stable_hash=first, index=0)
    await stage.reach(dressed(2), desired)
    without = version(2)
    await stage.reach(without, desired)
    assert await worn(stage, second) == [("", "")] * 2
    assert await note(stage, second) is None


async def test_an_annotation_that_cannot_be_read_says_nothing(stage: Stage) -> None:
    first = await stage.stand()
    found = await stage.cluster.get(REPLICA_SETS, "payments", f"checkout-{first}")
    for text in ("{", "[]", '{"labels": 3}', "null", '{"labels": null}'):
        found["metadata"]["annotations"][EPHEMERAL] = text
        assert state(found).ephemeral == PodTemplateMetadata()


async def test_an_earlier_write_does_not_land_after_a_later_one(stage: Stage) -> None:
    first = await stage.stand()
    wanted, metadata = PodTemplateMetadata(labels={"role": "late"}), EphemeralMetadata(stage.cluster)
    with pytest.raises(ApplicationError) as caught:
        await metadata.put_on(TARGET.namespace, f"checkout-{first}", wanted, Fence(epoch=1, sequence=1))
    assert caught.value.type == ErrorType.STALE_WRITE
    assert await worn(stage, first) == [("", "")] * 5


async def test_without_a_controller_it_is_not_finished() -> None:
    """Until a controller has seen the new template no count of pods is known, and no other move is to follow."""
    api, fence = KubernetesApi(), Fence(epoch=1000, sequence=1)
    await api.start()
    cluster = await Cluster.connect(url=api.url)
    try:
        await cluster.create(NAMESPACES, "", {"metadata": {"name": "payments"}})
        await cluster.create(REPLICA_SETS, "payments", build(TARGET, version(1), hash_="abc", revision=1))
        metadata = EphemeralMetadata(cluster, requeue_after=timedelta())
        wanted = PodTemplateMetadata(labels={"role": "canary"})
        with pytest.raises(ApplicationError, match="its controller has not seen") as caught:
            await metadata.put_on("payments", "checkout-abc", wanted, fence)
        assert caught.value.type == ErrorType.NOT_READY
        assert not caught.value.non_retryable
        assert state(await cluster.get(REPLICA_SETS, "payments", "checkout-abc")).ephemeral is None
    finally:
        await cluster.close()
        await api.stop()
