"""What an aborted release asks of Git: the images of stable, beside everything else that follows an abort."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from tests.virtual.releases import IMAGE, World
from tidegate.contract import Document, ErrorType, ImageChange, ReleaseRequest, ReleaseResult, Source

REPOSITORY = "https://git.internal/payments/config.git"
BAD: dict[str, list[float | None]] = {"error-rate": [0.2]}


def annotated(**more: str) -> Any:
    annotations = {f"tidegate.io/git-{name}": value for name, value in {"repository": REPOSITORY, **more}.items()}

    def edit(rollout: Document) -> None:
        rollout["metadata"].setdefault("annotations", {}).update(annotations)

    return edit


async def aborted(world: World, request: ReleaseRequest) -> tuple[str, ReleaseResult]:
    with pytest.raises(WorkflowFailureError) as caught:
        await (await world.start(request)).result()
    cause: Any = caught.value.cause
    assert cause.type == ErrorType.ROLLOUT_ABORTED
    return cause.message, ReleaseResult.model_validate(cause.details[0])


def states(result: ReleaseResult) -> dict[str, str]:
    return {each.name: each.state for each in result.status.compensations}


async def test_an_aborted_release_asks_for_the_images_of_stable(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = dict(BAD)
    request = world.request(
        "1.1.1-bad", annotated(branch="live", path="apps/checkout", mode="branch"), source=Source(commit="abc123")
    )
    message, result = await aborted(world, request)
    (revert,) = world.git.reverts
    container = request.rollout["spec"]["template"]["spec"]["containers"][0]["name"]
    change = ImageChange(container=container, bad=f"{IMAGE}:1.1.1-bad", good=f"{IMAGE}:1.0.0")
    assert revert.images == (change,)
    assert (revert.repository, revert.branch, revert.path) == (REPOSITORY, "live", "apps/checkout")
    assert (revert.namespace, revert.rollout, revert.revision) == (request.namespace, request.name, 2)
    assert (revert.release, revert.run) == (f"{result.status.workflow_id}/2", result.status.run_id)
    assert (revert.commit, revert.mode) == ("abc123", "branch")
    assert "error-rate" in revert.reason
    assert set(states(result).values()) == {"done"}
    assert {each.name: each.detail for each in result.status.compensations}[
        "git revert"
    ] == "commit 1a2b3c puts it back"
    assert "compensation failed" not in message
    assert ("GitReverted", "commit 1a2b3c puts it back") in [(e.reason, e.message) for e in result.status.events]


async def test_a_revert_that_fails_leaves_the_others_and_needs_a_person(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers, world.git.refuses = dict(BAD), True
    message, result = await aborted(world, world.request("1.1.1-bad", annotated()))
    assert message.endswith("; compensation failed: git revert")
    assert states(result) == {
        "traffic to stable": "done",
        "incident": "done",
        "canary pods down": "done",
        "git revert": "failed",
    }
    assert len(world.servicenow.incidents) == 1
    assert world.cluster.wanted() == [8, 0]
    assert (world.git.reverts[0].branch, world.git.reverts[0].path) == ("main", ".")


async def test_git_is_not_asked_where_nothing_could_be_put_back(world: World) -> None:
    await world.deploy_stable()
    world.datadog.answers = dict(BAD)

    def same_image(rollout: Document) -> None:
        annotated()(rollout)
        rollout["spec"]["template"]["metadata"].setdefault("annotations", {})["restarted"] = "now"

    _, result = await aborted(world, world.request("1.0.0", same_image))
    assert "git revert" not in states(result)
    _, result = await aborted(world, world.request("1.1.1-bad"))
    assert "git revert" not in states(result)
    assert world.git.reverts == []
