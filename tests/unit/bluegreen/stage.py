"""Positions and clusters for tests of the blue-green rules: version N on its way to replace S."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.canary.stage import replica_set
from tidegate.bluegreen.position import BlueGreenState
from tidegate.bluegreen.reconcile import BlueGreenRules, next_action
from tidegate.manifests.rollout import BlueGreen
from tidegate.rollouts.actions import Action
from tidegate.rollouts.cluster_state import ClusterState
from tidegate.rollouts.replica_sets import ReplicaSetState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = BlueGreenRules("active", "preview", history=2)


def at(*, stable_hash: str = "S", replicas: int = 4, strategy: dict[str, Any] | None = None, **turns: bool) -> Any:
    """A position of version N; `strategy` are fields beside the Services."""
    given = {"activeService": "active", "previewService": "preview", **(strategy or {})}
    return BlueGreenState(BlueGreen.model_validate(given), replicas, "N", stable_hash, revision=0, **turns)


def new(desired: int, available: int | None = None, **more: Any) -> ReplicaSetState:
    """The ReplicaSet of the version that is brought out."""
    return replica_set("N", desired, available, revision=2, created_at=NOW, **more)


def stable(desired: int = 4, available: int | None = None, **more: Any) -> ReplicaSetState:
    """The ReplicaSet of the stable version."""
    promoted = {"promoted_at": NOW - timedelta(hours=1), "created_at": NOW - timedelta(hours=1)}
    return replica_set("S", desired, available, **(promoted | more))


def cluster(*sets: ReplicaSetState, active: str | None = "S", preview: str = "N") -> ClusterState:
    """A cluster whose Services select these hashes; None: there is no such Service."""
    selectors = {"preview": preview} | ({} if active is None else {"active": active})
    return ClusterState(sets, selectors)


def acted(where: BlueGreenState, seen: ClusterState, now: datetime = NOW) -> Action | None:
    """The next action."""
    return next_action(where, seen, RULES, now)
