"""A few rounds of chaos with a fixed seed; `make chaos N=50` plays long ones, and tells everything about what fails."""

from __future__ import annotations

import pytest

from tests.chaos.__main__ import play
from tests.chaos.faults import LINKS, SECONDS, Harm
from tests.chaos.links import Trouble
from tests.chaos.plane import SERVERS, TIDEGATE
from tests.chaos.rounds import draw
from tests.chaos.scenes import SCENES

SEED = 3817
ROUNDS = 2
MANY = 200


def test_a_seed_draws_the_same_rounds_again() -> None:
    assert [draw(7, number) for number in range(MANY)] == [draw(7, number) for number in range(MANY)]
    assert draw(7, 1) != draw(8, 1)


def test_everything_that_may_happen_is_drawn() -> None:
    plans = [draw(7, number) for number in range(MANY)]
    assert {name for plan in plans for name in plan.scenes} == {each.__name__ for each in SCENES}
    faults = [fault for plan in plans for fault in plan.faults]
    assert {fault.target for fault in faults} == {*SERVERS, *TIDEGATE, *LINKS}
    assert {fault.harm for fault in faults} == {*Harm, *Trouble}
    assert all(0 <= fault.at <= SECONDS for fault in faults)


def test_nothing_suffers_two_faults_at_once() -> None:
    for number in range(MANY):
        ends: dict[str, float] = {}
        for fault in draw(7, number).faults:
            assert fault.at >= ends.get(fault.target, 0.0)
            ends[fault.target] = fault.at + fault.lasts


def test_the_short_run_hits_both_servers_and_all_processes_in_every_way() -> None:
    faults = [fault for number in range(1, ROUNDS + 1) for fault in draw(SEED, number).faults]
    assert {fault.target for fault in faults if fault.harm in list(Harm)} == {*SERVERS, *TIDEGATE}
    assert {fault.harm for fault in faults} == {*Harm, *Trouble}


@pytest.mark.world
@pytest.mark.timeout(600)
async def test_no_round_breaks_a_law() -> None:
    reports = await play(ROUNDS, SEED)
    assert [line for report in reports if report.broken for line in report.lines(SEED)] == []
    assert sum(report.requests for report in reports) > 100
    assert all(report.plan.faults for report in reports)
