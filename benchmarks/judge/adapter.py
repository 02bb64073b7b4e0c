"""Adapter for a benchmark that hands over rows of counts: a `CountsJudge` with `begin` and `step`.

The benchmark's own directory is on `sys.path` when `make` is called.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol

from benchmarks.judge.session import EVENTS, Session
from tidegate.analysis.compare.models import Comparison, CountRow, Counts, HourRow, VersionCounts

SHARES = (0.10, 0.25, 0.50)


class Row(Protocol):
    """One bucket of one version; counts are None while nothing of it has arrived."""

    version: str
    start: int
    hits: int | None
    errors: int | None
    slow90: int | None
    slow99: int | None
    stuck: int | None


def make() -> Any:
    """Make a judge for one run."""
    counts = importlib.import_module("counts")
    return type("Tidegate", (counts.CountsJudge,), {"begin": _begin, "step": _step})()


def _begin(judge: Any, history: Sequence[Row], pods: Sequence[Sequence[Row]] | None) -> None:
    groups = {f"pod{at:02}": [_hour_row(row) for row in rows] for at, rows in enumerate(pods)} if pods else None
    wanted = Comparison(events=EVENTS, warm_up=max(60, judge.warm_up))
    hour = [_hour_row(row) for row in history]
    judge.session = Session(wanted, hour, groups, SHARES, len(pods) if pods else 0)
    judge.known = {}


def _step(judge: Any, now: int, index: int, weight: float, since: int, changed: Sequence[Row]) -> str:
    for row in changed:
        judge.known[row.version, row.start] = row
    starts = sorted({row.start for row in changed})
    rows = [
        _count_row(start, judge.known.get(("canary", start)), judge.known.get(("stable", start))) for start in starts
    ]
    action: str = judge.session.step(now, index, since, rows)
    judge.reason = judge.session.judgement.sentence
    return action


def _bad(row: Row) -> tuple[int | None, ...]:
    return row.errors, row.slow90, row.slow99, row.stuck


def _hour_row(row: Row) -> HourRow:
    hits = row.hits
    counts = [None if hits is None else VersionCounts(hits, bad or 0) for bad in _bad(row)]
    return HourRow.model_construct(start=row.start, counts=tuple(counts))


def _count_row(start: int, canary: Row | None, stable: Row | None) -> CountRow:
    empty = (None,) * len(EVENTS)
    bad = zip(_bad(canary) if canary else empty, _bad(stable) if stable else empty, strict=True)
    hits = canary.hits if canary else None, stable.hits if stable else None
    counts = tuple([Counts(hits[0], of_canary, hits[1], of_stable) for of_canary, of_stable in bad])
    return CountRow.model_construct(start=start, counts=counts)
