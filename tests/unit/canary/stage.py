"""Positions and ReplicaSets for tests of the canary's rules: version C on its way to replace S."""

from __future__ import annotations

from typing import Any

from tidegate.canary.position import CanaryState, Weights
from tidegate.canary.replica_sets import ReplicaSet, ReplicaSets
from tidegate.manifests.rollout import Canary

ROUTED: dict[str, Any] = {"trafficRouting": {"istio": {"virtualService": {"name": "vs"}}}}
DYNAMIC: dict[str, Any] = {**ROUTED, "dynamicStableScale": True}


def steps(*given: int | dict[str, Any]) -> list[dict[str, Any]]:
    """Steps; a number stands for a setWeight."""
    return [{"setWeight": each} if isinstance(each, int) else each for each in given]


def position(
    strategy: dict[str, Any],
    *given: int | dict[str, Any],
    index: int | None = 0,
    replicas: int = 10,
    sent: int | None = None,
    stable_hash: str = "S",
    **turns: bool,
) -> CanaryState:
    """A position at step `index` of the `given` steps; `sent` percent of the traffic go to the canary."""
    return CanaryState(
        strategy=Canary.model_validate({**strategy, "steps": steps(*given)}),
        replicas=replicas,
        desired_hash="C",
        stable_hash=stable_hash,
        index=index,
        weights=None if sent is None else Weights(sent, 100 - sent, "C"),
        **turns,
    )


def pods(hash_: str, wanted: int, available: int | None = None, *, kept: bool = False) -> ReplicaSet:
    """A ReplicaSet whose pods were all created."""
    return ReplicaSet(f"shop-{hash_}", hash_, wanted, wanted, wanted if available is None else available, kept)


def sets(
    canary: int | tuple[int, int] | None, stable: int | tuple[int, int] | None, *others: int | tuple[int, int]
) -> ReplicaSets:
    """ReplicaSets by role; a pair is wanted and available, a number both."""

    def of(hash_: str, count: int | tuple[int, int]) -> ReplicaSet:
        return pods(hash_, *count) if isinstance(count, tuple) else pods(hash_, count)

    return ReplicaSets(
        None if canary is None else of("C", canary),
        None if stable is None else of("S", stable),
        tuple(of(f"O{number}", each) for number, each in enumerate(others)),
    )
