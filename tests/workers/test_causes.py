"""One id for each cause, on a real Temporal server: versions of a Deployment, words of people, and whose they are."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import DEPLOYMENTS, ROLLOUTS, Object
from sandbox.processes import until
from tests.virtual.cluster import Hold
from tests.workers.watched import NAMESPACE, TERMINATES, Place, rollout
from tidegate.client import ReleaseHandle, RolledBackError, RolloutRef, SupersededError
from tidegate.contract import (
    FOLLOW_UP_WORKFLOW,
    RELEASES_QUEUE,
    ROLLBACK_WORKFLOW,
    ROLLOUT_WORKFLOW,
    Activity,
    Effect,
    ErrorType,
    FollowUpRequest,
    ReleaseRequest,
    RollbackRequest,
    Target,
    Update,
)
from tidegate.rollouts.template_hash import pod_template_hash
from workflows.reverts import REPOSITORY

pytestmark = [pytest.mark.asyncio(loop_scope="module"), TERMINATES]


def template(image: str) -> Object:
    found: Object = rollout(image)["spec"]["template"]
    return found


def lent(*steps: Object) -> Object:
    """The Rollout whose template stands in the Deployment `legacy`."""
    whole = rollout()
    for field in ("selector", "template"):
        del whole["spec"][field]
    whole["spec"]["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "legacy"}
    whole["spec"]["strategy"]["canary"]["steps"] = list(steps)
    return whole


async def deploy(place: Place, image: str) -> None:
    """Let the Deployment ask for an image, which is all that changes: not the Rollout, nor its generation."""
    path = DEPLOYMENTS.path(NAMESPACE, "legacy")
    if await place.cluster.find(DEPLOYMENTS, NAMESPACE, "legacy") is not None:
        await place.kube.patch(path, {"spec": {"template": template(image)}})
        return
    spec = {"replicas": 0, "selector": rollout()["spec"]["selector"], "template": template(image)}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "legacy"}, "spec": spec}
    await place.kube.create(DEPLOYMENTS.path(NAMESPACE), body)


async def asked(place: Place) -> str:
    """Hash of the template that the object asks for, its own or that of its Deployment."""
    found = await place.kube.get(place.path)
    lends = await place.cluster.find(DEPLOYMENTS, NAMESPACE, "legacy")
    return pod_template_hash((lends or found)["spec"]["template"])


async def healthy(place: Place) -> str:
    """The run that made the version that is asked for the stable one, after its end."""
    hash_ = await asked(place)
    await place.until(lambda s: s.get("phase") == "Healthy" and s.get("stableRS") == hash_)
    handle = place.temporal.get_workflow_handle(place.ref.workflow_id)
    assert (await handle.result())["outcome"] == "Healthy"
    return (await place.status()).run_id


async def held(place: Place) -> None:
    """Wait until the version that is asked for is on its way and waits for a person."""
    hash_ = await asked(place)
    await place.until(lambda s: bool(s.get("pauseConditions")) and s.get("currentPodHash") == hash_)


async def test_each_version_of_a_deployment_is_released_also_one_that_was_there_before(place: Place) -> None:
    await deploy(place, "shop:1")
    await place.kube.create(ROLLOUTS.path(NAMESPACE), lent({"setWeight": 50}))
    async with place.watching(), place.watching():
        runs = [await healthy(place)]
        for image in ("shop:2", "shop:1", "shop:2"):
            await deploy(place, image)
            runs.append(await healthy(place))
    assert len(set(runs)) == 4
    found = await place.kube.get(place.path)
    assert found["metadata"]["generation"] == 1, "which says nothing of its Deployment"


async def test_a_deployment_that_changes_in_mid_canary_is_followed_there_and_back(place: Place) -> None:
    await deploy(place, "shop:1")
    await place.kube.create(ROLLOUTS.path(NAMESPACE), lent({"setWeight": 50}, {"pause": {}}))
    async with place.watching():
        await healthy(place)
        for image in ("shop:2", "shop:3", "shop:2", "shop:3"):  # all of them by the run that is under way
            await deploy(place, image)
            await held(place)
        await deploy(place, "shop:1")
        await healthy(place)
        await place.weight_is(0)
        await deploy(place, "shop:4")
        await held(place)
        before = await asked(place)
        await place.client.undo(place.ref, by="alice")
        assert await asked(place) != before
        await healthy(place)


async def test_a_call_releases_what_the_deployment_says_then_and_waits_for_that(place: Place) -> None:
    await deploy(place, "shop:1")
    manifest = lent({"setWeight": 50})
    wanted = ReleaseRequest(cluster=place.name, namespace=NAMESPACE, name="shop", rollout=manifest, by="ci")
    first = await place.client.start(wanted)
    assert (await place.client.wait(first)).status.images == {"shop": "shop:1"}
    await deploy(place, "shop:2")
    second = await place.client.start(wanted)
    again = await place.client.start(wanted)
    assert (again.run_id, again.message) == (second.run_id, second.message)
    assert (await place.client.wait(second)).status.images == {"shop": "shop:2"}
    assert first.run_id != second.run_id
    repeated = await place.client.start(wanted)
    assert repeated == second, "a call whose answer was lost"
    with pytest.raises(SupersededError, match="shop:2"):
        await place.client.wait(replace(first, run_id=second.run_id))


@pytest.mark.parametrize("seconds", [0, 0.1, 0.3, 0.6, 1.0])
async def test_a_version_that_comes_while_the_one_before_is_undone_comes_out(place: Place, seconds: float) -> None:
    whole = rollout()
    whole["metadata"]["annotations"] = {REPOSITORY: "https://git.example/shop"}
    await place.kube.create(ROLLOUTS.path(NAMESPACE), whole)
    async with place.watching():
        await place.healthy()
        await place.set_image("shop:2")
        await place.paused_at(1)
        aborted = (await place.status()).run_id
        slow = place.holds["patch", "virtualservices"] = Hold()
        await place.client.abort(place.ref, by="alice", reason="it smells")
        await asyncio.sleep(seconds)
        await place.set_image("shop:3")
        await until(lambda: place.turned_down(aborted), 10, "the newer version was asked for while the abort went on")
        slow.go_on.set()
        await held(place)
        with pytest.raises(WorkflowFailureError):
            await place.temporal.get_workflow_handle(place.ref.workflow_id, run_id=aborted).result()
        found = await place.kube.get(place.path)
        assert "abort" not in found["status"], "which was about the version before"
        for _ in range(2):
            await place.client.promote(place.ref, by="alice")
            await asyncio.sleep(0.2)
        await healthy(place)
    status = await place.status()
    assert status.run_id != aborted
    assert "RolloutAborted" not in [event.reason for event in status.events]
    assert {each.facts.run for each in place.servicenow.incidents} <= {aborted}
    assert {each.run for each in place.git.reverts} <= {aborted}


async def test_a_word_about_the_version_before_is_not_taken_for_one_about_this(place: Place) -> None:
    await place.apply()
    async with place.watching():
        await place.healthy()
        await place.set_image("shop:2")
        await place.paused_at(1)
        await place.patch_status('{"status":{"abort":true}}')
        await place.set_image("shop:3")
        await held(place)
        await place.patch_status('{"status":{"abort":true}}')
        await place.until(lambda s: s.get("phase") == "Degraded" and s.get("abort") is True)
        ended = ReleaseHandle(place.ref, (await place.status()).run_id, "")
        with pytest.raises(RolledBackError, match="kubectl"):
            await place.client.wait(ended)
        await place.patch_status('{"status":{"abort":false}}')
        await held(place)


def another(place: Place, **fields: Any) -> ReleaseRequest:
    """A release of another image that skips every gate."""
    given = {"cluster": place.name, "namespace": NAMESPACE, "name": "shop", "rollout": rollout("evil:1"), "full": True}
    return ReleaseRequest(**(given | fields))


async def test_a_release_under_another_id_is_refused_with_nothing_touched(place: Place) -> None:
    await place.apply()
    async with place.watching():
        await place.healthy()
        await place.set_image("shop:2")
        await place.paused_at(1)
        before = await place.kube.get(place.path)
        own = place.ref.workflow_id
        for workflow_id in ("evil", RolloutRef(NAMESPACE, "other", place.name).workflow_id):
            asked = another(place, rollout=before | {"spec": rollout("evil:1")["spec"]})
            assert f"start it as '{own}'" in await rejection(place, ROLLOUT_WORKFLOW, asked, workflow_id)
        target = Target(namespace=NAMESPACE, name="shop")
        undo = RollbackRequest(cluster=place.name, target=target)
        assert f"'roll-back/{place.name}/{NAMESPACE}/shop'" in await rejection(place, ROLLBACK_WORKFLOW, undo, "evil")
        effect = Effect(name="git revert", activity=Activity.REVERT_COMMIT, request={})
        for release, workflow_id in ((own, f"follow-up/{place.name}/{NAMESPACE}/shop/1/run/aborted"), ("", "evil")):
            asked_after = FollowUpRequest(release=release, effects=(effect,))
            said = await rejection(place, FOLLOW_UP_WORKFLOW, asked_after, workflow_id)
            assert "by the workflow that decided, or not at all" in said
        handle = place.temporal.get_workflow_handle(own)
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(Update.RELEASE, another(place, name="other"))
        after = await place.kube.get(place.path)
        assert after == before
        assert place.git.reverts == []
        assert (await place.status()).images == {"shop": "shop:2"}


async def rejection(place: Place, kind: str, request: Any, workflow_id: str) -> str:
    """What a workflow that is refused at once says."""
    handle = await place.temporal.start_workflow(kind, request, id=workflow_id, task_queue=RELEASES_QUEUE)
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.non_retryable) == (ErrorType.INVALID_SPEC, True)
    assert (await handle.describe()).status is WorkflowExecutionStatus.FAILED
    return cause.message
