"""Passes that size a canary otherwise than by its weight, against the embedded Kubernetes API and its controllers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.activities.test_passes import Stage, hash_of, pods, stage, version
from tidegate.contract import DesiredState, Reconciled

__all__ = ["stage"]  # the fixture


def sized(number: int, **canary: Any) -> dict[str, Any]:
    """A version whose canary strategy says something more."""
    rollout = version(number)
    rollout["spec"]["strategy"]["canary"] |= canary
    return rollout


def weight(done: Reconciled) -> int:
    assert done.traffic is not None
    return done.traffic.canary


@pytest.mark.parametrize(("scale", "wanted"), [({"replicas": 3}, 3), ({"weight": 75}, 3)])
async def test_a_canary_scale_holds_until_its_size_is_given_back(
    stage: Stage, scale: dict[str, int], wanted: int
) -> None:
    steps = [{"setCanaryScale": scale}, {"setWeight": 25}, {"setCanaryScale": {"matchTrafficWeight": True}}]
    rollout = sized(2, steps=steps)
    first, second = await stage.stand(), hash_of(rollout)
    desired = DesiredState(hash=second, stable_hash=first, index=0)
    larger = await stage.reach(rollout, desired)
    assert (pods(larger), weight(larger)) == ({second: wanted, first: 4}, 0)
    routed = await stage.reach(rollout, desired.model_copy(update={"index": 1}))
    assert (pods(routed), weight(routed)) == ({second: wanted, first: 4}, 25)
    matched = await stage.reach(rollout, desired.model_copy(update={"index": 2}))
    assert (pods(matched), weight(matched)) == ({second: 1, first: 4}, 25)


async def test_each_side_keeps_the_least_number_of_pods(stage: Stage) -> None:
    rollout = sized(2, minPodsPerReplicaSet=2)
    first, second = await stage.stand(), hash_of(rollout)
    done = await stage.reach(rollout, DesiredState(hash=second, stable_hash=first, index=0))
    assert (pods(done), weight(done)) == ({second: 2, first: 4}, 25)


async def test_a_dynamic_stable_gives_its_pods_up_and_has_them_back_after_an_abort(stage: Stage) -> None:
    rollout = sized(2, dynamicStableScale=True)
    first, second = await stage.stand(), hash_of(rollout)
    desired = DesiredState(hash=second, stable_hash=first, index=1)
    half = await stage.reach(rollout, desired)
    assert (pods(half), weight(half)) == ({second: 2, first: 2}, 50)
    back = await stage.reach(rollout, desired.model_copy(update={"aborted": True, "index": 0}))
    assert (pods(back), weight(back)) == ({second: 0, first: 4}, 0)


async def test_a_dynamic_stable_is_gone_with_its_traffic(stage: Stage) -> None:
    rollout = sized(2, dynamicStableScale=True)
    first, second = await stage.stand(), hash_of(rollout)
    whole = await stage.reach(rollout, DesiredState(hash=second, stable_hash=first, index=2))
    assert (pods(whole), weight(whole)) == ({second: 4, first: 0}, 100)
    done = await stage.reach(rollout, DesiredState(hash=second, stable_hash=second, index=2))
    assert (pods(done), weight(done)) == ({second: 4, first: 0}, 0)
