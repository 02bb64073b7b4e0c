"""Laws of whole releases: random events on the embedded API in virtual time, every write of the API server judged.

`TIDEGATE_SCHEDULES=10000 pytest tests/laws/test_releases.py` plays so many schedules; they are shared out among
processes, each with a server of its own. A failure prints its schedule, which `TIDEGATE_SEED` plays again, and a blob
for `@reproduce_failure` on `plays_by_the_laws`.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import traceback
from concurrent.futures import ProcessPoolExecutor

import pytest
import structlog
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.laws.play import Player
from tests.laws.schedules import FORGETFUL, SCHEDULES, Schedule

MANY = int(os.environ.get("TIDEGATE_SCHEDULES", "120"))
# A process waits for its server now and then: with one more than there are cores none of them is idle.
PROCESSES = (os.cpu_count() or 1) + 1
LONGEST_SECONDS = 600 + 4 * MANY  # of real time


@pytest.mark.timeout(LONGEST_SECONDS)
def test_no_schedule_of_events_breaks_a_law() -> None:
    first = _seed()
    shares = [(first + number, -(-MANY // PROCESSES)) for number in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        failures = [failure for failure in pool.map(_play_share, shares) if failure]
    if failures:
        pytest.fail(f"TIDEGATE_SEED={first} plays the same again\n" + "\n".join(failures), pytrace=False)


def _seed() -> int:
    """Where a developer's run looks is new each time, and CI looks where it looked before."""
    known = os.environ.get("TIDEGATE_SEED", "0" if "CI" in os.environ else "")
    return int(known) if known else random.randrange(2**32)


def _play_share(share: tuple[int, int]) -> str:
    """So many schedules from one seed, in a process of its own; returns the failure, or nothing."""
    number, many = share
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    player = Player()

    # Whoever looks for a shorter schedule plays hundreds: one of seven events tells enough.
    @seed(number)
    @settings(
        max_examples=many,
        deadline=None,
        database=None,
        print_blob=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(SCHEDULES, FORGETFUL)
    def plays_by_the_laws(schedule: Schedule, forgetful: bool) -> None:
        player.play(schedule, forgetful=forgetful)

    try:
        plays_by_the_laws()
    except Exception:  # of any kind: it is told by the process that waits
        return f"seed {number}:\n{traceback.format_exc()}"
    finally:
        player.close()
    return ""
