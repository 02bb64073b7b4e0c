"""What the simulated rollouts came to, as tables, and the goals that are held against them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from benchmarks.judge.cells import Cell, Truth
from benchmarks.judge.fleet import SHARES, SIGMA, rates_of
from benchmarks.judge.rollout import Outcome

SEEN_AFTER = 130
"""Seconds until the first warm bucket is seen: cold pods, late values, one reading."""
LEAST_LOAD = 50
"""Requests a second from which on the goals hold."""
Results = Mapping[Cell, Sequence[Outcome]]


@dataclass(frozen=True)
class Goal:
    """A number that must not be above, or with `least` below, a limit."""

    name: str
    value: float
    limit: float
    least: bool = False

    @property
    def reached(self) -> bool:
        """Whether it is."""
        return self.value >= self.limit if self.least else self.value <= self.limit

    def __str__(self) -> str:
        sign = "at least" if self.least else "at most"
        return f"{'ok   ' if self.reached else 'FAILS'} {self.name}: {self.value:.4g} ({sign} {self.limit:g})"


def part(outcomes: Sequence[Outcome], end: str) -> float:
    """Part of the rollouts that ended so."""
    return sum(one.end == end for one in outcomes) / len(outcomes) if outcomes else math.nan


def limit_seconds(cell: Cell) -> float:
    """Time to abort of an oracle that knows the rates, by Wald's expectation at the first weight."""
    stable, mine = rates_of(cell.service.errors, 0.0), cell.canary_rates()
    nats = [_binary(mine[0], stable.errors)]
    if cell.version.slower != 1:
        nats.append(math.log(cell.version.slower) ** 2 / (2 * SIGMA**2))
    if cell.version.stuck:
        nats.append(_binary(cell.version.stuck, 1e-6))
    needed = 0.95 * math.log(0.95 / 0.01) + 0.05 * math.log(0.05 / 0.99)
    return SEEN_AFTER + needed / max(nats) / (cell.service.load * SHARES[0])


def _binary(of: float, to: float) -> float:
    of, to = (min(1 - 1e-12, max(1e-12, rate)) for rate in (of, to))
    return of * math.log(of / to) + (1 - of) * math.log((1 - of) / (1 - to))


def chosen(results: Results, truth: Truth, load: float | None = None) -> list[tuple[Cell, Sequence[Outcome]]]:
    """Cells of one truth, at one load or at all that the goals hold for."""
    return [
        (cell, outcomes)
        for cell, outcomes in results.items()
        if cell.truth is truth and (cell.service.load >= LEAST_LOAD if load is None else cell.service.load == load)
    ]


def goals(results: Results) -> Iterator[Goal]:
    """Hold the results against what is promised. Yields nothing for what was not simulated."""
    good = [one for _, outcomes in chosen(results, Truth.GOOD) for one in outcomes]
    bad = chosen(results, Truth.BAD)
    if good:
        yield Goal("good versions aborted", part(good, "aborted"), 0.01)
        yield Goal("good versions promoted unattended", part(good, "promoted"), 0.90, least=True)
    for load, seconds in ((50, 1080), (500, 660)):
        times = [
            one.seconds
            for _, outcomes in chosen(results, Truth.GOOD, load)
            for one in outcomes
            if one.end == "promoted"
        ]
        if times:
            yield Goal(f"median seconds to full traffic at {load} rps", median(times), seconds)
    if bad:
        yield Goal("bad versions promoted", part([one for _, outcomes in bad for one in outcomes], "promoted"), 0.01)
    yield from _of_aborts(results)


def _of_aborts(results: Results) -> Iterator[Goal]:
    seen = [(cell, outcomes) for cell, outcomes in chosen(results, Truth.BAD) if not cell.version.lost]
    at_50 = [one.harm for cell, outcomes in seen if cell.service.load == 50 for one in outcomes]
    if at_50:
        yield Goal("mean extra bad requests of a bad version at 50 rps", fmean(at_50), 100)
    ratios = [
        (median(times) - cell.version.begins) / limit_seconds(cell)
        for cell, outcomes in seen
        if (times := [one.seconds for one in outcomes if one.end == "aborted"])
    ]
    if ratios:
        yield Goal("median time to abort over that of an oracle", median(ratios), 1.5)


def rough_goals(results: Results) -> Iterator[Goal]:
    """Hold rollouts with bad metrics to safety alone: what comes late takes longer."""
    pairs = list(results.items())
    good = [one for cell, outcomes in pairs if cell.truth is Truth.GOOD for one in outcomes]
    bad = [one for cell, outcomes in pairs if cell.truth is Truth.BAD for one in outcomes]
    lossy = [one for cell, outcomes in pairs if cell.version.lost > 0 for one in outcomes]
    if good:
        yield Goal("good versions aborted", part(good, "aborted"), 0.05)
    if bad:
        yield Goal("bad versions promoted", part(bad, "promoted"), 0.02)
    if lossy:
        yield Goal("versions that lose requests aborted", part(lossy, "aborted"), 0.95, least=True)


def rows(results: Results) -> Iterator[str]:
    """One line a cell."""
    yield f"{'':52} {'truth':5} {'promoted':>9} {'aborted':>8} {'held':>5} {'median':>7} {'harm':>8}"
    for cell, outcomes in results.items():
        shares = [f"{100 * part(outcomes, end):.0f} %" for end in ("promoted", "aborted", "held")]
        seconds = median(one.seconds for one in outcomes)
        harm = fmean(one.harm for one in outcomes)
        yield (
            f"{cell.name[:52]:52} {cell.truth:5} {shares[0]:>9} {shares[1]:>8} {shares[2]:>5} "
            f"{seconds:5.0f} s {harm:8.0f}"
        )
