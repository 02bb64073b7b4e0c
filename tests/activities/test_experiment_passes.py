"""The experiment of a place, against the embedded Kubernetes API and its controllers: raised, weighed, and gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.kubernetes.client import REPLICA_SETS, SERVICES, VIRTUAL_SERVICES, Object
from activities.kubernetes.ownership import PART_OF_EXPERIMENT
from activities.kubernetes.replica_sets import HASH_LABEL, belongs, owner
from tests.activities.test_passes import Stage, hash_of, pods, version
from tests.activities.test_passes import stage as stage  # a fixture
from tidegate.contract import DesiredState, ErrorType, Reconciled

MARK = {PART_OF_EXPERIMENT: "true"}
BASELINE = {"name": "baseline", "specRef": "stable", "replicas": 2, "metadata": {"labels": {"side": "baseline"}}}
CANARY = {"name": "trial", "specRef": "canary"}


def experimental(number: int, *templates: dict[str, Any]) -> dict[str, Any]:
    """A version whose steps are 25 percent, an experiment, 50 percent."""
    rollout = version(number)
    steps = [{"setWeight": 25}, {"experiment": {"templates": list(templates)}}, {"setWeight": 50}]
    rollout["spec"]["strategy"]["canary"]["steps"] = steps
    return rollout


async def complete(stage: Stage, rollout: dict[str, Any], desired: DesiredState) -> Reconciled:
    """Passes until the experiment stands."""
    while not ((done := await stage.once(rollout, desired)).experiment and all(e.complete for e in done.experiment)):
        await stage.changed(rollout, done.state_digest)
    return done


async def objects(stage: Stage) -> dict[str, list[str]]:
    """Names of everything that is part of an experiment."""
    found = {
        "sets": await stage.cluster.select(REPLICA_SETS, "payments", MARK),
        "services": await stage.cluster.select(SERVICES, "payments", MARK),
    }
    return {kind: sorted(each["metadata"]["name"] for each in items) for kind, items in found.items()}


async def routed(stage: Stage) -> dict[str, int]:
    """Weights by host."""
    found: Object = await stage.cluster.get(VIRTUAL_SERVICES, "payments", "checkout-vsvc")
    return {each["destination"]["host"]: each["weight"] for each in found["spec"]["http"][0]["route"]}


async def test_versions_stand_side_by_side_and_nothing_is_left_of_them(stage: Stage) -> None:
    first, rollout = await stage.stand(), experimental(2, BASELINE, CANARY)
    second = hash_of(rollout)
    desired = DesiredState(hash=second, stable_hash=first, index=1, experiment=True)
    done = await complete(stage, rollout, desired)
    prefix = f"checkout-{second}-2-1"
    assert await objects(stage) == {"sets": [f"{prefix}-baseline", f"{prefix}-trial"], "services": []}
    assert pods(done) == {second: 1, first: 4}, "the versions have theirs besides"
    assert {each.template: each.available for each in done.experiment} == {"baseline": 2, "trial": 1}
    baseline, trial = [
        await stage.cluster.get(REPLICA_SETS, "payments", f"{prefix}-{n}") for n in ("baseline", "trial")
    ]
    images = [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in (baseline, trial)]
    assert images == ["checkout:1", "checkout:2"]
    assert baseline["spec"]["selector"]["matchLabels"]["side"] == "baseline"
    hashes = {each["spec"]["template"]["metadata"]["labels"][HASH_LABEL] for each in (baseline, trial)}
    assert hashes == {each.hash for each in done.experiment}
    assert not hashes & {first, second}, "no Service of a version leads to them"
    after = await stage.reach(rollout, desired.model_copy(update={"index": 2, "experiment": False}))
    assert await objects(stage) == {"sets": [], "services": []}
    assert after.requeue_at is None


async def test_what_an_experiment_raises_is_no_version(stage: Stage) -> None:
    first, rollout = await stage.stand(), experimental(2, CANARY)
    await complete(stage, rollout, DesiredState(hash=hash_of(rollout), stable_hash=first, index=1, experiment=True))
    (found,) = await stage.cluster.select(REPLICA_SETS, "payments", MARK)
    found["metadata"]["ownerReferences"] = [owner("checkout", "1")]
    assert not belongs(found, "checkout", "1")
    found["metadata"]["labels"].pop(PART_OF_EXPERIMENT)
    assert belongs(found, "checkout", "1")
    assert not belongs(found, "checkout", "2"), "another Rollout of that name"


async def test_a_weight_comes_after_the_pods_and_out_of_stables_share(stage: Stage) -> None:
    first, rollout = await stage.stand(), experimental(2, {**BASELINE, "weight": 10}, {**CANARY, "weight": 5})
    second = hash_of(rollout)
    await complete(stage, rollout, DesiredState(hash=second, stable_hash=first, index=1, experiment=True))
    prefix = f"checkout-{second}-2-1"
    assert await routed(stage) == {
        "checkout-stable": 60,
        "checkout-canary": 25,
        f"{prefix}-baseline": 10,
        f"{prefix}-trial": 5,
    }
    service = await stage.cluster.get(SERVICES, "payments", f"{prefix}-baseline")
    pattern = await stage.cluster.get(SERVICES, "payments", "checkout-stable")
    assert [port["port"] for port in service["spec"]["ports"]] == [port["port"] for port in pattern["spec"]["ports"]]


@pytest.mark.parametrize("change", [{"aborted": True, "index": 0}, {"index": 2}, {"full": True, "index": 3}])
async def test_whatever_ends_it_its_traffic_goes_first_and_its_pods_a_moment_later(
    stage: Stage, change: dict[str, Any]
) -> None:
    first, rollout = await stage.stand(), experimental(2, {**CANARY, "weight": 5})
    second = hash_of(rollout)
    desired = DesiredState(hash=second, stable_hash=first, index=1, experiment=True)
    await complete(stage, rollout, desired)
    after = await stage.reach(rollout, desired.model_copy(update={**change, "experiment": False}))
    assert set(await routed(stage)) == {"checkout-stable", "checkout-canary"}
    name = f"checkout-{second}-2-1-trial"
    assert await objects(stage) == {"sets": [name], "services": [name]}, "not every proxy may know yet"
    assert after.requeue_at == stage.now + timedelta(seconds=30)
    stage.now += timedelta(seconds=30)
    await stage.reach(rollout, desired.model_copy(update={**change, "experiment": False}))
    assert await objects(stage) == {"sets": [], "services": []}
    assert after.external_changes == (), "what the pass wrote itself is nobody else's"


async def test_a_newer_version_removes_what_the_one_before_raised(stage: Stage) -> None:
    first, rollout = await stage.stand(), experimental(2, BASELINE, CANARY)
    await complete(stage, rollout, DesiredState(hash=hash_of(rollout), stable_hash=first, index=1, experiment=True))
    stage.revision = 3
    await stage.reach(version(3), DesiredState(hash=hash_of(version(3)), stable_hash=first, index=0))
    assert await objects(stage) == {"sets": [], "services": []}


async def test_a_service_of_its_own_has_the_ports_of_the_containers(stage: Stage) -> None:
    first, rollout = await stage.stand(), experimental(2, {**CANARY, "service": {"name": "checkout-trial"}})
    await complete(stage, rollout, DesiredState(hash=hash_of(rollout), stable_hash=first, index=1, experiment=True))
    service = await stage.cluster.get(SERVICES, "payments", "checkout-trial")
    container = rollout["spec"]["template"]["spec"]["containers"][0]
    assert [port["port"] for port in service["spec"]["ports"]] == [p["containerPort"] for p in container["ports"]]
    assert set(await routed(stage)) == {"checkout-stable", "checkout-canary"}


async def test_a_service_of_somebody_else_is_not_touched(stage: Stage) -> None:
    first, rollout = await stage.stand(), experimental(2, {**CANARY, "service": {"name": "checkout-stable"}})
    desired = DesiredState(hash=hash_of(rollout), stable_hash=first, index=1, experiment=True)
    with pytest.raises(ApplicationError, match="checkout-stable exists and does not belong") as refused:
        await complete(stage, rollout, desired)
    assert refused.value.type == ErrorType.INVALID_SPEC


async def test_a_share_goes_with_the_last_of_the_pods(stage: Stage) -> None:
    first, rollout = await stage.stand(), experimental(2, {**CANARY, "weight": 5})
    desired = DesiredState(hash=hash_of(rollout), stable_hash=first, index=1, experiment=True)
    await complete(stage, rollout, desired)
    rollout["spec"]["strategy"]["canary"]["steps"][1]["experiment"]["templates"][0]["replicas"] = 0
    while (done := await stage.once(rollout, desired)).experiment[0].available:
        await stage.changed(rollout, done.state_digest)
    await stage.once(rollout, desired)
    assert set(await routed(stage)) == {"checkout-stable", "checkout-canary"}
