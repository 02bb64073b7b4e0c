"""An earlier revision that a person asks for again: in the object, in Git, and by a release that brings it out."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from activities.reconcile.rollbacks import RollbackActivities
from sandbox.kubernetes_api.kinds import ROLLOUTS
from tests.virtual.cluster import NAMESPACE
from tests.virtual.releases import IMAGE, World
from tests.workflows.edits import with_steps
from tests.workflows.test_reverts import annotated
from tests.workflows.watched import Watched
from tidegate.client import RefusedError, RolloutRef, TidegateClient
from tidegate.contract import Document, PutBack, RollbackRequest, Target

CHECKOUT = RolloutRef(cluster="default", namespace=NAMESPACE, name="checkout")
STEPS = with_steps({"setWeight": 50})


def within(revisions: int) -> Any:
    def edit(rollout: Document) -> None:
        STEPS(rollout)
        rollout["spec"]["rollbackWindow"] = {"revisions": revisions}

    return edit


async def promoted(world: World, *tags: str, edit: Any = STEPS) -> Watched:
    watched = Watched(world)
    await watched.promoted(*tags, edit=edit)
    world.cluster.writes.clear()
    return watched


def wanted_image(world: World) -> str:
    rollout = world.cluster.find(ROLLOUTS, "checkout")
    assert rollout is not None
    return str(rollout["spec"]["template"]["spec"]["containers"][0]["image"])


@pytest.mark.parametrize(("edit", "weights"), [(STEPS, [50, 100]), (within(3), [100])])
async def test_the_version_before_comes_back_by_its_steps_or_at_once(
    world: World, edit: Any, weights: list[int]
) -> None:
    watched = await promoted(world, "1.0.0", "1.1.0", edit=edit)
    done = await TidegateClient(world.client).undo(CHECKOUT, by="ana", reason="slow")
    assert done.revision == 1
    assert list(done.images.values()) == [f"{IMAGE}:1.0.0"]
    assert wanted_image(world) == f"{IMAGE}:1.0.0"
    await watched.tell()
    result = await (await watched.ended()).result()
    assert (result.outcome, result.revision) == ("Healthy", 3)
    assert world.cluster.stable_hash == result.hash
    assert [weight for weight in world.cluster.weights() if weight] == weights
    assert len(world.cluster.replica_sets()) == 2, "the version that was there is the one that comes back"


async def aborted(world: World, watched: Watched, tag: str) -> None:
    handle = await watched.apply(tag, STEPS)
    await handle.signal("abort", {"by": "ana"})
    with pytest.raises(WorkflowFailureError):
        await (await watched.ended()).result()


async def test_undo_goes_back_to_what_was_promoted_and_never_to_what_was_aborted(world: World) -> None:
    watched = await promoted(world, "1.0.0", "1.1.0")
    for tag in ("1.2.0", "1.3.0"):
        await aborted(world, watched, tag)
    client = TidegateClient(world.client)
    done = await client.undo(CHECKOUT, by="ana")
    assert (done.revision, wanted_image(world)) == (2, f"{IMAGE}:1.1.0")
    await watched.tell()
    await watched.ended()
    done = await client.undo(CHECKOUT, by="ana")
    assert (done.revision, wanted_image(world)) == (1, f"{IMAGE}:1.0.0"), "not to a newer one that was never promoted"
    done = await client.undo(CHECKOUT, to_revision=4, by="ana")
    assert (done.revision, wanted_image(world)) == (4, f"{IMAGE}:1.3.0"), "a person may name what they like"


async def test_where_nothing_else_was_promoted_the_revisions_that_stand_are_named(world: World) -> None:
    watched = await promoted(world, "1.0.0")
    await aborted(world, watched, "1.1.0")
    await watched.apply("1.0.0", STEPS)
    await watched.ended()
    with pytest.raises(RefusedError, match="ever promoted: revisions 2 stand; name one with --to-revision"):
        await TidegateClient(world.client).undo(CHECKOUT)
    assert wanted_image(world) == f"{IMAGE}:1.0.0"


async def test_a_named_revision_comes_back_and_asking_again_changes_nothing(world: World) -> None:
    await promoted(world, "1.0.0", "1.1.0", "1.2.0")
    client = TidegateClient(world.client)
    assert (await client.undo(CHECKOUT, to_revision=1)).revision == 1
    again = await client.undo(CHECKOUT, to_revision=1)
    assert "asks for already" in again.message
    assert wanted_image(world) == f"{IMAGE}:1.0.0"


async def test_what_cannot_be_brought_back_is_said_and_nothing_is_changed(world: World) -> None:
    client = TidegateClient(world.client)
    with pytest.raises(RefusedError, match="there is no Rollout payments/checkout in cluster default"):
        await client.undo(CHECKOUT)
    await promoted(world, "1.0.0")
    with pytest.raises(RefusedError, match="no revision but the one"):
        await client.undo(CHECKOUT)
    with pytest.raises(RefusedError, match="there is no revision 7 of checkout: 1"):
        await client.undo(CHECKOUT, to_revision=7)
    assert wanted_image(world) == f"{IMAGE}:1.0.0"


async def test_git_is_asked_for_the_same(world: World) -> None:
    def edit(rollout: Document) -> None:
        STEPS(rollout)
        annotated()(rollout)

    await promoted(world, "1.0.0", "1.1.0", edit=edit)
    done = await TidegateClient(world.client).undo(CHECKOUT, by="ana", reason="slow")
    await world.closed(world.client.get_workflow_handle(done.message.rpartition(" ")[2]))
    [revert] = world.git.reverts
    assert [(change.bad, change.good) for change in revert.images] == [(f"{IMAGE}:1.1.0", f"{IMAGE}:1.0.0")]
    assert revert.reason == "undo by ana: slow"


async def test_a_worker_that_goes_after_the_write_does_not_undo_the_undo(world: World) -> None:
    await promoted(world, "1.0.0", "1.1.0")
    rollbacks = RollbackActivities(world.cluster.client)
    target = Target(namespace=NAMESPACE, name="checkout")
    chosen = await rollbacks.choose_revision(RollbackRequest(target=target))
    put = PutBack(target=target, replica_set=chosen.replica_set, replaces=chosen.replaces)
    for _ in range(2):
        await rollbacks.rollback(put)
        assert wanted_image(world) == f"{IMAGE}:1.0.0"


async def test_what_somebody_asked_for_meanwhile_stays(world: World) -> None:
    watched = await promoted(world, "1.0.0", "1.1.0")
    rollbacks = RollbackActivities(world.cluster.client)
    target = Target(namespace=NAMESPACE, name="checkout")
    chosen = await rollbacks.choose_revision(RollbackRequest(target=target))
    await watched.apply("1.2.0", STEPS)
    await watched.ended()
    with pytest.raises(ApplicationError, match="changed by someone else meanwhile"):
        await rollbacks.rollback(PutBack(target=target, replica_set=chosen.replica_set, replaces=chosen.replaces))
    assert wanted_image(world) == f"{IMAGE}:1.2.0"


async def test_an_abort_after_the_promotion_is_refused_and_names_the_way_back(world: World) -> None:
    await promoted(world, "1.0.0")
    watched = Watched(world)
    handle = await watched.apply("1.1.0", STEPS)
    await world.until(handle, lambda status: status.phase == "Healthy")
    with pytest.raises(RefusedError, match="to go back: tidegate undo"):
        await TidegateClient(world.client).abort(CHECKOUT, by="ana")
    assert (await (await watched.ended()).result()).outcome == "Healthy"
