"""canary_scale and rollout_phase: the pods of a position, and the one word for a Rollout."""

from __future__ import annotations

from typing import Any

from tests.cases.family import Answer, Family, Input
from tidegate.canary.phase import rollout_phase
from tidegate.canary.position import Position
from tidegate.canary.replica_sets import ReplicaSet, ReplicaSets
from tidegate.canary.scaling import at_desired, goal, next_sizes
from tidegate.manifests.rollout import Rollout


def replica_set(given: dict[str, Any] | None) -> ReplicaSet | None:
    if given is None:
        return None
    wanted = given["spec"]
    return ReplicaSet(
        given["name"], given["hash"], wanted, given.get("replicas", wanted), given.get("available", wanted)
    )


def canary_scale(given: Input) -> Answer:
    at = Position.of(Rollout.model_validate(given["rollout"]))
    others = [replica_set(each) for each in given["others"] or []]
    sets = ReplicaSets(
        replica_set(given["canary"]), replica_set(given["stable"]), tuple(each for each in others if each is not None)
    )
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


def phase(given: Input) -> Answer:
    word, message = rollout_phase(Rollout.model_validate(given["rollout"]))
    return {"phase": word, "message": message}


FAMILIES = (Family("canary_scale", canary_scale), Family("rollout_phase", phase))
