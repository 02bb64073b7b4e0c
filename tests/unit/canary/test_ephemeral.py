"""What pods wear follows the role of their version, and comes before the pods do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.unit.canary.stage import ROUTED, position, replica_set
from tidegate.canary.position import CanaryState
from tidegate.canary.reconcile import Rules, converged, next_action
from tidegate.manifests.steps import PodTemplateMetadata
from tidegate.rollouts.actions import Action, ScaleReplicaSet, SetMetadata, SetWeight
from tidegate.rollouts.cluster_state import ClusterState, Weights
from tidegate.rollouts.ephemeral import NOTHING
from tidegate.rollouts.replica_sets import ReplicaSetState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = Rules(("stable",), ("canary",), history=2)
ROLES = {"canaryMetadata": {"labels": {"role": "canary"}}, "stableMetadata": {"annotations": {"role": "stable"}}}
CANARY = PodTemplateMetadata(labels={"role": "canary"})
STABLE = PodTemplateMetadata(annotations={"role": "stable"})


def at(**turns: bool) -> CanaryState:
    return position({**ROUTED, **ROLES}, 25, 50, replicas=4, sent=0, **turns)


def cluster_state(canary: ReplicaSetState, stable: ReplicaSetState, weight: int = 0) -> ClusterState:
    chosen = "C" if weight else "S"
    return ClusterState((canary, stable), {"stable": "S", "canary": chosen}, Weights(weight, 100 - weight, chosen))


def standing(hash_: str, pods: int, metadata: PodTemplateMetadata | None) -> ReplicaSetState:
    return replica_set(hash_, pods, promoted_at=NOW if hash_ == "S" else None, ephemeral=metadata)


def moved(where: CanaryState, seen: ClusterState) -> Action | None:
    return next_action(where, seen, RULES, NOW)


@pytest.mark.parametrize(
    ("hash_", "where", "worn"),
    [
        ("C", at(), CANARY),
        ("S", at(), STABLE),
        ("O", at(), NOTHING),
        ("C", replace(at(), stable_hash="C"), STABLE),
        ("S", replace(at(), stable_hash="C"), NOTHING),
        ("C", replace(at(), stable_hash=""), STABLE),
        ("C", at(aborted=True), CANARY),
        ("C", position(ROUTED, 25), NOTHING),
        ("S", position(ROUTED, 25), NOTHING),
    ],
)
def test_it_follows_the_role(hash_: str, where: CanaryState, worn: PodTemplateMetadata) -> None:
    assert where.metadata.of(hash_, where.desired_hash, where.stable_hash) == worn


def test_pods_come_with_it() -> None:
    stable = standing("S", 4, STABLE)
    assert moved(at(), cluster_state(standing("C", 0, NOTHING), stable)) == SetMetadata("shop-C", CANARY)
    assert moved(at(), cluster_state(standing("C", 0, CANARY), stable)) == ScaleReplicaSet("shop-C", 1)


def test_what_was_not_finished_is_done_again() -> None:
    stands = cluster_state(standing("C", 1, None), standing("S", 4, STABLE), weight=25)
    assert moved(at(), stands) == SetMetadata("shop-C", CANARY)
    assert not converged(at(), stands, RULES, NOW)


def test_an_abort_does_not_wait_for_it() -> None:
    stands = cluster_state(standing("C", 1, None), standing("S", 4, NOTHING), weight=25)
    assert isinstance(moved(at(aborted=True), stands), SetWeight)
