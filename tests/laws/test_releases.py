"""Laws of whole releases: random lives of a Rollout in virtual time, every write of the API server judged.

What runs here by itself is fixed: a first run on another machine plays what was played before. `TIDEGATE_SCHEDULES=1000
pytest tests/laws/test_releases.py` plays so many new ones on all cores, from `TIDEGATE_SEED` on where that is given;
`make schedules` and CI's nightly job do so. A failure prints its schedule, and what it was plays again from its number.
What broke a law once stands in `found.json`, spelled out, as the same number may come to mean something else.
"""

from __future__ import annotations

import json
import logging
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.laws.batch import Report, play_all
from tests.laws.play import play
from tests.laws.schedules import Schedule
from tests.laws.shapes import ROUTERS

FIXED, SHARE = range(30_000, 30_120), 20
BLUE_GREEN = range(31_000, 31_020)
SOME = 5  # of these lives are played with each router
MANY = int(os.environ.get("TIDEGATE_SCHEDULES", "0"))
FOUND = Path(__file__).with_name("found.json")


@pytest.fixture(autouse=True)
def in_silence() -> Iterator[None]:
    """What is lost in a storm is logged thousands of times."""
    logging.disable(logging.CRITICAL)
    with capture_logs():
        yield
    logging.disable(logging.NOTSET)


def found() -> list[Any]:
    return [pytest.param(Schedule.of(each["schedule"]), id=each["name"]) for each in json.loads(FOUND.read_text())]


@pytest.mark.parametrize("first", FIXED[::SHARE])
def test_no_schedule_of_events_breaks_a_law(first: int) -> None:
    _judge(range(first, first + SHARE), processes=1)


@pytest.mark.parametrize("first", BLUE_GREEN[::SHARE])
def test_no_schedule_of_events_breaks_a_law_with_blue_green(first: int) -> None:
    _judge(range(first, first + SHARE), processes=1, blue_green=True)


@pytest.mark.parametrize("router", list(ROUTERS))
def test_no_schedule_breaks_a_law_whatever_the_router(router: str) -> None:
    lives = (Schedule.drawn(seed).with_router(router) for seed in FIXED)
    report = Report()
    for part in play_all((each for _, each in zip(range(SOME), filter(None, lives), strict=False)), 1):
        report.add(part)
    assert report.played == SOME
    assert not report.failures, "\n\n".join(report.failures.values())


@pytest.mark.parametrize("schedule", found())
def test_what_broke_a_law_once_does_so_no_more(schedule: Schedule) -> None:
    failure = play(schedule).failure
    assert not failure, f"{schedule}\n{failure}"


@pytest.mark.skipif(not MANY, reason="set TIDEGATE_SCHEDULES to play so many that nobody has played before")
@pytest.mark.timeout(600 + 4 * MANY)
def test_no_new_schedule_breaks_a_law() -> None:
    known = os.environ.get("TIDEGATE_SEED", "")
    first = int(known) if known else random.SystemRandom().randrange(2**32)
    _judge(range(first, first + MANY), processes=os.cpu_count() or 1)
    _judge(range(first, first + MANY // 4), processes=os.cpu_count() or 1, blue_green=True)


def test_a_schedule_is_made_of_its_number_alone() -> None:
    first, again = (play(Schedule.drawn(FIXED[3])) for _ in range(2))
    assert first == again
    assert first.runs


def _judge(seeds: range, processes: int, *, blue_green: bool = False) -> None:
    report = Report()
    for part in play_all((Schedule.drawn(seed, blue_green=blue_green) for seed in seeds), processes):
        report.add(part)
    assert report.played == len(seeds)
    if report.failures:
        pytest.fail("\n\n".join([*report.failures.values(), str(report)]), pytrace=False)
