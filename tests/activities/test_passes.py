"""Passes over a release's objects, against the embedded Kubernetes API and its controllers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.kubernetes.client import FENCE_ANNOTATION, REPLICA_SETS, ROLLOUTS, SERVICES, VIRTUAL_SERVICES, Cluster
from activities.kubernetes.informers import Cache
from activities.kubernetes.json_patch import put
from activities.reconcile.reconciler import Passes
from activities.reconcile.waits import Waits, not_changed
from sandbox.processes import LOOPBACK, free_port
from sandbox.world import Part, open_world
from tests.activities.counted import Counted
from tidegate.contract import (
    AwaitChange,
    DesiredState,
    ErrorType,
    Fence,
    Reconcile,
    Reconciled,
    StatusReport,
    Target,
    TrafficState,
)
from tidegate.manifests.documents import load
from tidegate.rollouts.template_hash import pod_template_hash

EXAMPLES = Path(__file__).parents[2] / "examples" / "checkout"
TARGET = Target(namespace="payments", name="checkout")
MANIFESTS = load([EXAMPLES / "rollout.yaml", EXAMPLES / "services-and-virtualservice.yaml"])
ROLLOUT: dict[str, Any] = MANIFESTS.rollout().raw
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def version(number: int) -> dict[str, Any]:
    """The checkout example with four pods and steps of 25 and 50 percent, one image for each number."""
    rollout = deepcopy(ROLLOUT)
    rollout["spec"] |= {"replicas": 4, "minReadySeconds": 0}
    rollout["spec"]["template"]["spec"]["containers"][0]["image"] = f"checkout:{number}"
    rollout["spec"]["strategy"]["canary"]["steps"] = [{"setWeight": 25}, {"setWeight": 50}]
    return rollout


class Stage:
    """The checkout example in an embedded API, and releases that take one pass after the other."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.cache = Cache(cluster)
        self.passes = Passes(cluster, self.cache)
        self.waits = Waits(cluster, self.cache)
        self.now = NOW
        self.revision = 1
        self.last: TrafficState | None = None
        self.said: list[str] = []
        self.report = StatusReport()
        self.owner = ""  # uid of the Rollout object, where one stands
        self.seen: dict[str, str] = {}  # by the pass before
        self.since = 0
        self._sequence = 0

    async def once(self, rollout: dict[str, Any], desired: DesiredState, *, awaited: bool = False) -> Reconciled:
        """One pass."""
        return await self.take(self.request(rollout, desired, awaited=awaited))

    def request(self, rollout: dict[str, Any], desired: DesiredState, *, awaited: bool = False) -> Reconcile:
        """What the next pass is asked for."""
        self._sequence += 1
        return Reconcile(
            target=TARGET,
            rollout=rollout,
            revision=self.revision,
            desired=desired,
            at=self.now,
            traffic=self.last,
            report=self.report,
            owner_uid=self.owner,
            fence=Fence(epoch=1000, sequence=self._sequence),
            seen=self.seen,
            awaited=awaited,
        )

    async def take(self, request: Reconcile) -> Reconciled:
        """Take a pass, and note what a release notes of it."""
        done = await self.passes.reconcile(request)
        self.seen = done.seen
        self.said += [event.message for event in done.events]
        self.last = done.traffic
        return done

    @property
    def next_number(self) -> int:
        """Of the next pass."""
        return self._sequence + 1

    async def fences(self) -> dict[str, str]:
        """What stands beside the last write to each ReplicaSet."""
        found = await self.cluster.select(REPLICA_SETS, "payments", {})
        return {each["metadata"]["name"]: each["metadata"]["annotations"][FENCE_ANNOTATION] for each in found}

    def skip_to(self, sequence: int) -> None:
        """Let the next pass be the one after this number."""
        self._sequence = sequence

    async def changed(self, rollout: dict[str, Any], state_digest: str) -> None:
        """Wait as a release waits."""
        request = AwaitChange(target=TARGET, rollout=rollout, state_digest=state_digest)
        await self.waits.changed(request)

    async def reach(self, rollout: dict[str, Any], desired: DesiredState) -> Reconciled:
        """Passes until the cluster looks as the place asks for."""
        while not (done := await self.once(rollout, desired)).converged:
            await self.changed(rollout, done.state_digest)
        return done

    async def meddle(self, weight: int) -> None:
        """Somebody else writes weights."""
        edit = [put("/spec/http/0/route/0/weight", 100 - weight), put("/spec/http/0/route/1/weight", weight)]
        fence = Fence(epoch=1000, sequence=self._sequence)
        await self.cluster.change(VIRTUAL_SERVICES, "payments", "checkout-vsvc", fence, lambda _: edit)

    async def status(self) -> dict[str, Any]:
        """`.status` of the Rollout object."""
        found: dict[str, Any] = (await self.cluster.get(ROLLOUTS, "payments", "checkout"))["status"]
        return found

    async def stand(self) -> str:
        """A first version that was brought out; returns its hash."""
        first = hash_of(version(1))
        desired = DesiredState(hash=first, stable_hash=first, index=2)
        await self.reach(version(1), desired)
        self.revision, self.said = 2, []
        return first


def hash_of(rollout: dict[str, Any]) -> str:
    return pod_template_hash(rollout["spec"]["template"])


def pods(done: Reconciled) -> dict[str, int]:
    return {found.hash: found.desired for found in done.replica_sets}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with open_world(frozenset({Part.CLUSTER})) as world:
        await world.apply([loaded.raw for loaded in (*MANIFESTS.services, *MANIFESTS.virtual_services)])
        cluster = await Cluster.connect(url=world.kubernetes.url)
        try:
            stage = Stage(cluster)
            yield stage
            await stage.cache.close()
        finally:
            await cluster.close()


async def test_a_first_version_stands_with_all_pods_and_both_services(stage: Stage) -> None:
    first = await stage.stand()
    done = await stage.once(version(1), DesiredState(hash=first, stable_hash=first, index=2))
    assert done.converged
    assert pods(done) == {first: 4}
    assert done.selectors == {"checkout-stable": first, "checkout-canary": first}
    found = await stage.cluster.get(REPLICA_SETS, "payments", f"checkout-{first}")
    assert "tidegate.io/promoted-at" in found["metadata"]["annotations"]


async def test_a_release_goes_its_steps_pods_before_weights(stage: Stage) -> None:
    first, second = await stage.stand(), hash_of(version(2))
    desired = DesiredState(hash=second, stable_hash=first, index=0)
    quarter = await stage.reach(version(2), desired)
    assert stage.said == [
        f"Created ReplicaSet checkout-{second} (revision 2)",
        f"Scaled up ReplicaSet checkout-{second} (revision 2) from 0 to 1",
        f"Switched selector for service 'checkout-canary' from '{first}' to '{second}'",
        "Traffic weight updated from 0 to 25",
    ]
    assert pods(quarter) == {second: 1, first: 4}
    whole = await stage.reach(version(2), desired.model_copy(update={"index": 2}))
    assert whole.traffic is not None
    assert whole.traffic.canary == 100
    promoted = DesiredState(hash=second, stable_hash=second, index=2)
    stable = await stage.reach(version(2), promoted)
    assert stable.selectors == {"checkout-stable": second, "checkout-canary": second}
    assert stable.traffic is not None
    assert stable.traffic.canary == 0
    assert stable.requeue_at == NOW + timedelta(seconds=30)
    assert pods(stable) == {second: 4, first: 4}
    stage.now += timedelta(seconds=30)
    assert pods(await stage.reach(version(2), promoted)) == {second: 4, first: 0}


async def test_a_pass_of_many_actions_reads_its_manifest_once(stage: Stage) -> None:
    first, second = await stage.stand(), hash_of(version(2))
    asked = stage.request(version(2), DesiredState(hash=second, stable_hash=first, index=0))
    manifest = Counted(version(2))
    done = await stage.take(asked.model_copy(update={"rollout": manifest}))
    assert len(done.events) > 1
    assert manifest.reads == 1


async def test_an_abort_takes_the_weight_at_once_and_the_pods_at_their_deadline(stage: Stage) -> None:
    first, second = await stage.stand(), hash_of(version(2))
    desired = DesiredState(hash=second, stable_hash=first, index=1)
    await stage.reach(version(2), desired)
    aborted = desired.model_copy(update={"aborted": True, "index": 0})
    back = await stage.once(version(2), aborted)
    assert back.traffic is not None
    assert back.traffic.canary == 0
    assert back.selectors == {"checkout-stable": first, "checkout-canary": first}
    assert pods(back) == {second: 2, first: 4}
    assert back.requeue_at == NOW + timedelta(seconds=30)
    stage.now += timedelta(seconds=30)
    assert pods(await stage.reach(version(2), aborted)) == {second: 0, first: 4}


async def test_weights_that_somebody_else_wrote_are_put_right_and_told(stage: Stage) -> None:
    first, second = await stage.stand(), hash_of(version(2))
    desired = DesiredState(hash=second, stable_hash=first, index=0)
    await stage.reach(version(2), desired)
    await stage.meddle(50)
    again = await stage.once(version(2), desired)
    assert again.traffic is not None
    assert again.traffic.canary == 25
    assert len(again.external_changes) == 1
    assert "50" in again.external_changes[0].what


@pytest.mark.parametrize("given_up_at", ["2026-01-01T00:00:00Z", "2025-12-31T23:00:00Z"])
async def test_an_abort_that_was_taken_back_is_not_written_again_by_a_repeated_pass(
    stage: Stage, given_up_at: str
) -> None:
    await stage.cluster.add(ROLLOUTS, "payments", version(2))
    live = await stage.cluster.get(ROLLOUTS, "payments", "checkout")
    stage.owner = str(live["metadata"]["uid"])
    first, second = await stage.stand(), hash_of(version(2))
    said = {"phase": "Degraded", "abort": True, "abortedAt": "2026-01-01T00:00:00Z"}
    stage.report = StatusReport(status=said)
    desired = DesiredState(hash=second, stable_hash=first, aborted=True)
    await stage.once(version(2), desired)
    assert (await stage.status())["abort"] is True
    # Its answer was lost; a person asks for another try before it is repeated, or asked for the one before this.
    taken_back = {"abort": False, "abortedAt": given_up_at}
    await stage.cluster.merge_status(ROLLOUTS, "payments", "checkout", taken_back, version="")
    await stage.once(version(2), desired)
    assert (await stage.status())["abort"] is (given_up_at != said["abortedAt"])


async def test_a_pass_that_could_not_even_look_has_written_and_told_nothing() -> None:
    cluster, env = await Cluster.connect(url=f"http://{LOOPBACK}:{free_port()}"), ActivityEnvironment()
    env.info = replace(env.info, attempt=9)  # by then it is no matter of a moment
    request = Reconcile(
        target=TARGET,
        rollout=version(1),
        revision=1,
        desired=DesiredState(hash="a"),
        at=NOW,
        report=StatusReport(status={"observedGeneration": "5"}),
        fence=Fence(epoch=1000, sequence=1),
    )
    try:
        done = await env.run(Passes(cluster, Cache(cluster)).reconcile, request)
    finally:
        await cluster.close()
    assert done.failing
    assert (done.published, done.events_published) == (False, False)


async def test_a_pass_that_is_waited_for_leaves_its_status_to_the_one_that_follows(stage: Stage) -> None:
    await stage.cluster.add(ROLLOUTS, "payments", version(2))
    live = await stage.cluster.get(ROLLOUTS, "payments", "checkout")
    stage.owner = str(live["metadata"]["uid"])
    first = await stage.stand()
    desired = DesiredState(hash=first, stable_hash=first, index=2)
    stage.report = StatusReport(status={"phase": "Healthy"})
    left = await stage.once(version(1), desired, awaited=True)
    assert (left.converged, left.left, left.published) == (True, True, False)
    assert (await stage.status()).get("phase") != "Healthy"
    told = await stage.once(version(1), desired)
    assert (told.converged, told.left, told.published) == (True, False, True)
    assert (await stage.status())["phase"] == "Healthy"


async def test_one_pass_after_the_other_writes_nothing(stage: Stage) -> None:
    first, second = await stage.stand(), hash_of(version(2))
    desired = DesiredState(hash=second, stable_hash=first, index=0)
    await stage.reach(version(2), desired)
    before = await stage.cluster.get(SERVICES, "payments", "checkout-canary")
    again = await stage.once(version(2), desired)
    assert again.converged
    assert again.events == ()
    assert await stage.cluster.get(SERVICES, "payments", "checkout-canary") == before


async def give_up(*_: object) -> None:
    raise not_changed()


async def test_a_wait_in_which_nothing_happens_asks_to_be_repeated(stage: Stage) -> None:
    first = await stage.stand()
    desired = DesiredState(hash=first, stable_hash=first, index=2)
    done = await stage.once(version(1), desired)
    stage.waits = Waits(stage.cluster, stage.cache, between_looks=give_up)
    with pytest.raises(ApplicationError, match="nothing has changed in the cluster so far") as waiting:
        await stage.changed(version(1), done.state_digest)
    assert waiting.value.type == ErrorType.NOT_CHANGED
    assert not waiting.value.non_retryable


async def test_after_a_lost_pass_nothing_of_it_can_land_any_more(stage: Stage) -> None:
    first, second = await stage.stand(), hash_of(version(2))
    await stage.once(version(2), DesiredState(hash=second, stable_hash=first, index=0))
    (canary,) = [name for name in await stage.fences() if name.endswith(second)]
    before = await stage.fences()
    stage.since = stage.next_number
    back = DesiredState(hash=first, stable_hash=first, index=2)
    await stage.reach(version(1), back)
    after = await stage.fences()
    assert all(int(after[name].partition(".")[2]) >= stage.since for name in after)
    assert after[canary] != before[canary]
    await stage.once(version(1), back)
    assert await stage.fences() == after, "once is enough"
