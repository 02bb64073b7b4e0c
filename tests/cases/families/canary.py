"""canary_scale: the pods that a version is to have at its step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from tests.cases.family import Answer, Family, Input
from tidegate.canary.limits import rolling_limits
from tidegate.canary.position import CanaryState
from tidegate.canary.scaling import at_desired, goal, next_sizes
from tidegate.manifests.rollout import Rollout
from tidegate.rollouts.cluster_state import Weights
from tidegate.rollouts.replica_sets import ReplicaSets, ReplicaSetState

LAST_POD: Final = "where no surge is allowed a tie does not take the last pod from stable, nor all from the canary"
STUCK: Final = "pods that cannot come or go for now are not yet those of the step"
NO_TRAFFIC: Final = "an aborted canary has no pods for traffic that it does not get"
LARGER: Final = "a canary that is larger than its weight takes no pods from stable"


def replica_set(given: dict[str, Any] | None) -> ReplicaSetState | None:
    if given is None:
        return None
    wanted = given["spec"]
    counts = {"current": given.get("replicas", wanted), "available": given.get("available", wanted)}
    return ReplicaSetState(name=given["name"], hash=given["hash"], revision=0, desired=wanted, **counts)


def stage(given: Input) -> tuple[CanaryState, ReplicaSets]:
    others = [replica_set(each) for each in given.get("others") or []]
    sets = ReplicaSets(
        replica_set(given["canary"]), replica_set(given["stable"]), tuple(each for each in others if each is not None)
    )
    return canary_state(given["rollout"]), sets


def canary_state(rollout: dict[str, Any]) -> CanaryState:
    """Where a Rollout stands, as its `.status` says it."""
    manifest, status = Rollout.model_validate(rollout), rollout.get("status") or {}
    written = (status.get("canary") or {}).get("weights")
    return CanaryState(
        strategy=manifest.canary,
        replicas=manifest.spec.wanted_replicas(),
        desired_hash=status.get("currentPodHash", ""),
        stable_hash=status.get("stableRS", ""),
        index=status.get("currentStepIndex"),
        aborted=status.get("abort", False),
        promoted_in_full=status.get("promoteFull", False),
        weights=_weights(written) if written else None,
    )


def _weights(written: dict[str, Any]) -> Weights:
    canary, stable = written.get("canary") or {}, written.get("stable") or {}
    return Weights(canary.get("weight", 0), stable.get("weight", 0), canary.get("podTemplateHash", ""))


def canary_scale(given: Input) -> Answer:
    at, sets = stage(given)
    size = at.canary_size(sets)
    # With a router Argo's target is the end of the step; without one it is what may be done now.
    sizes = goal(at, sets) if at.routed else next_sizes(at, sets)
    by = {"canary_scale_weight": size.weight} if size.pods is None else {"canary_scale_replicas": size.pods}
    return by | {
        "set_weight": at.set_weight(),
        "canary_replicas": sizes.canary,
        "stable_replicas": sizes.stable,
        "at_desired": at_desired(at, sets),
    }


def quirk(given: Input) -> str:
    at, sets = stage(given)
    return next(_quirks_with_router(at, sets) if at.routed else _quirks_without(at, sets), "")


def _quirks_without(at: CanaryState, sets: ReplicaSets) -> Iterator[str]:
    parts = at.replicas * at.canary_size(sets).weight
    if rolling_limits(at.strategy, at.replicas).surge == 0 and at.replicas * 100 - parts == 50:
        yield LAST_POD
    if sets.canary is not None and next_sizes(at, sets).canary == sets.canary.desired != goal(at, sets).canary:
        yield STUCK


def _quirks_with_router(at: CanaryState, sets: ReplicaSets) -> Iterator[str]:
    if at.aborted and at.canary_size(sets) != replace(at, weights=None).canary_size(sets):
        yield NO_TRAFFIC
    scale = at.canary_scale()
    if at.dynamic and scale is not None and (scale.weight or 0) > at.set_weight():
        yield LARGER


FAMILIES = (Family("canary_scale", canary_scale, quirk=quirk),)
