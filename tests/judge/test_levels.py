"""How often a version exactly on a margin gets through, and one that is tolerated is taken for harm, by many runs."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate

from tidegate.analysis.compare.bets import Mixture, Sample, grow
from tidegate.analysis.compare.evidence import EventEvidence
from tidegate.analysis.compare.fold import begin, harm_logs, proof_logs, remembered
from tidegate.analysis.compare.mixtures import HARM, PROOF, tolerated
from tidegate.analysis.compare.models import BadEvent, Comparison, HourRow, Margin, VersionCounts

RUNS, BUCKETS, STABLE_RATE = 1000, 200, 0.005
CANARY, STABLE = 125, 375
MARGIN = Margin(times=1.25, plus=0.001)


def binomial(requests: int, rate: float) -> Callable[[random.Random], int]:
    """Draws of bad requests, by a table of the chances up to far beyond the mean."""
    most = min(requests, int(requests * rate * 4 + 25))
    chances = (math.comb(requests, k) * rate**k * (1 - rate) ** (requests - k) for k in range(most + 1))
    table = list(accumulate(chances))
    return lambda draw: min(most, bisect_left(table, draw.random()))


def crossings(
    logs: Callable[[EventEvidence, Sample], Sequence[float]],
    mixture: Mixture,
    rate: float,
    level: float,
    runs: int = RUNS,
) -> int:
    """Runs in which E of a bet ever comes to 1/level, at a rate of the canary."""
    draw, canary, stable = random.Random(1), binomial(CANARY, rate), binomial(STABLE, STABLE_RATE)
    hour = binomial(500, STABLE_RATE)
    wanted = Comparison(events=(BadEvent(name="errors", margin=MARGIN),))
    found = 0
    for _ in range(runs):
        rows = [HourRow(start=10 * at, counts=(VersionCounts(500, hour(draw)),)) for at in range(90)]
        event = begin(wanted, rows).events[0].model_copy(update={"phi": 1.0})
        wealth = event.harm if mixture is HARM else event.promise
        for _ in range(BUCKETS):
            sample = Sample(CANARY, canary(draw), STABLE, stable(draw))
            wealth = grow(wealth, logs(event, sample), mixture)
            event = event.model_copy(update=remembered(event, sample, wanted.bucket))
            if wealth.log >= math.log(1 / level):
                found += 1
                break
    return found


def test_a_version_on_the_margin_gets_through_in_at_most_one_of_twenty_runs() -> None:
    rate = MARGIN.times * STABLE_RATE + MARGIN.plus
    found = crossings(lambda event, sample: proof_logs(event, sample, MARGIN), PROOF, rate, 0.05)
    assert 0 < found <= 0.05 * RUNS


def test_a_version_at_the_edge_of_what_is_tolerated_is_taken_for_harm_in_at_most_one_of_a_hundred() -> None:
    limit = tolerated(MARGIN, 0.0, None)
    rate = limit.times * STABLE_RATE + limit.plus
    found = crossings(lambda event, sample: harm_logs(event, sample, limit), HARM, rate, 0.01)
    assert found <= 0.01 * RUNS


def test_a_good_version_gets_through() -> None:
    found = crossings(lambda event, sample: proof_logs(event, sample, MARGIN), PROOF, STABLE_RATE, 0.05, runs=100)
    assert found > 75
