"""Every shape of a canary comes to its end: with a router and without, whatever steps it has, back again, too."""

from __future__ import annotations

from typing import Any

import pytest

from tests.virtual.cluster import NAMESPACE
from tests.virtual.releases import IMAGE, World
from tests.workflows.edits import without_router
from tests.workflows.watched import Watched
from tidegate.contract import Document

STEPS: dict[str, list[Document] | None] = {
    "none": None,
    "empty": [],
    "pauses": [{"pause": {"duration": 5}}, {"pause": {"duration": "5s"}}],
    "to the full": [{"setWeight": 50}, {"pause": {"duration": 5}}, {"setWeight": 100}],
    "not to the full": [{"setWeight": 50}, {"pause": {"duration": 5}}],
}


def shape(steps: list[Document] | None, *, routed: bool) -> Any:
    def edit(rollout: Document) -> None:
        if not routed:
            without_router(rollout)
        canary = rollout["spec"]["strategy"]["canary"]
        canary.pop("analysis", None)
        canary.pop("steps", None)
        if steps is not None:
            canary["steps"] = steps

    return edit


@pytest.mark.parametrize("routed", [True, False], ids=["istio", "no router"])
@pytest.mark.parametrize("steps", STEPS)
async def test_a_first_version_a_newer_one_and_the_way_back_end_healthy(world: World, steps: str, routed: bool) -> None:
    edit, watched = shape(STEPS[steps], routed=routed), Watched(world)
    hashes = []
    for tag in ("1.0.0", "1.1.0", "1.0.0"):
        await watched.apply(tag, edit)
        result = await (await watched.ended()).result()
        assert result.outcome == "Healthy"
        assert watched.status()["phase"] == "Healthy"
        assert watched.status()["stableRS"] == watched.status()["currentPodHash"] == result.hash
        with_pods = [found for found in world.cluster.replica_sets() if found["spec"]["replicas"]]
        assert [found["metadata"]["name"] for found in with_pods] == [f"checkout-{result.hash}"]
        assert {pod["spec"]["containers"][0]["image"] for pod in world.cluster.pods()} == {f"{IMAGE}:{tag}"}
        assert not routed or world.cluster.weights()[-1:] in ([], [0], [100])
        hashes.append(result.hash)
    assert hashes[0] == hashes[2] != hashes[1], NAMESPACE
