"""A flag that a person set goes once its release has answered to it: where it stands nobody can set it again."""

from __future__ import annotations

from sandbox.kubernetes_api.kinds import ROLLOUTS
from tests.virtual.cluster import NAMESPACE
from tests.virtual.stage import in_virtual_time
from tests.workflows.test_ownership import changed, standing, status
from tidegate.contract import rollout_id


@in_virtual_time
async def test_a_full_promotion_that_is_over_leaves_no_flag() -> None:
    async with standing() as stage:
        stage.cluster.change(ROLLOUTS, "shop", changed({"app": "shop"}, "2"))
        await stage.simulation.sleep(20)
        assert status(stage)["phase"] == "Paused"
        stage.simulation.act("promote", "full")
        await stage.simulation.sleep(20)
        said = status(stage)
        assert (said["phase"], said["stableRS"]) == ("Healthy", said["currentPodHash"])
        assert "promoteFull" not in said
        await stage.simulation.sleep(60)
        assert "promoteFull" not in status(stage)


@in_virtual_time
async def test_an_abort_is_set_although_the_flag_of_the_one_before_went_with_a_pass_that_was_cut_off() -> None:
    async with standing() as stage:
        stage.cluster.change(ROLLOUTS, "shop", changed({"app": "shop"}, "2"))
        await stage.simulation.sleep(20)
        stage.simulation.act("abort", True)
        await stage.simulation.sleep(60)
        assert status(stage)["abort"] is True
        creates = stage.cluster.hold("create", "replicasets")
        stage.cluster.change(ROLLOUTS, "shop", changed({"app": "shop"}, "3"))
        await creates.begun.wait()
        assert "abort" not in status(stage), "the pass has taken it away"
        assert stage.life.temporal.cancel(rollout_id("default", NAMESPACE, "shop"))
        await stage.simulation.sleep(5)
        creates.go_on.set()
        await stage.simulation.sleep(60)
        said = status(stage)
        assert (said["phase"], said.get("abort")) == ("Degraded", True)
        assert stage.cluster.weights() == [10, 0], "nobody asked for another try"
