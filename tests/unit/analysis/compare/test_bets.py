"""No bet gains on average under what it bets against: summed up exactly, for each kind of hypothesis."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from itertools import product

import pytest

from tidegate.analysis.compare.bets import (
    Bet,
    Edge,
    Mixture,
    Sample,
    grow,
    initial_wealth,
    log_factors,
    mixture,
    nearest,
)

Chance = Callable[[float, float], list[float]]


def poisson(mean: float, _: float) -> list[float]:
    """Chances of 0, 1, 2, ... events, until less than 1e-13 is left."""
    chances, left = [math.exp(-mean)], 1 - math.exp(-mean)
    while left > 1e-13 and len(chances) < 200:
        chances.append(chances[-1] * mean / len(chances))
        left -= chances[-1]
    return chances


def binomial(mean: float, requests: float) -> list[float]:
    count, rate = int(requests), mean / requests
    return [math.comb(count, k) * rate**k * (1 - rate) ** (count - k) for k in range(count + 1)]


def settings(seed: int, number: int) -> Iterator[tuple[Sample, Edge, list[Bet], float, random.Random]]:
    """Random requests, hypotheses and bets, some of which the hypothesis allows."""
    draw = random.Random(seed)
    for _ in range(number):
        requests = Sample(draw.randint(1, 4), 0, draw.randint(1, 6), 0)
        edge = Edge(draw.uniform(1, 3), draw.choice([0, 0.001, 0.02, 0.3]), draw.random() < 0.5)
        bases = [10 ** draw.uniform(-4, -0.25) for _ in range(2)]
        effects = [draw.choice([0.3, 0.7, 1, 1.35, 2, 4]) for _ in range(2)]
        bets = [(min(0.98, base * effect), base) for base in bases for effect in effects]
        yield requests, edge, bets, draw.choice([1.0, 1.0, 1.7]), draw


def allowed(edge: Edge, place: str, draw: random.Random) -> tuple[float, float]:
    """Rates that the hypothesis allows and that are below 1, on its edge or inside."""
    stable = draw.uniform(0, (1 - edge.plus) / edge.times)
    canary = edge.times * stable + edge.plus
    if place == "edge":
        return min(1.0, canary), stable
    return (draw.uniform(min(1.0, canary), 1) if edge.above else draw.uniform(0, canary)), stable


def mean_factor(
    requests: Sample, rates: tuple[float, float], chance: Chance, factor: dict[tuple[int, int], float]
) -> float:
    canary = chance(requests.canary * rates[0], requests.canary)
    stable = chance(requests.stable * rates[1], requests.stable)
    pairs = product(enumerate(canary), enumerate(stable))
    return sum(one * other * factor[k, j] for (k, one), (j, other) in pairs)


class Factors(dict[tuple[int, int], float]):
    """Factor of the wealth for each pair of counts, by the code of the product."""

    def __init__(self, requests: Sample, edge: Edge, bets: list[Bet], prior: Mixture, phi: float) -> None:
        super().__init__()
        self._given = requests, edge, bets, prior, phi

    def __missing__(self, bad: tuple[int, int]) -> float:
        requests, edge, bets, prior, phi = self._given
        sample = requests._replace(canary_bad=bad[0], stable_bad=bad[1])
        self[bad] = math.exp(grow(initial_wealth(prior), log_factors(sample, edge, bets, phi), prior).log)
        return self[bad]


@pytest.mark.parametrize("chance", [poisson, binomial])
def test_no_bet_gains_on_average_under_its_hypothesis(chance: Chance) -> None:
    largest, tried = 0.0, 0
    for requests, edge, bets, phi, draw in settings(seed=7, number=750):
        prior = mixture((0.7, 0.3), (0.5, 0.5), cash=0.1, cap=draw.choice([5, 30, math.inf]))
        factors = Factors(requests, edge, bets, prior, phi)
        states = [
            mean_factor(requests, allowed(edge, place, draw), chance, factors) for place in ("edge", "edge", "inside")
        ]
        world = draw.random()  # rates that are drawn by chance and are common to both versions
        largest = max(largest, *states, world * states[0] + (1 - world) * states[2])
        tried += 1
    assert tried == 750
    assert largest <= 1 + 1e-9
    assert largest > 0.99, "no setting came near the edge, so nothing was tested"


def divergence(of: float, to: float) -> float:
    return of * math.log(of / to) - of + to


def test_the_nearest_pair_is_the_one_that_a_minimiser_finds() -> None:
    compared = 0
    for requests, edge, bets, _, _ in settings(seed=11, number=300):
        for bet in bets:
            canary, stable = nearest(requests, edge, bet)

            def cost(stable: float, edge: Edge = edge, bet: Bet = bet, requests: Sample = requests) -> float:
                canary = edge.times * stable + edge.plus
                return requests.canary * divergence(bet[0], canary) + requests.stable * divergence(bet[1], stable)

            low, high = 1e-9, 3.0
            for _ in range(200):  # golden section
                one, other = high - (high - low) * 0.618034, low + (high - low) * 0.618034
                low, high = (low, other) if cost(one) < cost(other) else (one, high)
            assert canary == pytest.approx(edge.times * stable + edge.plus)
            assert cost(stable) <= cost((low + high) / 2) + 1e-9
            assert stable == pytest.approx((low + high) / 2, rel=1e-3, abs=1e-6)
            compared += 1
    assert compared == 1200


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize(("times", "plus", "base"), [(1.25, 0.001, 0.005), (2.0, 0.0, 1e-7), (1.0, 0.02, 0.6)])
def test_a_bet_on_the_edge_or_inside_pays_nothing_and_costs_nothing(
    times: float, plus: float, base: float, above: bool
) -> None:
    edge, canary = Edge(times, plus, above), times * base + plus
    inside = (canary * (1.5 if above else 0.5), base)
    on_edge = (canary * (1 + (-1 if above else 1) * 1e-12), base)
    found = log_factors(Sample(100, 7, 300, 2), edge, [(canary, base), on_edge, inside], phi=1)
    assert found == pytest.approx([0, 0, 0], abs=1e-8)


def test_no_bucket_pays_more_than_the_cap() -> None:
    prior = mixture((1,), (1,), cash=0.1, cap=30)
    found = grow(initial_wealth(prior), [1e6], prior)
    assert math.exp(found.log) == pytest.approx(0.9 * 30 + 0.1)


def test_wealth_does_not_overflow_and_weights_add_up_to_one() -> None:
    prior = mixture((0.5, 0.5), (0.2, 0.8), cash=0.02)
    wealth = initial_wealth(prior)
    for _ in range(50):
        wealth = grow(wealth, [-5000, 2000, 0, -1], prior)
    assert wealth.log > 90_000
    assert sum(wealth.weights) == pytest.approx(1)
    assert min(wealth.weights) >= 0.01 * min(prior.prior)
