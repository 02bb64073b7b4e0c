"""A small grid of simulated rollouts: bad versions are not promoted, good ones are, without anybody's help."""

from __future__ import annotations

import pytest

from benchmarks.judge.__main__ import simulate
from benchmarks.judge.cells import Cell, Truth, grid, rough
from benchmarks.judge.fleet import SHARES, Fleet
from benchmarks.judge.report import Goal, goals, rough_goals

REPS = 4


def small(cells: list[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.service.load >= 50]


@pytest.mark.timeout(600)
def test_the_goals_are_reached_on_a_small_grid() -> None:
    results = simulate(small(grid()), REPS, seed=1)
    found = list(goals(results))
    assert len(found) == 7
    assert {str(goal) for goal in found if not goal.reached} == set()


@pytest.mark.timeout(600)
def test_worse_metrics_and_lost_requests_promote_nothing_bad() -> None:
    results = simulate(small(rough()), 2, seed=1)
    found = list(rough_goals(results))
    assert len(found) == 3
    assert {str(goal) for goal in found if not goal.reached} == set()


def test_what_is_simulated_is_what_the_cell_says() -> None:
    [cell] = [cell for cell in grid() if cell.name == "errors x5, 500 rps, 0.5 %"]
    fleet = Fleet(cell.service, cell.version, "1")
    buckets = [fleet.bucket(at, 2, 0) for at in range(6, 200)]
    canary, stable = (sum(one[version][0] for one in buckets) for version in (0, 1))
    assert canary / (canary + stable) == pytest.approx(SHARES[2], rel=0.02)
    errors = [sum(one[version][1][0] for one in buckets) for version in (0, 1)]
    assert errors[0] / canary == pytest.approx(5 * errors[1] / stable, rel=0.25)
    slow = sum(one[1][1][1] for one in buckets) / stable
    assert slow == pytest.approx(0.1, rel=0.25)
    assert fleet.bucket(9, 1, 0) == Fleet(cell.service, cell.version, "1").bucket(9, 1, 0)
    assert cell.truth is Truth.BAD


def test_a_goal_that_is_missed_is_said() -> None:
    assert not Goal("x", 0.02, 0.01).reached
    assert str(Goal("x", 0.5, 0.9, least=True)) == "FAILS x: 0.5 (at least 0.9)"
