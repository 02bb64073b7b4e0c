"""Evidence of a comparison, as it travels: wealth of bets, base rates, traffic, newest buckets."""

from __future__ import annotations

import math
from typing import Annotated, Final

from pydantic import PlainSerializer

from tidegate.analysis.compare.models import CompareModel, CountRow

VERSION: Final = 1
"""Version of the stored form."""


def outdated_text(version: int) -> str:
    """Words for a stored state of another version."""
    return f"the stored state of the comparison has version {version}, and this code reads {VERSION}"


def _rounded(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)


def _short(value: float) -> float:
    return round(value, 9) if math.isfinite(value) else value


Rounded = Annotated[tuple[float, ...], PlainSerializer(_rounded)]
Logarithm = Annotated[float, PlainSerializer(_short)]


class Wealth(CompareModel):
    """An e-process: `log` is ln of the wealth, `weights` are of its bets and, last, of the cash. They add up to 1."""

    log: Logarithm
    weights: Rounded


class EventEvidence(CompareModel):
    """One event: dispersion, spread of pods, stable's sums (bad, requests) of two memories, three wealths, counts.

    `counts` are canary's requests and bad ones, and stable's, in all warm buckets, `here_counts` in those of this
    weight.
    """

    phi: float
    spread: float
    slow: Rounded
    fast: Rounded
    harm: Wealth
    promise: Wealth
    here: Wealth
    counts: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    here_counts: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


class Evidence(CompareModel):
    """All that the folded buckets say.

    `here_since` is the beginning of the weight whose evidence `here` is. `share` holds the decayed sums of the canary's
    requests, of those that the weight asked for, of all requests, and of seconds. `seen` are canary's and all requests
    at this weight, cold pods included. `seconds` are those of warm buckets, `here_seconds` those of this weight.
    `usable_until` is the end of the newest bucket that counted, `skipped` counts those that never did.
    """

    version: int = VERSION
    events: tuple[EventEvidence, ...]
    guard: Wealth
    lost: Wealth
    guard_counts: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    here_since: float | None = None
    share: Rounded = (0.0, 0.0, 0.0, 0.0)
    seen: Rounded = (0.0, 0.0)
    seconds: float = 0.0
    here_seconds: float = 0.0
    usable_until: float | None = None
    skipped: int = 0


class CountTable(CompareModel):
    """The newest buckets in order of time, which may still change.

    `final` is the start of the first of them, also while none was read. `read_at` is when they were read last.
    `settle` is how old a bucket is when it counts.
    """

    version: int = VERSION
    bucket: int
    settle: float
    final: int
    rows: tuple[CountRow, ...] = ()
    read_at: float | None = None
