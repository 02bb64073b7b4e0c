"""Plays many schedules in several processes, and tells how many were played and which of them broke a law.

`python -m tests.laws.batch --seed 7000 --count 1000` plays the schedules 7000 to 7999. Each is made of its number
alone, so `--seed N --count 1` plays that one again.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

import structlog

from tests.laws.play import Played, play
from tests.laws.schedules import Schedule

CHUNK = 20
PROGRESS = 500


@dataclass
class Report:
    """What playing came to: how many, those that broke a law, how long it took on one core, and what went wrong."""

    played: int = 0
    failures: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0
    virtual_seconds: float = 0.0
    runs: int = 0
    replays: int = 0
    happened: Counter[str] = field(default_factory=Counter)

    def add(self, other: Report) -> None:
        """Count what another process played."""
        self.played += other.played
        self.failures |= other.failures
        self.seconds += other.seconds
        self.virtual_seconds += other.virtual_seconds
        self.runs += other.runs
        self.replays += other.replays
        self.happened += other.happened

    def __str__(self) -> str:
        each = self.seconds / max(self.played, 1)
        lost = ", ".join(f"{what} {times}" for what, times in sorted(self.happened.items()))
        return (
            f"{self.played} schedules, {len(self.failures)} broke a law; {each:.3f} s of processor each, "
            f"{self.virtual_seconds / 3600:.0f} h of virtual time, {self.runs} workflow runs, "
            f"{self.replays} replays; what went wrong on the way: {lost or 'nothing'}"
        )


def play_all(schedules: Iterable[Schedule], processes: int) -> Iterator[Report]:
    """Play all of them; one report for each chunk, in no order."""
    wanted = list(schedules)
    chunks = [wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
    if processes == 1:
        yield from map(_play_chunk, chunks)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_quiet) as pool:
        for done in as_completed([pool.submit(_play_chunk, chunk) for chunk in chunks]):
            yield done.result()


def _play_chunk(schedules: list[Schedule]) -> Report:
    report = Report()
    for schedule in schedules:
        began = time.process_time()
        try:
            played = play(schedule)
        except Exception:  # what cannot be sent from process to process would end all of them
            played = Played(traceback.format_exc(), 0.0, 0, 0, Counter())
        report.seconds += time.process_time() - began
        report.played += 1
        report.virtual_seconds += played.virtual_seconds
        report.runs += played.runs
        report.replays += played.replays
        report.happened += played.happened
        if played.failure:
            report.failures[schedule.seed] = f"{schedule}\n{played.failure}"
    return report


def _quiet() -> None:
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def main() -> int:
    """Play from the command line; the exit code is 1 when a law was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="number of the first schedule")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    _quiet()
    report = Report()
    began = time.monotonic()
    for part in play_all(map(Schedule.drawn, range(asked.seed, asked.seed + asked.count)), asked.processes):
        report.add(part)
        for failure in part.failures.values():
            sys.stdout.write(f"{failure}\n\n")
        took = time.monotonic() - began
        if report.played % PROGRESS < part.played:  # who stops it before the end knows how far it came
            sys.stdout.write(f"{report.played} of {asked.count} after {took:.0f} s, {len(report.failures)} failed\n")
        sys.stdout.flush()
    took = time.monotonic() - began
    sys.stdout.write(f"from {asked.seed}, {took:.0f} s, {report.played / took:.1f} each second: {report}\n")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
