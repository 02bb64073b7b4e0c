"""Chaos: releases while processes are killed and frozen and links fail, judged by the laws.

    python -m tests.chaos --rounds 50 --seed 7 [--first 12]

Prints a line for each round, and everything about one in which something was broken, of which histories, journal and
logs are kept in `.tidegate/chaos/`. Ends with 1 when anything was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import structlog

from tests.chaos.plane import ROOT, open_plane
from tests.chaos.rounds import SERVICES, Report, Rounds

KEPT = ROOT / ".tidegate" / "chaos"


async def play(rounds: int, seed: int, first: int = 1, services: int = SERVICES) -> list[Report]:
    """Play rounds of one seed on one plane; what follows them is judged with the last."""
    reports: list[Report] = []
    with tempfile.TemporaryDirectory(prefix="tidegate-chaos-", ignore_cleanup_errors=True) as state:
        async with open_plane(Path(state)) as plane:
            game = Rounds(plane, seed, KEPT, services)
            await game.prepare()
            for number in range(first, first + rounds):
                reports.append(await game.play(number))
                say(*reports[-1].lines(seed))
            late = await game.finish()
            if late and reports:
                reports[-1].broken += late
                say("after the last round:", *(f"  ! {each}" for each in late))
    return reports


def say(*lines: str) -> None:
    """Print, at once."""
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Entry point of `python -m tests.chaos`."""
    parser = argparse.ArgumentParser(prog="tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--first", type=int, default=1, help="number of the first round")
    parser.add_argument("--services", type=int, default=SERVICES, help="Rollouts that are released side by side")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began = time.monotonic()
    say(f"seed {options.seed}, {options.rounds} rounds, load {os.getloadavg()[0]:.1f}")
    reports = asyncio.run(play(options.rounds, options.seed, options.first, options.services))
    broken = [report for report in reports if report.broken]
    faults = sum(len(report.plan.faults) for report in reports)
    requests = sum(report.requests for report in reports)
    say(
        f"{len(reports)} rounds in {time.monotonic() - began:.0f} s, {faults} faults, {requests} requests, "
        f"load {os.getloadavg()[0]:.1f}: {len(broken)} broken"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
