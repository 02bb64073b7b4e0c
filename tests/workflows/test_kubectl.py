"""What people with kubectl see of a release: Events, AnalysisRun objects, and the metadata of roles on its pods."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from sandbox.kubernetes_api import Change
from sandbox.kubernetes_api.kinds import KINDS, ROLLOUTS
from sandbox.kubernetes_api.objects import lookup, meta
from tests.virtual.cluster import NAMESPACE
from tests.virtual.releases import IMAGE, World
from tests.workflows.edits import canary_of, with_steps
from tidegate.contract import ReleaseResult

EVENTS = next(kind for kind in KINDS if kind.kind == "Event" and not kind.group)
ROLES = {"canaryMetadata": {"labels": {"role": "canary"}}, "stableMetadata": {"labels": {"role": "stable"}}}


def reasons(world: World) -> list[str]:
    """Of the Events about the Rollout, in the order in which they were created."""
    found = sorted(world.cluster.api.store.select(EVENTS, NAMESPACE), key=lambda e: int(meta(e)["resourceVersion"]))
    return [event["reason"] for event in found]


def roles(world: World) -> Counter[tuple[str, str]]:
    """How many pods of each image wear which role."""
    return Counter(
        (
            pod["spec"]["containers"][0]["image"].removeprefix(f"{IMAGE}:"),
            meta(pod)["labels"].get("role", ""),
        )
        for pod in world.cluster.pods()
    )


async def stand(world: World) -> None:
    """A first version, and its Rollout object."""
    first = world.request("1.0.0")
    world.cluster.apply(dict(first.rollout))
    await (await world.start(first)).result()


def metadata(rollout: dict[str, Any]) -> None:
    with_steps({"setWeight": 50}, {"pause": {}})(rollout)
    canary_of(rollout).update(ROLES)


async def test_a_release_is_told_in_events_and_analysis_runs(world: World) -> None:
    await stand(world)
    before = len(reasons(world))
    result = await (await world.start(world.request("1.1.0"))).result()
    told = reasons(world)[before:]
    for reason in (
        "NewReplicaSetCreated",
        "ScalingReplicaSet",
        "TrafficWeightUpdated",
        "RolloutStepCompleted",
        "RolloutPaused",
        "AnalysisRunRunning",
        "AnalysisRunSuccessful",
        "RolloutCompleted",
    ):
        assert reason in told, told
    rollout = world.cluster.find(ROLLOUTS, "checkout")
    assert rollout is not None
    runs = world.cluster.analysis_runs()
    assert {meta(run)["name"] for run in runs} == {analysis.name for analysis in result.status.analyses}
    for run in runs:
        assert run["status"]["phase"] == "Successful"
        assert [owner["uid"] for owner in meta(run)["ownerReferences"]] == [meta(rollout)["uid"]]
        assert meta(run)["labels"]["rollouts-pod-template-hash"] == result.hash


async def test_no_status_is_ahead_of_the_analysis_runs_that_it_rests_on(world: World) -> None:
    await stand(world)
    under_way: list[tuple[int, str]] = []

    def note(change: Change) -> None:
        step = lookup(change.object, "status", "currentStepIndex")
        if change.kind is ROLLOUTS and step is not None:
            phases = {meta(run)["name"]: run["status"]["phase"] for run in world.cluster.analysis_runs()}
            behind = [name for name, phase in phases.items() if phase == "Running" and _is_before(name, step)]
            under_way.extend((step, name) for name in behind)

    world.cluster.api.store.subscribe(note)
    await (await world.start(world.request("1.1.0"))).result()
    assert len(world.cluster.analysis_runs()) > 1
    assert under_way == []


def _is_before(name: str, step: int) -> bool:
    """Whether an analysis run, `<rollout>-<hash>-<revision>-<step>`, is of a step that is over."""
    index = name.rpartition("-")[2]
    return name.count("-") == 3 and int(index) < step


@pytest.mark.parametrize("plural", ["events", "analysisruns"])
async def test_what_could_not_be_told_holds_nothing_and_is_told_once_later(world: World, plural: str) -> None:
    await stand(world)
    before = len(reasons(world))
    world.cluster.fail("create", plural, 3)
    result = await (await world.start(world.request("1.1.0"))).result()
    assert result.outcome == "Healthy"
    assert world.cluster.weights()[-5:] == [10, 25, 50, 100, 0]
    assert Counter(reasons(world)[before:])["RolloutCompleted"] == 1
    assert {run["status"]["phase"] for run in world.cluster.analysis_runs()} == {"Successful"}


async def test_telling_costs_next_to_no_history(world: World) -> None:
    await world.deploy_stable()
    quiet = await world.start(world.request("1.1.0"))
    await quiet.result()
    world.cluster.apply(dict(world.request("1.1.0").rollout))
    told = await world.start(world.request("1.2.0"))
    await told.result()
    assert world.cluster.analysis_runs()
    assert await events(told) <= await events(quiet) * 1.25


async def test_pods_wear_their_role_through_a_release_and_after_it(world: World) -> None:
    await stand(world)
    handle = await world.start(world.request("1.1.0", metadata))
    await world.until(handle, lambda status: status.phase == "Paused")
    assert roles(world) == {("1.0.0", "stable"): 8, ("1.1.0", "canary"): 4}
    await handle.signal("promote")
    await world.until(handle, lambda _: roles(world)["1.1.0", "stable"] == 8)
    assert roles(world) - Counter({("1.1.0", "stable"): 8}) in (Counter(), Counter({("1.0.0", ""): 8}))
    assert (await handle.result()).outcome == "Healthy"


async def events(handle: WorkflowHandle[Any, ReleaseResult]) -> int:
    return len((await handle.fetch_history()).events)
