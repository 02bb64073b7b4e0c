"""The activities on the cluster against the embedded Kubernetes API, through the official client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.kubernetes import replica_sets
from activities.kubernetes.client import FENCE_ANNOTATION, REPLICA_SETS, ROLLOUTS, SERVICES, Cluster
from activities.kubernetes.informers import Cache
from activities.kubernetes.json_patch import put
from activities.reconcile.rollout_objects import Kubernetes
from sandbox.processes import until
from sandbox.world import Part, World, open_world
from tests.virtual.cluster import VirtualCluster
from tidegate.contract import (
    ErrorType,
    Fence,
    ObserveRequest,
    Target,
)
from tidegate.manifests.documents import load
from tidegate.rollouts.template_hash import pod_template_hash

EXAMPLES = Path(__file__).parents[2] / "examples" / "checkout"
TARGET = Target(namespace="payments", name="checkout")
MANIFESTS = load([EXAMPLES / "rollout.yaml", EXAMPLES / "services-and-virtualservice.yaml"])
ROLLOUT = MANIFESTS.rollout().raw
HASH = pod_template_hash(ROLLOUT["spec"]["template"])  # type: ignore[call-overload, index, arg-type]
SET = f"checkout-{HASH}"


class Stage:
    """The checkout example in an embedded API, and the activities on it."""

    def __init__(self, world: World, cluster: Cluster, cache: Cache) -> None:
        self.world = world
        self.cluster = cluster
        self.kubernetes = Kubernetes(cluster, cache)
        self._sequence = 0

    def fence(self) -> Fence:
        self._sequence += 1
        return Fence(epoch=1000, sequence=self._sequence)

    async def canary(self, pods: int) -> None:
        await self.kubernetes.create_replica_set(TARGET, dict(ROLLOUT), self.fence(), hash_=HASH, revision=1)
        await self.kubernetes.scale_replica_set(TARGET, SET, pods, self.fence())
        await self.available(pods)

    async def available(self, pods: int) -> None:
        async def all_available() -> bool:
            return replica_sets.state(await self.cluster.get(REPLICA_SETS, "payments", SET)).available == pods

        await until(all_available, 10.0, f"{pods} available pods")


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with open_world(frozenset({Part.CLUSTER})) as world:
        await world.apply([loaded.raw for loaded in (*MANIFESTS.services, *MANIFESTS.virtual_services)])
        cluster = await Cluster.connect(url=world.kubernetes.url)
        cache = Cache(cluster)
        try:
            yield Stage(world, cluster, cache)
        finally:
            await cache.close()
            await cluster.close()


async def refused(work: Callable[[], Awaitable[Any]], kind: ErrorType) -> str:
    with pytest.raises(ApplicationError) as caught:
        await work()
    assert caught.value.type == kind
    return caught.value.message


async def test_a_replica_set_is_made_as_argo_makes_it(stage: Stage) -> None:
    await stage.canary(2)
    found = await stage.cluster.get(REPLICA_SETS, "payments", SET)
    assert found["spec"]["selector"]["matchLabels"] == {"app": "checkout", "rollouts-pod-template-hash": HASH}
    assert found["spec"]["template"]["metadata"]["labels"]["rollouts-pod-template-hash"] == HASH
    assert found["metadata"]["annotations"]["rollout.argoproj.io/revision"] == "1"
    assert found["spec"]["replicas"] == 2


async def test_creating_again_changes_nothing_but_the_revision(stage: Stage) -> None:
    await stage.canary(2)
    state = await stage.kubernetes.create_replica_set(TARGET, dict(ROLLOUT), stage.fence(), hash_=HASH, revision=4)
    assert (state.revision, state.desired) == (4, 2)


async def test_an_object_that_never_stands_still_is_a_conflict(stage: Stage) -> None:
    await stage.canary(1)

    def edit(found: Any) -> list[Any]:
        return [{"op": "test", "path": "/spec/replicas", "value": 99}, put("/spec/replicas", 3)]

    work = stage.cluster.change(REPLICA_SETS, "payments", SET, stage.fence(), edit)
    await refused(lambda: work, ErrorType.REJECTED)


async def test_a_status_that_its_controller_wrote_meanwhile_costs_no_second_write(stage: Stage) -> None:
    await stage.canary(1)
    known = await stage.cluster.get(REPLICA_SETS, "payments", SET)
    await stage.cluster.merge_status(REPLICA_SETS, "payments", SET, {"availableReplicas": 0})
    calls = stage.world.kubernetes.calls
    before = sum(times for call, times in calls.items() if call.verb == "patch" and not call.subresource)
    await stage.kubernetes.scale_replica_set(TARGET, SET, 2, stage.fence(), known=known)
    assert sum(times for call, times in calls.items() if call.verb == "patch" and not call.subresource) == before + 1
    assert (await stage.cluster.get(REPLICA_SETS, "payments", SET))["spec"]["replicas"] == 2


@pytest.mark.parametrize("of_spec", [True, False])
async def test_what_somebody_else_wrote_to_a_replica_set_meanwhile_is_seen(stage: Stage, *, of_spec: bool) -> None:
    await stage.canary(1)
    known = await stage.cluster.get(REPLICA_SETS, "payments", SET)
    change = put("/spec/replicas", 3) if of_spec else put("/metadata/annotations/theirs", "yes")
    await stage.cluster.change(REPLICA_SETS, "payments", SET, None, lambda _: [change])
    looked: list[Any] = []

    def edit(found: Any) -> list[Any]:
        looked.append((found["spec"]["replicas"], found["metadata"]["annotations"].get("theirs")))
        return [put("/spec/minReadySeconds", 7)]

    await stage.cluster.change(REPLICA_SETS, "payments", SET, stage.fence(), edit, known=known)
    assert looked == [(1, None), (3, None) if of_spec else (1, "yes")]


async def test_services_keep_their_own_selectors(stage: Stage) -> None:
    await stage.kubernetes.point_service(TARGET, "checkout-stable", "aaa", stage.fence())
    found = await stage.cluster.get(SERVICES, "payments", "checkout-stable")
    assert found["spec"]["selector"] == {"app": "checkout", "rollouts-pod-template-hash": "aaa"}
    assert found["spec"]["ports"][0]["targetPort"] == 8080
    assert found["metadata"]["annotations"][FENCE_ANNOTATION].startswith("1000.")


async def test_a_promoted_revision_is_known_again_without_a_rollout_object(stage: Stage) -> None:
    await stage.canary(1)
    await stage.kubernetes.mark_promoted(TARGET, SET, HASH, stage.fence(), has_object=False)
    seen = await stage.kubernetes.observe(ObserveRequest(target=TARGET, rollout=ROLLOUT, pods=True))
    assert seen.stable_hash == HASH
    assert seen.rollout is None
    assert [pod.ready for pod in seen.replica_sets[0].pods] == [True]
    assert seen.services["checkout-stable"] is not None
    assert seen.traffic is not None
    assert seen.traffic.canary == 0


async def test_the_rollout_object_is_told(stage: Stage) -> None:
    await stage.world.apply([ROLLOUT])
    await stage.canary(1)
    await stage.kubernetes.mark_promoted(TARGET, SET, HASH, stage.fence(), has_object=True)
    seen = await stage.kubernetes.observe(ObserveRequest(target=TARGET))
    assert seen.rollout is not None
    assert seen.rollout["status"]["stableRS"] == HASH


async def test_a_conflict_about_something_else_than_the_name_is_worth_a_retry() -> None:
    cluster = VirtualCluster(datetime.now(UTC))
    await cluster.start()
    kubernetes, fence = Kubernetes(cluster.client, cluster.cache), Fence(epoch=1000, sequence=1)
    try:
        cluster.fail("create", "replicasets", 1, 409)
        with pytest.raises(ApplicationError) as failed:
            await kubernetes.create_replica_set(TARGET, dict(ROLLOUT), fence, hash_=HASH, revision=1)
        assert (failed.value.type, failed.value.non_retryable) == (ErrorType.CONFLICT, False)
        created = await kubernetes.create_replica_set(TARGET, dict(ROLLOUT), fence, hash_=HASH, revision=1)
        assert created.hash == HASH
    finally:
        await cluster.stop()


async def test_a_status_that_comes_late_is_turned_away(stage: Stage) -> None:
    await stage.world.apply([ROLLOUT])
    seen = await stage.cluster.get(ROLLOUTS, "payments", "checkout")
    await stage.cluster.merge_status(ROLLOUTS, "payments", "checkout", {"phase": "Degraded"})
    version = seen["metadata"]["resourceVersion"]
    late = stage.cluster.merge_status(ROLLOUTS, "payments", "checkout", {"phase": "Progressing"}, version=version)
    await refused(lambda: late, ErrorType.CONFLICT)
    assert (await stage.cluster.get(ROLLOUTS, "payments", "checkout"))["status"]["phase"] == "Degraded"


async def test_a_server_that_is_away_is_worth_a_retry() -> None:
    cluster = await Cluster.connect(url="http://127.0.0.1:9")
    try:
        with pytest.raises(ApplicationError) as caught:
            await cluster.get(SERVICES, "payments", "checkout-stable")
    finally:
        await cluster.close()
    assert caught.value.type == ErrorType.UNAVAILABLE
    assert not caught.value.non_retryable
