"""Laws of passes: whatever turn a release takes, each single move keeps laws 1 and 2, and the moves come to an end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.unit.canary.stage import ROUTED, position
from tidegate.canary.ephemeral import role_metadata
from tidegate.canary.passes import (
    Create,
    Delete,
    Mark,
    Move,
    Rules,
    Scale,
    Schedule,
    Select,
    SetMetadata,
    Shift,
    next_move,
    roles,
    settled,
    wake_at,
)
from tidegate.canary.position import Position, Weights
from tidegate.canary.promotion import promotion_reason
from tidegate.canary.scene import Scene, Standing

laws = settings(max_examples=150, deadline=None)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOVES = 60  # more than any turn needs at once
ROUNDS = 80
SERVICES = {"stableService": "stable", "canaryService": "canary"}


class Model:
    """A cluster in which every move succeeds, and pods become available when they are told to."""

    def __init__(self, replicas: int, stable: str) -> None:
        self.now = NOW
        self.sets = {stable: Standing(f"shop-{stable}", stable, 1, replicas, replicas, replicas, promoted=True)}
        self.selectors = {"stable": stable, "canary": stable}
        self.weight = 0

    @property
    def scene(self) -> Scene:
        newest = sorted(self.sets.values(), key=lambda each: -each.revision)
        weights = Weights(self.weight, 100 - self.weight, self.selectors["canary"])
        return Scene(tuple(newest), dict(self.selectors), weights)

    def traffic(self) -> dict[str, int]:
        """Percent of the requests by the hash whose pods answer them."""
        shares = {self.selectors["stable"]: 100 - self.weight}
        canary = self.selectors["canary"]
        return {**shares, canary: shares.get(canary, 0) + self.weight}

    def apply(self, move: Move, at: Position) -> None:
        """Carry a move out."""
        if isinstance(move, Create):
            highest = max((each.revision for each in self.sets.values()), default=0)
            self.sets[at.desired_hash] = Standing(f"shop-{at.desired_hash}", at.desired_hash, highest + 1, 0, 0, 0)
        elif isinstance(move, Select):
            self.selectors[move.selector] = move.hash
        elif isinstance(move, Shift):
            self.weight = move.weight
        else:
            self._on_a_set(move)

    def _on_a_set(self, move: Mark | Scale | Schedule | Delete | SetMetadata) -> None:
        name = move.name.removeprefix("shop-")
        found = self.sets[name]
        if isinstance(move, Delete):
            del self.sets[name]
        elif isinstance(move, Mark):
            self.sets[name] = replace(found, promoted=True)
        elif isinstance(move, SetMetadata):
            self.sets[name] = replace(found, metadata=move.metadata)
        elif isinstance(move, Schedule):
            self.sets[name] = replace(found, scale_down_at=move.at)
        else:
            self.sets[name] = replace(
                found, wanted=move.replicas, created=move.replicas, available=min(found.available, move.replicas)
            )

    def pods_come(self) -> None:
        """All pods that are wanted become available."""
        for name, found in self.sets.items():
            self.sets[name] = replace(found, created=found.wanted, available=found.wanted)

    def pods_go(self, hash_: str) -> None:
        """The pods of a version break."""
        if hash_ in self.sets:
            self.sets[hash_] = replace(self.sets[hash_], available=0)


def settle(model: Model, at: Position, rules: Rules) -> None:
    """Passes until nothing is left to do, each move held against the laws."""
    for _ in range(MOVES):
        move = next_move(at, model.scene, rules, model.now)
        if move is None:
            return
        before = model.traffic()
        held = {hash_: found.available for hash_, found in model.sets.items()}
        model.apply(move, at)
        judge(move, at, model, before, held)
    raise AssertionError(f"after {MOVES} moves still {move}")


def judge(move: Move, at: Position, model: Model, before: dict[str, int], held: dict[str, int]) -> None:
    """Laws 1 and 2 for one move."""
    after = model.traffic()
    if isinstance(move, Select | Shift):
        for hash_, share in after.items():
            more = share > before.get(hash_, 0)
            back = at.aborted and hash_ == at.stable_hash
            if more and (at.dynamic or (not back and hash_ != at.stable_hash)):
                assert held.get(hash_, 0) >= -(-share * at.replicas // 100), f"{move}: {share} % to {hash_}"
    if isinstance(move, Scale | Delete):
        hash_ = move.name.removeprefix("shop-")
        pods = model.sets[hash_].wanted if hash_ in model.sets else 0
        if pods < held.get(hash_, 0):
            assert pods >= -(-after.get(hash_, 0) * at.replicas // 100), f"{move}: {after.get(hash_)} % go there"


def walk(model: Model, at: Position, rules: Rules) -> Position:
    """The steps until the version is stable, pods coming up and deadlines passing in between."""
    for _ in range(ROUNDS):
        settle(model, at, rules)
        model.pods_come()
        settle(model, at, rules)
        if at.aborted or at.fully_promoted:
            if (until := wake_at(model.scene)) is None and settled(at, model.scene, rules, model.now):
                return at
            model.now = until or model.now
        elif at.step is None and settled(at, model.scene, rules, model.now):
            at = replace(at, stable_hash=at.desired_hash)
        elif settled(at, model.scene, rules, model.now):
            at = replace(at, index=(at.index or 0) + 1)
    raise AssertionError(f"not there after {ROUNDS} rounds: {at} {model.scene}")


@st.composite
def strategies(draw: st.DrawFn) -> tuple[dict[str, Any], list[int]]:
    weights = draw(st.lists(st.integers(min_value=0, max_value=100), min_size=1, max_size=4))
    strategy: dict[str, Any] = {**ROUTED, **SERVICES, "dynamicStableScale": draw(st.booleans())}
    if draw(st.booleans()):
        strategy["minPodsPerReplicaSet"] = draw(st.integers(min_value=1, max_value=3))
    for role in ("canary", "stable"):
        if draw(st.booleans()):
            strategy[f"{role}Metadata"] = {"labels": {"role": role}}
    return strategy, weights


turns = st.lists(st.sampled_from(["steps", "abort", "retry", "newer", "back", "broken", "replicas"]), max_size=6)


@laws
@given(strategies(), st.integers(min_value=1, max_value=9), turns, st.booleans())
def test_every_turn_keeps_the_laws_and_ends_where_it_should(
    given_: tuple[dict[str, Any], list[int]], replicas: int, turns: list[str], ramp: bool
) -> None:
    strategy, weights = given_
    model, rules = Model(replicas, "S"), Rules(("stable",), ("canary",), history=2, ramp=ramp)
    at = position(strategy, *weights, replicas=replicas, sent=0)
    versions = iter("DEFGHIJ")
    for turn in turns:
        event(turn)
        if turn == "steps" and not at.aborted and at.index is not None:
            at = replace(at, index=min(at.index + 1, len(weights)))
        elif turn == "abort" and not at.fully_promoted:
            at = replace(at, aborted=True, index=0)
        elif turn == "retry":
            at = replace(at, aborted=False, index=0)
        elif turn == "newer":
            at = replace(at, desired_hash=next(versions), aborted=False, index=0)
        elif turn == "back":
            at = replace(at, desired_hash=at.stable_hash, aborted=False, index=len(weights))
        elif turn == "broken":
            model.pods_go(at.desired_hash if at.desired_hash != at.stable_hash else "")
        elif turn == "replicas":
            at = replace(at, replicas=max(1, at.replicas - 1))
        settle(model, at, rules)
    end = walk(model, at, rules)
    winner = end.stable_hash
    assert model.traffic()[winner] == 100
    assert model.weight == 0
    assert model.selectors == {"stable": winner, "canary": winner}
    assert model.sets[winner].available == end.replicas
    least = end.least_pods()
    assert all(found.wanted <= least for hash_, found in model.sets.items() if hash_ != winner)
    assert len(model.sets) <= 2 + rules.history
    for hash_, found in model.sets.items():
        assert found.metadata == role_metadata(hash_, end)


def test_a_release_reads_as_its_moves() -> None:
    model, rules = Model(4, "S"), Rules(("stable",), ("canary",), history=2)
    at = position({**ROUTED, **SERVICES}, 25, 50, replicas=4, sent=0)
    seen: list[Move] = []

    def moves() -> None:
        while (move := next_move(at, model.scene, rules, model.now)) is not None:
            model.apply(move, at)
            seen.append(move)

    moves()
    assert seen == [Create(), Scale("shop-C", 1)]
    seen.clear()
    model.pods_come()
    moves()
    assert seen == [Select("canary", "C"), Shift(25, canary_pods=1, stable_pods=3)]
    seen.clear()
    at = replace(at, index=2)
    moves()
    model.pods_come()
    moves()
    assert seen == [Scale("shop-C", 4), Shift(100, canary_pods=4, stable_pods=0)]
    assert promotion_reason(at, roles(at, model.scene, model.now)) == "Completed all 2 canary steps"
    seen.clear()
    at = replace(at, stable_hash="C")
    moves()
    deadline = NOW + timedelta(seconds=30)
    assert seen == [Select("stable", "C"), Shift(0, 0, 0), Mark("shop-C"), Schedule("shop-S", deadline)]
    assert wake_at(model.scene) == deadline
    seen.clear()
    model.now = deadline
    moves()
    assert seen == [Scale("shop-S", 0)]


@pytest.mark.parametrize("weight", [0, 1])
def test_a_dynamic_stable_has_its_pods_back_before_a_lower_weight_sends_it_more(weight: int) -> None:
    model, rules = Model(2, "S"), Rules(("stable",), ("canary",), history=2)
    at = position({**ROUTED, **SERVICES, "dynamicStableScale": True}, 50, weight, replicas=2, sent=0)
    end = walk(model, at, rules)
    assert end.stable_hash == "C"
