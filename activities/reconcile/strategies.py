"""The strategy of a Rollout in a pass: its rules on what was read, and its part of the status.

This is the one place in which a pass knows that there are several.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from activities.kubernetes.replica_sets import HASH_LABEL
from activities.reconcile.cluster_state import ClusterSnapshot
from tidegate.bluegreen import health as blue_green_health
from tidegate.bluegreen import phase as blue_green_phase
from tidegate.bluegreen import reconcile as blue_green
from tidegate.bluegreen.position import BlueGreenState
from tidegate.bluegreen.reconcile import BlueGreenRules
from tidegate.canary import experiments, managed_routes
from tidegate.canary import health as canary_health
from tidegate.canary import reconcile as canary
from tidegate.canary.position import CanaryState
from tidegate.canary.reconcile import Rules
from tidegate.contract import Document, Reconcile, ReplicaCounts
from tidegate.manifests.rollout import BlueGreen, Canary, Rollout
from tidegate.manifests.selector import LabelSelector
from tidegate.rollouts import tidying
from tidegate.rollouts.actions import Action
from tidegate.rollouts.phase import ALL_STEPS, missing_pods
from tidegate.rollouts.status import RolloutStatus


@dataclass(frozen=True)
class StrategyStatus:
    """A strategy's part of `.status`.

    Attributes:
        counts: of pods, as people and an autoscaler are to see them.
        scaled: pods that an autoscaler counts.
        selector: of the pods that an autoscaler looks at, None for those of every version.
        fields: those that only this strategy has.
        pending: what a Rollout that is under way waits for, in Argo's words; empty where it waits for nothing.
    """

    counts: ReplicaCounts
    scaled: int
    selector: str | None
    fields: Document
    pending: str


class StrategyPass(Protocol):
    """The rules of one strategy for one release, on one look at the cluster."""

    def next_action(self) -> Action | None:
        """The next thing to do; None when there is nothing to do but wait, or nothing at all."""

    def converged(self) -> bool:
        """True when the cluster is as the release asks for."""

    def wanted_routes(self) -> Mapping[str, int] | None:
        """Managed routes that are to stand, by their steps; None: as they are."""

    def requeue_at(self) -> datetime | None:
        """When the next deadline passes, None where there is none."""

    def status(self) -> StrategyStatus:
        """Its part of `.status`."""

    def healthy(self, rollout: Rollout, status: RolloutStatus) -> bool:
        """True when everything of the object's spec has arrived, by the status that is about to be written."""


def pass_of(request: Reconcile, snapshot: ClusterSnapshot) -> StrategyPass:
    """The rules of the strategy that the release's manifest has."""
    strategy, rules = request.manifest.strategy, request.manifest.rules
    if isinstance(strategy, BlueGreen) and isinstance(rules, BlueGreenRules):
        return BlueGreenPass(request, snapshot, strategy, rules)
    if isinstance(strategy, Canary) and isinstance(rules, Rules):
        return CanaryPass(request, snapshot, strategy, rules)
    raise TypeError(f"rules of another strategy: {type(strategy).__name__}, {type(rules).__name__}")


class CanaryPass:
    """The canary: weights and pods by its steps."""

    def __init__(self, request: Reconcile, snapshot: ClusterSnapshot, strategy: Canary, rules: Rules) -> None:
        self._request = request
        self._snapshot = snapshot
        self._strategy = strategy
        self._rules = rules
        self._at = _canary_state(request, snapshot, strategy)

    def next_action(self) -> Action | None:
        """As `StrategyPass`."""
        return canary.next_action(self._at, self._snapshot.cluster_state, self._rules, self._request.at)

    def converged(self) -> bool:
        """As `StrategyPass`."""
        return canary.converged(self._at, self._snapshot.cluster_state, self._rules, self._request.at)

    def wanted_routes(self) -> Mapping[str, int] | None:
        """As `StrategyPass`."""
        return managed_routes.wanted_routes(
            self._at, self._snapshot.cluster_state, self._rules.canary, self._request.at
        )

    def requeue_at(self) -> datetime | None:
        """As `StrategyPass`."""
        return tidying.requeue_at(self._snapshot.cluster_state)

    def status(self) -> StrategyStatus:
        """As `StrategyPass`; the counts are those of all versions."""
        desired, snapshot = self._request.desired, self._snapshot
        counts = ReplicaCounts.of(snapshot.sets, desired.hash, snapshot.replicas)
        old = 0 if self._request.manifest.routing else counts.current - counts.updated
        missing = next(missing_pods(counts.updated, counts.available, counts.desired, old=old), "")
        return StrategyStatus(
            counts=counts,
            scaled=counts.current,
            selector=None,
            fields={"canary": {"weights": self._weights()}, "blueGreen": None},
            pending=missing or ("" if desired.hash == desired.stable_hash else ALL_STEPS),
        )

    def healthy(self, rollout: Rollout, status: RolloutStatus) -> bool:
        """As `StrategyPass`."""
        return canary_health.healthy(rollout, self._strategy, status)

    def _weights(self) -> Document | None:
        """As the router has them; None where nothing splits the traffic.

        `verified` is there for a router that can say it, as in Argo.
        """
        desired, traffic, routing = self._request.desired, self._snapshot.traffic, self._request.manifest.routing
        if traffic is None:
            return None
        beside = max((sum(row.others.values()) for row in traffic.routes), default=0)
        stable = traffic.maximum - traffic.canary - beside
        return {
            "canary": {"weight": traffic.canary, "podTemplateHash": desired.hash},
            "stable": {"weight": stable, "podTemplateHash": desired.stable_hash or desired.hash},
            **({"verified": traffic.verified} if routing is not None and routing.gateway_api is not None else {}),
        }


class BlueGreenPass:
    """Blue-green: the new version beside the stable one, and all of the traffic at once."""

    def __init__(
        self, request: Reconcile, snapshot: ClusterSnapshot, strategy: BlueGreen, rules: BlueGreenRules
    ) -> None:
        desired = request.desired
        self._request = request
        self._snapshot = snapshot
        self._strategy = strategy
        self._rules = rules
        self._at = BlueGreenState(
            strategy=strategy,
            replicas=snapshot.replicas,
            desired_hash=desired.hash,
            stable_hash=desired.stable_hash,
            promoting=desired.promoting,
            aborted=desired.aborted,
            held=desired.held,
            undecided=desired.undecided,
            revision=request.revision,
        )

    def next_action(self) -> Action | None:
        """As `StrategyPass`."""
        return blue_green.next_action(self._at, self._snapshot.cluster_state, self._rules, self._request.at)

    def converged(self) -> bool:
        """As `StrategyPass`."""
        return blue_green.converged(self._at, self._snapshot.cluster_state, self._rules, self._request.at)

    def wanted_routes(self) -> Mapping[str, int] | None:
        """As `StrategyPass`: there are none."""
        return None

    def requeue_at(self) -> datetime | None:
        """As `StrategyPass`."""
        return blue_green.requeue_at(self._at, self._snapshot.cluster_state)

    def status(self) -> StrategyStatus:
        """As `StrategyPass`; pods are counted that get the traffic, those of all versions before one gets it."""
        snapshot, desired = self._snapshot, self._request.desired
        counts = ReplicaCounts.of(snapshot.sets, desired.hash, snapshot.replicas)
        scaled, selector, active = counts.current, None, snapshot.cluster_state.of(self._active)
        if active is not None:
            counts = counts.model_copy(update={"ready": active.ready, "available": active.available})
            scaled, selector = active.current, _with_hash(self._request.manifest.spec.selector, active.hash)
        return StrategyStatus(
            counts, scaled, selector, {"blueGreen": self._selectors(), "canary": None}, self._pending(counts)
        )

    def healthy(self, rollout: Rollout, status: RolloutStatus) -> bool:
        """As `StrategyPass`."""
        return blue_green_health.healthy(rollout, self._strategy, status)

    @property
    def _active(self) -> str:
        return self._snapshot.cluster_state.selectors.get(self._rules.active, "")

    def _selectors(self) -> Document:
        """Hashes that the Services select, as they were read back; None removes a field."""
        grows = self._at.promoting and not self._at.fully_promoted and not self._at.aborted
        return {
            "activeSelector": self._active or None,
            "previewSelector": self._snapshot.cluster_state.selectors.get(self._rules.preview) or None,
            "scaleUpPreviewCheckPoint": (grows and self._strategy.preview_replica_count is not None) or None,
        }

    def _pending(self, counts: ReplicaCounts) -> str:
        desired = self._request.desired
        found = blue_green_phase.pending(
            updated=counts.updated,
            available=counts.available,
            wanted=counts.desired,
            is_active=self._active == desired.hash,
            is_stable=desired.hash == (desired.stable_hash or desired.hash),
            has_post_analysis=self._strategy.post_promotion_analysis is not None,
        )
        return next(found, "")


def _canary_state(request: Reconcile, snapshot: ClusterSnapshot, strategy: Canary) -> CanaryState:
    desired = request.desired
    position = CanaryState(
        strategy=strategy,
        replicas=snapshot.replicas,
        desired_hash=desired.hash,
        stable_hash=desired.stable_hash,
        index=desired.index,
        aborted=desired.aborted,
        promoted_in_full=desired.full,
        revision=request.revision,
    )
    shares = experiments.shares_to_route(request.wanted_sets, snapshot.experiment, snapshot.cluster_state.experiments)
    return replace(position, weights=snapshot.cluster_state.weights, experiments=shares)


def _with_hash(selector: LabelSelector | None, hash_: str) -> str:
    """The selector of a ReplicaSet of that hash (argo-rollouts: an autoscaler looks at the active pods alone)."""
    known = selector or LabelSelector()
    return known.model_copy(update={"match_labels": {**known.match_labels, HASH_LABEL: hash_}}).text()
