"""Laws of passes: whatever turn a release takes, each single move keeps laws 1 and 2, and the moves come to an end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.unit.canary.stage import ROUTED, position, replica_set
from tidegate.canary.limits import rolling_limits
from tidegate.canary.managed_routes import wanted_routes
from tidegate.canary.position import CanaryState
from tidegate.canary.reconcile import Rules, converged, next_action
from tidegate.rollouts.actions import (
    Action,
    CreateReplicaSet,
    DeleteReplicaSet,
    MarkPromoted,
    ScaleReplicaSet,
    SetMetadata,
    SetScaleDownDeadline,
    SetSelector,
    SetWeight,
)
from tidegate.rollouts.cluster_state import ClusterState, Weights
from tidegate.rollouts.replica_sets import ReplicaSetState
from tidegate.rollouts.tidying import requeue_at

laws = settings(max_examples=150, deadline=None)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOVES = 60  # more than any turn needs at once
ROUNDS = 80
SERVICES = {"stableService": "stable", "canaryService": "canary"}
ROUTE = {"setHeaderRoute": {"name": "hdr", "match": [{"headerName": "agent", "headerValue": {"exact": "f"}}]}}
NO_ROUTE = {"setHeaderRoute": {"name": "hdr"}}
MIRROR = {"setMirrorRoute": {"name": "mir", "match": [{"path": {"prefix": "/"}}]}}


LIMITS: list[dict[str, Any]] = [{}, {"maxSurge": 0, "maxUnavailable": 1}, {"maxSurge": 1, "maxUnavailable": 0}]
THRESHOLDS = st.sampled_from([None, {"type": "Percent", "value": 60}, {"type": "Pods", "value": 2}])


class Model:
    """A cluster in which every move succeeds, and pods become available when they are told to."""

    def __init__(self, replicas: int, stable: str, *, routed: bool = True, slow: bool = False) -> None:
        """`slow` is a cluster whose controller counts pods only when it is told to (`count`)."""
        self.now = NOW
        self.routed = routed
        self.sets = {stable: replica_set(stable, replicas, promoted_at=NOW)}
        self.marks = 0  # promotions so far, each later than the one before
        self.selectors = {"stable": stable, "canary": stable}
        self.weight = 0
        self.routes: dict[str, int] = {}
        self.slow = slow
        self.uncounted: set[str] = set()

    def count(self) -> bool:
        """The controller sees what was written; whether there was anything."""
        waited, self.uncounted = bool(self.uncounted), set()
        return waited

    @property
    def scene(self) -> ClusterState:
        hidden = {name: {"available": 0, "counted": False} for name in self.uncounted}
        seen = [found.model_copy(update=hidden.get(name)) for name, found in self.sets.items()]
        newest = sorted(seen, key=lambda each: -each.revision)
        weights = Weights(self.weight, 100 - self.weight, self.selectors["canary"]) if self.routed else None
        return ClusterState(tuple(newest), dict(self.selectors), weights)

    def traffic(self) -> dict[str, int]:
        """Percent of the requests by the hash whose pods answer them."""
        shares = {self.selectors["stable"]: 100 - self.weight}
        canary = self.selectors["canary"]
        return {**shares, canary: shares.get(canary, 0) + self.weight}

    def route(self, at: CanaryState, rules: Rules) -> bool:
        """Bring the header and mirror routes in place, as a pass does before each move; whether one had to change."""
        scene = self.scene
        wanted = wanted_routes(replace(at, weights=scene.weights), scene, rules.canary, self.now)
        changed = wanted is not None and dict(wanted) != self.routes
        self.routes = self.routes if wanted is None else dict(wanted)
        return changed

    def apply(self, move: Action, at: CanaryState) -> None:
        """Carry a move out."""
        if isinstance(move, CreateReplicaSet):
            highest = max((each.revision for each in self.sets.values()), default=0)
            self.sets[at.desired_hash] = replica_set(at.desired_hash, 0, revision=highest + 1)
        elif isinstance(move, SetSelector):
            self.selectors[move.selector] = move.hash
        elif isinstance(move, SetWeight):
            self.weight = move.weight
        else:
            self._on_a_set(move)

    def _on_a_set(
        self, move: MarkPromoted | ScaleReplicaSet | SetScaleDownDeadline | DeleteReplicaSet | SetMetadata
    ) -> None:
        name = move.name.removeprefix("shop-")
        found = self.sets[name]
        if isinstance(move, DeleteReplicaSet):
            del self.sets[name]
            self.uncounted.discard(name)
        elif isinstance(move, MarkPromoted):
            self.marks += 1
            self._set(found, promoted_at=NOW + timedelta(microseconds=self.marks))
        elif isinstance(move, SetMetadata):
            self._set(found, ephemeral=move.metadata)
        elif isinstance(move, SetScaleDownDeadline):
            self._set(found, scale_down_at=move.at)
        else:
            if self.slow and found.available:
                self.uncounted.add(name)
            available = min(found.available, move.replicas)
            self._set(found, desired=move.replicas, current=move.replicas, available=available)

    def _set(self, found: ReplicaSetState, **fields: Any) -> None:
        self.sets[found.hash] = found.model_copy(update=fields)

    def pods_come(self, *, but: int = 0) -> None:
        """All pods that are wanted become available, `but` so many of each version."""
        for found in self.sets.values():
            self._set(found, current=found.desired, available=max(0, found.desired - but))

    def pods_go(self, hash_: str) -> None:
        """The pods of a version break."""
        if hash_ in self.sets:
            self._set(self.sets[hash_], available=0)


def settle(model: Model, at: CanaryState, rules: Rules) -> None:
    """Passes until nothing is left to do, each move held against the laws."""
    for _ in range(MOVES):
        if model.route(at, rules):
            selected_hash = model.sets.get(model.selectors["canary"])
            assert not model.routes or (selected_hash is not None and selected_hash.available), "routes to nobody"
            continue
        move = next_action(at, model.scene, rules, model.now)
        if move is None:
            if model.count():
                continue
            return
        before, weight = model.traffic(), model.weight
        held = {hash_: found.available for hash_, found in model.sets.items()}
        wanted = sum(found.desired for found in model.sets.values())
        model.apply(move, at)
        if model.routed:
            judge(move, at, model, before, held)
            judge_patience(move, at, model, weight)
        else:
            judge_pods(move, at, model, wanted, sum(held.values()))
    raise AssertionError(f"after {MOVES} moves still {move}")


def judge(move: Action, at: CanaryState, model: Model, before: dict[str, int], held: dict[str, int]) -> None:
    """Laws 1 and 2 for one move."""
    after = model.traffic()
    if isinstance(move, SetSelector | SetWeight):
        for hash_, share in after.items():
            more = share > before.get(hash_, 0)
            back = at.aborted and hash_ == at.stable_hash
            if more and (at.dynamic or (not back and hash_ != at.stable_hash)):
                assert at.enough(held.get(hash_, 0), -(-share * at.replicas // 100)), f"{move}: {share} % to {hash_}"
    if isinstance(move, ScaleReplicaSet | DeleteReplicaSet):
        hash_ = move.name.removeprefix("shop-")
        pods = model.sets[hash_].desired if hash_ in model.sets else 0
        if pods < held.get(hash_, 0):
            assert pods >= -(-after.get(hash_, 0) * at.replicas // 100), f"{move}: {after.get(hash_)} % go there"
    if model.routes:
        selected_hash = model.sets.get(model.selectors["canary"])
        assert selected_hash is not None, f"{move}: {model.routes} lead to nobody"
        assert selected_hash.desired, f"{move}: {model.routes} lead there"


def judge_patience(move: Action, at: CanaryState, model: Model, before: int) -> None:
    """No weight goes down that the steps did not take down, as long as there are pods for it."""
    canary = model.sets.get(at.desired_hash)
    led_there = canary is not None and model.selectors["canary"] == at.desired_hash
    if isinstance(move, SetWeight) and led_there and at.takes_steps and not at.aborted and canary and canary.available:
        assert move.weight >= min(before, at.set_weight(), at.previous_weight()), f"{move}: from {before} for nothing"


def judge_pods(move: Action, at: CanaryState, model: Model, wanted: int, available: int) -> None:
    """What holds without a router: pods are the traffic, so that no move takes more of them than may be missing."""
    limits = rolling_limits(at.strategy, at.replicas)
    after = model.sets.values()
    assert not isinstance(move, SetWeight)
    if isinstance(move, SetSelector):
        assert model.sets[move.hash].available, f"{move}: nobody there"
    assert sum(found.desired for found in after) <= max(wanted, at.replicas + limits.surge), f"{move}: too many"
    assert sum(found.available for found in after) >= min(available, at.replicas - limits.unavailable), f"{move}: few"


def walk(model: Model, at: CanaryState, rules: Rules) -> CanaryState:
    """The steps until the version is stable, pods coming up and deadlines passing in between."""
    for _ in range(ROUNDS):
        settle(model, at, rules)
        model.pods_come()
        settle(model, at, rules)
        if at.aborted or at.fully_promoted:
            if (until := requeue_at(model.scene)) is None and converged(at, model.scene, rules, model.now):
                return at
            model.now = until or model.now
        elif at.step is None and converged(at, model.scene, rules, model.now):
            at = replace(at, stable_hash=at.desired_hash)
        elif converged(at, model.scene, rules, model.now):
            at = replace(at, index=(at.index or 0) + 1)
    raise AssertionError(f"not there after {ROUNDS} rounds: {at} {model.scene}")


@st.composite
def strategies(draw: st.DrawFn) -> tuple[dict[str, Any], list[Any]]:
    steps = st.one_of(st.integers(min_value=0, max_value=100), st.sampled_from([ROUTE, NO_ROUTE, MIRROR]))
    weights = draw(st.lists(steps, min_size=1, max_size=5))
    strategy: dict[str, Any] = {**ROUTED, **SERVICES, "dynamicStableScale": draw(st.booleans())}
    if draw(st.booleans()):
        strategy["minPodsPerReplicaSet"] = draw(st.integers(min_value=1, max_value=3))
    if (threshold := draw(THRESHOLDS)) is not None:
        strategy["replicaProgressThreshold"] = threshold
    for role in ("canary", "stable"):
        if draw(st.booleans()):
            strategy[f"{role}Metadata"] = {"labels": {"role": role}}
    return strategy, weights


turns = st.lists(
    st.sampled_from(["steps", "abort", "retry", "newer", "back", "broken", "short", "replicas"]), max_size=6
)


def through(turns: list[str], model: Model, at: CanaryState, rules: Rules) -> CanaryState:
    """Where a release stands after turns that came whenever they liked, each move held against the laws."""
    versions, steps = iter("DEFGHIJ"), len(at.strategy.steps)
    for turn in turns:
        event(turn)
        if turn == "steps" and not at.aborted and at.index is not None:
            at = replace(at, index=min(at.index + 1, steps))
        elif turn == "abort" and not at.fully_promoted:
            at = replace(at, aborted=True, index=0)
        elif turn == "retry":
            at = replace(at, aborted=False, index=0)
        elif turn == "newer":
            at = replace(at, desired_hash=next(versions), aborted=False, index=0)
        elif turn == "back":
            at = replace(at, desired_hash=at.stable_hash, aborted=False, index=steps)
        elif turn == "broken":
            model.pods_go(at.desired_hash if at.desired_hash != at.stable_hash else "")
        elif turn == "short":
            model.pods_come(but=1)
        elif turn == "replicas":
            at = replace(at, replicas=max(1, at.replicas - 1))
        settle(model, at, rules)
    return at


@laws
@given(strategies(), st.integers(min_value=1, max_value=9), turns, st.booleans(), st.booleans())
def test_every_turn_keeps_the_laws_and_ends_where_it_should(
    given_: tuple[dict[str, Any], list[Any]], replicas: int, turns: list[str], ramp: bool, slow: bool
) -> None:
    strategy, weights = given_
    model, rules = Model(replicas, "S", slow=slow), Rules(("stable",), ("canary",), history=2, ramp=ramp)
    at = through(turns, model, position(strategy, *weights, replicas=replicas, sent=0), rules)
    end = walk(model, at, rules)
    winner = end.stable_hash
    assert model.traffic()[winner] == 100
    assert model.weight == 0
    assert not model.routes
    assert model.selectors == {"stable": winner, "canary": winner}
    assert model.sets[winner].available == end.replicas
    least = end.least_pods()
    assert all(found.desired <= least for hash_, found in model.sets.items() if hash_ != winner)
    assert len(model.sets) <= 2 + rules.history
    for hash_, found in model.sets.items():
        assert found.ephemeral == end.metadata.of(hash_, end.desired_hash, end.stable_hash)


@laws
@given(
    st.lists(st.integers(min_value=0, max_value=100), min_size=1, max_size=4),
    st.integers(min_value=1, max_value=9),
    turns,
    st.sampled_from(LIMITS),
    THRESHOLDS,
)
def test_without_a_router_every_turn_ends_where_it_should(
    weights: list[int], replicas: int, turns: list[str], limits: dict[str, Any], threshold: dict[str, Any] | None
) -> None:
    strategy = {**SERVICES, **limits, **({} if threshold is None else {"replicaProgressThreshold": threshold})}
    model, rules = Model(replicas, "S", routed=False), Rules(("stable",), ("canary",), history=2)
    at = through(turns, model, position(strategy, *weights, replicas=replicas), rules)
    end = walk(model, at, rules)
    winner = end.stable_hash
    assert model.selectors == {"stable": winner, "canary": winner}
    assert {hash_: found.desired for hash_, found in model.sets.items() if found.desired} == {winner: end.replicas}


def test_a_replica_set_that_stands_takes_the_number_of_its_release() -> None:
    model, rules = Model(4, "S"), Rules(("stable",), ("canary",), history=2)
    back = replace(position({**ROUTED, **SERVICES}, 25, index=1, replicas=4, sent=0), desired_hash="S")
    assert next_action(replace(back, revision=3), model.scene, rules, NOW) == CreateReplicaSet()
    assert next_action(replace(back, revision=3, aborted=True), model.scene, rules, NOW) != CreateReplicaSet(), "law 3"
    assert next_action(replace(back, revision=1), model.scene, rules, NOW) is None


def test_a_release_reads_as_its_moves() -> None:
    model, rules = Model(4, "S"), Rules(("stable",), ("canary",), history=2)
    at = position({**ROUTED, **SERVICES}, 25, 50, replicas=4, sent=0)
    seen: list[Action] = []

    def moves() -> None:
        while (move := next_action(at, model.scene, rules, model.now)) is not None:
            model.apply(move, at)
            seen.append(move)

    moves()
    assert seen == [CreateReplicaSet(), ScaleReplicaSet("shop-C", 1)]
    seen.clear()
    model.pods_come()
    moves()
    assert seen == [SetSelector("canary", "C"), SetWeight(25, canary_pods=1, stable_pods=3)]
    seen.clear()
    at = replace(at, index=2)
    moves()
    model.pods_come()
    moves()
    assert seen == [ScaleReplicaSet("shop-C", 4), SetWeight(100, canary_pods=4, stable_pods=0)]
    seen.clear()
    at = replace(at, stable_hash="C")
    moves()
    deadline = NOW + timedelta(seconds=30)
    assert seen == [
        SetSelector("stable", "C"),
        SetWeight(0, 0, 0),
        MarkPromoted("shop-C"),
        SetScaleDownDeadline("shop-S", deadline),
    ]
    assert requeue_at(model.scene) == deadline
    seen.clear()
    model.now = deadline
    moves()
    assert seen == [ScaleReplicaSet("shop-S", 0)]


def test_a_dynamic_stable_that_was_never_marked_has_its_pods_back_before_it_gets_everything_again() -> None:
    model, rules = Model(5, "S"), Rules(("stable",), ("canary",), history=2)
    model.sets["S"] = replica_set("S", 4)
    model.sets["C"] = replica_set("C", 1, revision=2)
    model.selectors["canary"], model.weight = "C", 20
    at = position({**ROUTED, **SERVICES, "dynamicStableScale": True}, 20, 60, index=2, replicas=5, sent=20)
    settle(model, replace(at, desired_hash="S"), rules)
    assert model.traffic() == {"S": 80, "C": 20}
    model.pods_come()
    settle(model, replace(at, desired_hash="S"), rules)
    assert model.traffic()["S"] == 100


@pytest.mark.parametrize("weight", [0, 1])
def test_a_dynamic_stable_has_its_pods_back_before_a_lower_weight_sends_it_more(weight: int) -> None:
    model, rules = Model(2, "S"), Rules(("stable",), ("canary",), history=2)
    at = position({**ROUTED, **SERVICES, "dynamicStableScale": True}, 50, weight, replicas=2, sent=0)
    end = walk(model, at, rules)
    assert end.stable_hash == "C"
