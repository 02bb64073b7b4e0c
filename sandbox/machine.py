"""How slow this machine is at the moment, so that what may take long has a limit that follows its speed."""

from __future__ import annotations

import time

NOMINAL_SECONDS = 0.0125  # for one piece of the work below, on a machine with nothing else to do
PIECES = 4
MOST = 20.0
GOOD_FOR_SECONDS = 10.0

_measured: tuple[float, float] | None = None  # when, and how slow


def slowness() -> float:
    """How many times as long as on an idle machine a piece of work takes now: 1 to 20. Blocks for 0.05 s times that.

    It counts what others take of the processors, and a slower processor alike. A measurement is good for a while.
    """
    global _measured
    if _measured is None or time.monotonic() - _measured[0] > GOOD_FOR_SECONDS:
        took = _work()
        _measured = (time.monotonic(), min(max(took / (PIECES * NOMINAL_SECONDS), 1.0), MOST))
    return _measured[1]


def patience(seconds: float) -> float:
    """The limit for what takes at most so many seconds on an idle machine."""
    return seconds * slowness()


def _work() -> float:
    """Do what needs nothing but a processor; how long that took, in seconds."""
    began = time.perf_counter()
    total = 0
    for number in range(PIECES * 100_000):
        total += number * number % 7
    return time.perf_counter() - began
