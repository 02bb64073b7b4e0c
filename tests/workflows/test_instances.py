"""A Rollout has one controller: what the label gives to another one is left alone by watcher, release and pass."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from sandbox.kubernetes_api.cluster import Writer
from sandbox.kubernetes_api.kinds import NAMESPACES, ROLLOUTS, Kind, find_kind
from tests.virtual.cluster import NAMESPACE
from tests.virtual.releases import World
from tests.workflows.edits import with_steps
from tests.workflows.watched import Watched, paused
from tidegate.client import RolloutRef, TidegateClient
from tidegate.contract.instances import INSTANCE_LABEL, ControllerInstance
from workers.watch.argo_lock import live_holder
from workers.watch.dispatch import HELD_BY_ARGO, ObservedRollout, RolloutDispatcher

ENDLESS = with_steps({"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}})
ARGO = "argo-rollouts"
CHECKOUT = RolloutRef(NAMESPACE, "checkout")


def kind(group: str, plural: str) -> Kind:
    found = find_kind(group, plural)
    assert found is not None
    return found


EVENTS, LEASES = kind("", "events"), kind("coordination.k8s.io", "leases")


def labelled(instance: str) -> Any:
    def edit(rollout: dict[str, Any]) -> None:
        ENDLESS(rollout)
        rollout["metadata"].setdefault("labels", {})[INSTANCE_LABEL] = instance

    return edit


def hand_to(world: World, instance: str) -> None:
    def edit(found: dict[str, Any]) -> dict[str, Any]:
        labels = {**(found["metadata"].get("labels") or {}), INSTANCE_LABEL: instance}
        return found | {"metadata": found["metadata"] | {"labels": labels}}

    world.cluster.change(ROLLOUTS, "checkout", edit)


async def test_an_object_of_another_instance_has_no_release(world: World) -> None:
    watched = Watched(world)
    world.cluster.apply(dict(world.request("1.0.0", labelled("other")).rollout))
    assert not await watched.look()
    assert await TidegateClient(world.client).newest(CHECKOUT) is None


async def test_a_release_that_others_ask_for_is_refused_and_the_object_stays_untouched(world: World) -> None:
    world.cluster.apply(dict(world.request("1.0.0", labelled("other")).rollout))
    before = world.cluster.find(ROLLOUTS, "checkout")
    release = await world.start(world.request("1.0.0", labelled("other")))
    with pytest.raises(WorkflowFailureError) as refused:
        await release.result()
    assert "instance 'other'" in str(refused.value.cause)
    assert world.cluster.find(ROLLOUTS, "checkout") == before
    assert world.cluster.replica_sets() == []


async def test_a_release_whose_object_is_handed_over_ends_and_puts_nothing_back(world: World) -> None:
    watched = Watched(world)
    await watched.apply("1.0.0", ENDLESS)
    await (await watched.ended()).result()
    release = await watched.apply("1.1.0", ENDLESS)
    await world.until(release, paused)
    world.cluster.writes.clear()
    hand_to(world, "other")
    await watched.tell()
    assert await world.closed(release) is WorkflowExecutionStatus.TERMINATED
    await world.env.sleep(timedelta(minutes=1))
    await watched.tell()
    assert world.cluster.writes == []
    assert watched.status()["currentStepIndex"] == 1


async def test_a_pass_writes_nothing_for_an_object_that_was_handed_over(world: World) -> None:
    watched = Watched(world)
    await watched.apply("1.0.0", ENDLESS)
    await (await watched.ended()).result()
    release = await watched.apply("1.1.0", ENDLESS)
    await world.until(release, paused)
    world.cluster.writes.clear()
    hand_to(world, "other")  # and no watcher notices
    await release.signal("promote", {"by": "ana"})
    await world.env.sleep(timedelta(minutes=2))
    assert world.cluster.writes == []
    hand_to_nobody(world)
    await world.until(release, lambda now: paused(now) and now.step_index == 3)
    assert world.cluster.weights()[:1] == [60]


def hand_to_nobody(world: World) -> None:
    def edit(found: dict[str, Any]) -> dict[str, Any]:
        labels = {key: value for key, value in found["metadata"]["labels"].items() if key != INSTANCE_LABEL}
        return found | {"metadata": found["metadata"] | {"labels": labels}}

    world.cluster.change(ROLLOUTS, "checkout", edit)


def lease(renewed: datetime, holder: str = "argo-1") -> dict[str, Any]:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed.isoformat()}
    metadata = {"name": ControllerInstance().lease, "namespace": ARGO}
    return {"apiVersion": LEASES.stored_version, "kind": "Lease", "metadata": metadata, "spec": spec}


async def test_nothing_begins_while_a_controller_of_argos_leads(world: World) -> None:
    api = world.cluster.api
    api.cluster.create(NAMESPACES, {"metadata": {"name": ARGO}}, Writer("kubectl", NAMESPACES.stored_version))
    api.cluster.create(LEASES, lease(datetime.now(UTC)), Writer("argo", LEASES.stored_version), namespace=ARGO)
    client = TidegateClient(world.client)
    watcher = RolloutDispatcher(world.cluster.watching, client, "default", argo_namespaces=(ARGO,))
    world.cluster.apply(dict(world.request("1.0.0", ENDLESS).rollout))
    for _ in range(2):
        assert await watcher.dispatch(NAMESPACE, "checkout", ObservedRollout(None)), "it has to be looked at again"
    assert await client.newest(CHECKOUT) is None
    warnings = [each for each in api.store.select(EVENTS, NAMESPACE) if each["reason"] == HELD_BY_ARGO]
    assert len(warnings) == 1
    assert "argo-1 (Lease argo-rollouts/argo-rollouts-controller-lock)" in warnings[0]["message"]
    elsewhere = RolloutDispatcher(
        world.cluster.watching, client, "default", ControllerInstance("tidegate"), argo_namespaces=(ARGO,)
    )
    hand_to(world, "tidegate")
    assert not await elsewhere.dispatch(NAMESPACE, "checkout", ObservedRollout(None))


@pytest.mark.parametrize(
    ("ago", "holder", "found"),
    [(0, "argo-1", "argo-1"), (29, "argo-1", "argo-1"), (31, "argo-1", ""), (0, "", "")],
)
def test_a_lease_counts_until_it_is_over(ago: int, holder: str, found: str) -> None:
    now = datetime(2026, 12, 1, tzinfo=UTC)
    assert live_holder(lease(now - timedelta(seconds=ago), holder), now) == found


@pytest.mark.parametrize("spec", [None, {}, {"holderIdentity": "a", "renewTime": "soon"}])
def test_a_lease_that_says_nothing_is_nobodys(spec: Any) -> None:
    assert live_holder({"spec": spec}, datetime.now(UTC)) == ""


@pytest.mark.parametrize(
    ("instance", "labels", "acts"),
    [
        ("", None, True),
        ("", {}, True),
        ("", {INSTANCE_LABEL: "a"}, False),
        ("", {INSTANCE_LABEL: ""}, False),
        ("a", {INSTANCE_LABEL: "a"}, True),
        ("a", {INSTANCE_LABEL: "b"}, False),
        ("a", {}, False),
    ],
)
def test_the_rule_is_argos(instance: str, labels: dict[str, str] | None, acts: bool) -> None:
    found = {"metadata": {"labels": labels}}
    assert ControllerInstance(instance).acts_on(found) is acts
    assert (ControllerInstance(instance).rejection(found) == "") is acts


def test_each_instance_has_a_lease_of_its_own() -> None:
    assert ControllerInstance().lease == "argo-rollouts-controller-lock"
    assert ControllerInstance("tidegate").lease == "argo-rollouts-controller-lock-tidegate"
