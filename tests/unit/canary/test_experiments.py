"""What an experiment asks for of a cluster, move by move: pods before weight, and weight away before the pods."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tidegate.canary.experiments import (
    KEPT_AFTERWARDS,
    UNEVEN,
    is_complete,
    next_step,
    requeue_at,
    shares_to_route,
    wanted_sets,
)
from tidegate.manifests.steps import ExperimentStep
from tidegate.rollouts.experiment_sets import (
    ExperimentMove,
    ExperimentSet,
    Expose,
    KeepUntil,
    Raise,
    Remove,
    Resize,
    WantedSet,
    Withdraw,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WEIGHED = WantedSet("exp-a", "a", "canary", replicas=2, service="exp-a", weight=5)
STANDS = ExperimentSet("exp-a", "a", "aaa", desired=2, current=2, available=2, service="exp-a")


class Model:
    """A cluster in which every move succeeds; the routes get what the rules ask for, as a pass gives it to them."""

    def __init__(self) -> None:
        self.now = NOW
        self.sets: dict[str, ExperimentSet] = {}
        self.routes: dict[str, int] = {}

    def settle(self, wanted: tuple[WantedSet, ...]) -> list[ExperimentMove]:
        """Moves until none is left."""
        made: list[ExperimentMove] = []
        for _ in range(50):
            standing = tuple(self.sets.values())
            self.routes = shares_to_route(wanted, standing, self.routes)
            for service in self.routes:
                assert any(each.service == service and each.available for each in standing), "law 1"
            move = next_step(wanted, standing, self.routes, self.now)
            if move is None:
                return made
            self.apply(move)
            made.append(move)
        raise AssertionError(f"it never comes to rest: {made[-3:]}")

    def apply(self, move: ExperimentMove) -> None:
        if isinstance(move, Raise):
            name = move.wanted.name
            self.sets[name] = ExperimentSet(name, move.wanted.template, f"hash of {name}", 0, 0, 0)
        elif isinstance(move, Resize):
            self.sets[move.name] = replace(self.sets[move.name], desired=move.replicas, current=move.replicas)
        elif isinstance(move, Expose):
            self.sets[move.wanted.name] = replace(self.sets[move.wanted.name], service=move.wanted.service)
        elif isinstance(move, KeepUntil):
            self.sets[move.name] = replace(self.sets[move.name], scale_down_at=move.at)
        elif isinstance(move, Withdraw):
            assert move.name not in self.routes, "law 2"
            of = next(each for each in self.sets.values() if each.service == move.name)
            self.sets[of.name] = replace(of, service="")
        else:
            assert isinstance(move, Remove)
            assert self.sets.pop(move.name).service not in self.routes, "law 2"

    def pods(self, available: int | None = None) -> None:
        """Pods come, or break."""
        for name, each in self.sets.items():
            count = each.desired if available is None else min(available, each.desired)
            self.sets[name] = replace(each, available=count)


def test_what_a_step_asks_for() -> None:
    step = ExperimentStep.model_validate(
        {
            "templates": [
                {"name": "a", "specRef": "stable"},
                {"name": "b", "specRef": "canary", "replicas": 3, "weight": 5},
                {"name": "c", "specRef": "canary", "service": {"name": "own"}},
            ]
        }
    )
    assert wanted_sets(step, "exp") == (
        WantedSet("exp-a", "a", "stable", 1),
        WantedSet("exp-b", "b", "canary", 3, service="exp-b", weight=5),
        WantedSet("exp-c", "c", "canary", 1, service="own"),
    )


def test_it_is_raised_and_goes_move_by_move() -> None:
    model = Model()
    assert model.settle((WEIGHED,)) == [Raise(WEIGHED), Resize("exp-a", 2), Expose(WEIGHED)]
    assert model.routes == {}
    model.pods()
    assert model.settle((WEIGHED,)) == []
    assert model.routes == {"exp-a": 5}
    assert model.settle(()) == [KeepUntil("exp-a", NOW + KEPT_AFTERWARDS)]
    assert requeue_at(model.sets.values()) == NOW + KEPT_AFTERWARDS
    model.now += KEPT_AFTERWARDS
    assert model.settle(()) == [Withdraw("exp-a"), Remove("exp-a")]


def test_without_a_service_there_is_nothing_to_wait_for() -> None:
    plain, model = WantedSet("exp-a", "a", "stable", replicas=1), Model()
    model.settle((plain,))
    assert model.settle(()) == [Remove("exp-a")]


def test_what_is_wanted_again_stays() -> None:
    model = Model()
    model.settle((WEIGHED,))
    model.settle(())
    assert model.settle((WEIGHED,)) == [KeepUntil("exp-a", None)]


def test_pods_stay_while_a_route_leads_to_them() -> None:
    assert next_step((), (STANDS,), {"exp-a": 5}, NOW) is None
    assert next_step((), (STANDS,), {"exp-a": UNEVEN}, NOW) is None
    due = replace(STANDS, scale_down_at=NOW - timedelta(days=1))
    assert next_step((), (due,), {"exp-a": 5}, NOW) is None


def test_a_share_begins_with_all_pods_and_lasts_as_long_as_any() -> None:
    one = replace(STANDS, available=1)
    assert shares_to_route((WEIGHED,), (one,), {}) == {}
    assert shares_to_route((WEIGHED,), (one,), {"exp-a": 5}) == {"exp-a": 5}
    assert shares_to_route((WEIGHED,), (replace(STANDS, available=0),), {"exp-a": 5}) == {}
    assert shares_to_route((WEIGHED,), (replace(STANDS, service=""),), {}) == {}


def test_a_template_stands_with_pods_service_and_share() -> None:
    assert is_complete(WEIGHED, STANDS, {"exp-a": 5})
    for lacking in (
        None,
        replace(STANDS, available=1),
        replace(STANDS, service=""),
        replace(STANDS, scale_down_at=NOW),
    ):
        assert not is_complete(WEIGHED, lacking, {"exp-a": 5})
    for share in (0, 4, UNEVEN):
        assert not is_complete(WEIGHED, STANDS, {"exp-a": share})


templates = st.builds(
    lambda name, replicas, weight: WantedSet(
        f"exp-{name}", name, "canary", replicas, service=f"exp-{name}" if weight else "", weight=weight
    ),
    st.sampled_from("abc"),
    st.integers(min_value=1, max_value=3),
    st.sampled_from([0, 5]),
)
turns = st.one_of(
    st.lists(templates, max_size=3, unique_by=lambda each: each.name).map(tuple),
    st.sampled_from(["pods", "break", "time"]),
)


@given(st.lists(turns, max_size=12))
def test_whatever_happens_the_laws_hold_and_nothing_is_left(turns: list[tuple[WantedSet, ...] | str]) -> None:
    model = Model()
    wanted: tuple[WantedSet, ...] = ()
    for turn in turns:
        if turn == "pods":
            model.pods()
        elif turn == "break":
            model.pods(0)
        elif turn == "time":
            model.now += KEPT_AFTERWARDS
        elif isinstance(turn, tuple):
            wanted = turn
        model.settle(wanted)
    model.settle(())
    model.now += KEPT_AFTERWARDS
    model.settle(())
    assert model.sets == {}
    assert model.routes == {}
