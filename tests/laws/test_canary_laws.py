"""Laws of sizes and weights, for any strategy and any state of the ReplicaSets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.canary.stage import DYNAMIC, ROUTED, position, replica_set
from tidegate.canary.limits import rolling_limits
from tidegate.canary.position import CanaryState
from tidegate.canary.rolling import shares
from tidegate.canary.routing import weight_to_route
from tidegate.canary.scaling import at_desired, goal, next_sizes
from tidegate.canary.weights import pods_for_weight, weight_carried
from tidegate.rollouts.cluster_state import Weights
from tidegate.rollouts.replica_sets import ReplicaSets, ReplicaSetState, Sizes

laws = settings(max_examples=100, deadline=None)
counts = st.integers(min_value=0, max_value=12)
percent = st.integers(min_value=0, max_value=100)
amounts = st.integers(min_value=0, max_value=5) | st.sampled_from(["0%", "10%", "25%", "50%", "100%"])
scales = st.one_of(
    st.builds(lambda number: {"replicas": number}, counts),
    st.builds(lambda weight: {"weight": weight}, percent),
    st.just({"matchTrafficWeight": True}),
)
a_step: st.SearchStrategy[int | dict[str, Any]] = st.one_of(
    percent, st.just({"pause": {}}), st.builds(lambda scale: {"setCanaryScale": scale}, scales)
)


@st.composite
def a_set(draw: st.DrawFn, hash_: str) -> ReplicaSetState:
    wanted = draw(counts)
    created = draw(st.just(wanted) | counts)
    available = draw(st.integers(min_value=0, max_value=created))
    return replica_set(hash_, wanted, available, current=created)


@st.composite
def any_sets(draw: st.DrawFn) -> ReplicaSets:
    others = draw(st.lists(st.sampled_from("OPQ"), max_size=2, unique=True))
    return ReplicaSets(
        draw(st.none() | a_set("C")), draw(st.none() | a_set("S")), tuple(draw(a_set(each)) for each in others)
    )


@st.composite
def basic(draw: st.DrawFn) -> CanaryState:
    limits = {"maxSurge": draw(amounts), "maxUnavailable": draw(amounts)}
    return position(limits, draw(percent), replicas=draw(counts), aborted=draw(st.booleans()))


@st.composite
def routed(draw: st.DrawFn) -> CanaryState:
    given_steps = draw(st.lists(a_step, min_size=1, max_size=5))
    strategy: dict[str, Any] = {**draw(st.sampled_from([ROUTED, DYNAMIC])), "maxSurge": draw(amounts)}
    if draw(st.booleans()):
        strategy["minPodsPerReplicaSet"] = draw(st.integers(min_value=1, max_value=4))
    delay = draw(st.sampled_from([None, 0, 30]))
    if delay is not None:
        strategy["abortScaleDownDelaySeconds"] = delay
    turn = draw(st.sampled_from([{}, {}, {"aborted": True}, {"promoted_in_full": True}, {"stable_hash": "C"}]))
    sent = draw(percent)
    at = position(
        strategy,
        *given_steps,
        index=draw(st.integers(min_value=0, max_value=len(given_steps))),
        replicas=draw(counts),
        **turn,
    )
    return replace(at, weights=Weights(sent, 100 - sent, draw(st.sampled_from("CO"))))


def total(sizes: Sizes) -> int:
    return sizes.canary + sizes.stable + sum(sizes.others)


def serving(sets: ReplicaSets, sizes: Sizes) -> int:
    """Pods that stay available when the sizes are written."""
    roles = [(sets.canary, sizes.canary), (sets.beside, sizes.stable), *zip(sets.others, sizes.others, strict=True)]
    return sum(min(one.standing, size) for one, size in roles if one is not None)


def written(sets: ReplicaSets, sizes: Sizes, *, standing: bool) -> ReplicaSets:
    """The ReplicaSets after the sizes were written: with all of their pods, or with those that they had at most."""

    def after(one: ReplicaSetState | None, size: int) -> ReplicaSetState | None:
        if one is None:
            return None
        available = size if standing else min(size, one.available)
        return one.model_copy(update={"desired": size, "current": size, "available": available})

    others = [after(*each) for each in zip(sets.others, sizes.others, strict=True)]
    return ReplicaSets(
        after(sets.canary, sizes.canary),
        after(sets.beside, sizes.stable),
        tuple(other for other in others if other is not None),
    )


@laws
@given(basic(), any_sets())
def test_without_a_router_no_more_pods_are_wanted_than_the_surge_allows(at: CanaryState, sets: ReplicaSets) -> None:
    limits = rolling_limits(at.strategy, at.replicas)
    before = sum(one.desired for one in sets)
    assert total(next_sizes(at, sets)) <= max(at.replicas + limits.surge, before)


@laws
@given(basic(), any_sets())
def test_without_a_router_no_more_pods_are_missing_than_may_be(at: CanaryState, sets: ReplicaSets) -> None:
    limits = rolling_limits(at.strategy, at.replicas)
    before = sum(one.standing for one in sets)
    assert serving(sets, next_sizes(at, sets)) >= min(at.replicas - limits.unavailable, before)


@laws
@given(basic(), any_sets())
def test_without_a_router_every_state_leads_to_the_goal(at: CanaryState, sets: ReplicaSets) -> None:
    if sets.canary is None or sets.stable is None:
        return
    rounds = total(Sizes(at.replicas, at.replicas)) + sum(one.desired for one in sets) + 4
    for _ in range(rounds):
        if at_desired(at, sets):
            break
        sets = written(sets, next_sizes(at, sets), standing=True)
    assert at_desired(at, sets)
    assert next_sizes(at, sets) == goal(at, sets)


@laws
@given(percent, percent, counts, st.integers(min_value=0, max_value=2))
def test_a_larger_weight_never_has_fewer_pods(one: int, other: int, replicas: int, surge: int) -> None:
    less, more = sorted((one, other))
    assert shares(less, replicas, surge).canary <= shares(more, replicas, surge).canary
    assert pods_for_weight(less, replicas) <= pods_for_weight(more, replicas)
    assert weight_carried(pods_for_weight(more, replicas), replicas) >= more


@laws
@given(percent, st.integers(min_value=2, max_value=40), st.integers(min_value=0, max_value=2))
def test_both_sides_have_a_pod_while_the_weight_is_shared(weight: int, replicas: int, surge: int) -> None:
    found = shares(weight, replicas, surge)
    assert replicas <= found.canary + found.stable <= replicas + min(surge, 1)
    assert (found.canary > 0) is (weight > 0)
    assert (found.stable > 0) is (weight < 100)


@laws
@given(routed(), any_sets(), st.booleans())
def test_what_gets_traffic_keeps_the_pods_for_it(at: CanaryState, sets: ReplicaSets, ramp: bool) -> None:
    sizes = next_sizes(at, sets, ramp=ramp)
    assert at.weights is not None
    scaled = at.canary_scale() is not None
    if sets.canary is not None and at.weights.canary_hash == "C":
        needed = pods_for_weight(at.weights.canary, at.replicas)
        assert sizes.canary >= min(sets.canary.desired, min(1, needed) if scaled else needed)
    if sets.beside is not None:
        assert sizes.stable >= min(sets.beside.desired, pods_for_weight(at.weights.stable, at.replicas))
    for other, size in zip(sets.others, sizes.others, strict=True):
        assert size == (other.desired if at.weights.canary and at.weights.canary_hash == other.hash else 0)


@laws
@given(routed(), any_sets())
def test_a_weight_never_grows_without_its_pods(at: CanaryState, sets: ReplicaSets) -> None:
    weight = weight_to_route(at, sets)
    assert at.weights is not None
    assert 0 <= weight <= 100
    if weight <= at.weights.canary:
        return
    assert sets.canary is not None
    assert not at.aborted
    needed = pods_for_weight(weight, at.replicas)
    assert at_desired(at, sets) or sets.canary.available >= needed or (at.dynamic and at.promoted_in_full)


@laws
@given(routed(), any_sets())
def test_a_version_without_an_available_pod_gets_nothing_that_stable_can_take(
    at: CanaryState, sets: ReplicaSets
) -> None:
    going_back = at.dynamic and (at.aborted or at.fully_promoted)
    if going_back or (sets.canary is not None and sets.canary.available):
        return
    assert at.weights is not None
    weight, stable = weight_to_route(at, sets), sets.stable.available if sets.stable else 0
    assert weight in (0, at.weights.canary)
    nobody_answers = not any(each.hash == at.weights.canary_hash and each.available for each in sets)
    if stable >= at.replicas or (nobody_answers and not at.dynamic):
        assert weight == 0


@laws
@given(routed(), any_sets())
def test_an_abort_only_ever_takes_weight_away(at: CanaryState, sets: ReplicaSets) -> None:
    aborted = replace(at, aborted=True, stable_hash="S")
    assert aborted.weights is not None
    assert weight_to_route(aborted, sets) <= aborted.weights.canary
    if not aborted.dynamic or (sets.stable is not None and sets.stable.available >= at.replicas):
        assert weight_to_route(aborted, sets) == 0


@laws
@given(routed(), a_set("C"), a_set("S"), st.booleans())
def test_with_a_router_sizes_and_weights_lead_each_other_to_the_goal(
    at: CanaryState, canary: ReplicaSetState, stable: ReplicaSetState, ramp: bool
) -> None:
    assert at.weights is not None
    at = replace(at, weights=replace(at.weights, canary_hash="C"))
    if at.fully_promoted or at.promoted_in_full:
        return
    sets = ReplicaSets(canary, stable)
    for _ in range(4 * at.replicas + 2 * canary.desired + 12):
        before = (at, sets)
        sets = written(sets, next_sizes(at, sets, ramp=ramp), standing=True)
        weight = weight_to_route(at, sets)
        at = replace(at, weights=Weights(weight, 100 - weight, "C"))
        if before == (at, sets):
            break
    assert before == (at, sets)
    assert sets.canary is not None
    assert sets.stable is not None
    assert at.weights is not None
    assert (sets.canary.desired, sets.stable.desired) == (goal(at, sets).canary, goal(at, sets).stable)
    if at.aborted:
        assert at.weights.canary == 0
        assert sets.stable.desired == at.replicas
    else:
        assert at_desired(at, sets)
        assert at.weights.canary == (at.set_weight() if sets.canary.desired else 0)


@laws
@given(routed(), any_sets())
def test_a_ramp_asks_for_no_more_missing_pods_than_the_surge(at: CanaryState, sets: ReplicaSets) -> None:
    if sets.canary is None or at.aborted:
        return
    surge = max(1, rolling_limits(at.strategy, at.replicas).surge)
    ramped, at_once = next_sizes(at, sets, ramp=True).canary, next_sizes(at, sets).canary
    assert ramped <= max(at_once, sets.canary.desired)
    if ramped > sets.canary.desired:
        assert ramped - sets.canary.available <= surge
