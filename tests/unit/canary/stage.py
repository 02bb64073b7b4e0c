"""Positions and ReplicaSets for tests of the canary's rules: version C on its way to replace S."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tidegate.canary.position import CanaryState
from tidegate.manifests.rollout import Canary
from tidegate.rollouts.cluster_state import Weights
from tidegate.rollouts.replica_sets import ReplicaSets, ReplicaSetState

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


def replica_set(
    hash_: str, desired: int, available: int | None = None, *, revision: int = 1, **more: Any
) -> ReplicaSetState:
    """A ReplicaSet whose pods were all created, and are available unless `available` says otherwise."""
    fields = {"current": desired, "available": desired if available is None else available, **more}
    return ReplicaSetState(name=f"shop-{hash_}", hash=hash_, revision=revision, desired=desired, **fields)


def sets(
    canary: int | tuple[int, int] | None,
    stable: int | tuple[int, int] | None,
    *others: int | tuple[int, int],
    kept: Collection[str] = (),
) -> ReplicaSets:
    """ReplicaSets by role; a pair is desired and available, a number both. `kept` are the hashes that keep theirs."""

    def of(hash_: str, count: int | tuple[int, int]) -> ReplicaSetState:
        return replica_set(hash_, *count) if isinstance(count, tuple) else replica_set(hash_, count)

    return ReplicaSets(
        None if canary is None else of("C", canary),
        None if stable is None else of("S", stable),
        tuple(of(f"O{number}", each) for number, each in enumerate(others)),
        frozenset(f"shop-{hash_}" for hash_ in kept),
    )
