"""Other steps are another version, also of the same pods: an abort counts for those that it was said of."""

from __future__ import annotations

import copy

import pytest

from sandbox.kubernetes_api.kinds import KINDS, ROLLOUTS
from sandbox.kubernetes_api.objects import Object
from tests.virtual.cluster import NAMESPACE
from tests.virtual.stage import Stage, in_virtual_time, opened
from tests.workflows.test_ownership import ROLLOUT, nothing_measured, status
from tests.workflows.test_workload import DEPLOYMENTS

EVENTS = next(kind for kind in KINDS if kind.kind == "Event")


def lend(stage: Stage, tag: str) -> None:
    """Apply the Deployment with another image."""
    template = copy.deepcopy(ROLLOUT["spec"]["template"])
    template["spec"]["containers"][0]["image"] = f"img:{tag}"
    spec = {"replicas": 0, "selector": ROLLOUT["spec"]["selector"], "template": template}
    metadata = {"name": "shop", "namespace": NAMESPACE}
    stage.cluster.apply({"apiVersion": "apps/v1", "kind": DEPLOYMENTS.kind, "metadata": metadata, "spec": spec})


def with_other_steps(found: Object) -> Object:
    spec = copy.deepcopy(found["spec"])
    spec["strategy"]["canary"]["steps"] = [{"setWeight": 25}, {"pause": {}}]
    return found | {"spec": spec}


def with_abort(found: Object) -> Object:
    return found | {"status": {**found["status"], "abort": True}}


def aborts(stage: Stage) -> int:
    """How often people were told."""
    told = stage.cluster.api.store.select(EVENTS, NAMESPACE)
    return sum(event["reason"] == "RolloutAborted" for event in told)


@pytest.mark.parametrize("order", ["abort first", "steps first, both unseen", "once it was aborted"])
@in_virtual_time
async def test_an_abort_is_carried_out_before_the_same_pods_are_brought_out_by_other_steps(order: str) -> None:
    spec = {name: value for name, value in ROLLOUT["spec"].items() if name not in ("template", "selector")}
    reference = {"apiVersion": "apps/v1", "kind": DEPLOYMENTS.kind, "name": "shop"}
    rollout = {**ROLLOUT, "spec": {**spec, "selector": ROLLOUT["spec"]["selector"], "workloadRef": reference}}
    async with opened({"rollout": rollout}, nothing_measured) as stage:
        lend(stage, "1")
        await stage.simulation.play([], 30)
        lend(stage, "2")
        await stage.simulation.sleep(20)
        assert (status(stage)["phase"], stage.cluster.weights()) == ("Paused", [10])
        if order == "steps first, both unseen":
            await stage.life.stop_watching()
            stage.cluster.change(ROLLOUTS, "shop", with_other_steps)
        stage.cluster.change(ROLLOUTS, "shop", with_abort, status=True)
        if order == "once it was aborted":
            await stage.simulation.sleep(60)
            assert (status(stage)["phase"], stage.cluster.weights()) == ("Degraded", [10, 0])
        if order == "steps first, both unseen":
            stage.life.watch()
        else:
            stage.cluster.change(ROLLOUTS, "shop", with_other_steps)
        await stage.simulation.sleep(60)
        assert (status(stage)["phase"], status(stage).get("abort")) == ("Paused", None)
        assert stage.cluster.weights() == [10, 0, 25]
        assert aborts(stage) == 1
