"""A comparison's whole state, and one reading of it: the five newest minutes are counted anew whenever they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidegate.analysis.compare.evidence import CountTable, Evidence
from tidegate.analysis.compare.models import CompareModel, Comparison, CountRow, HourRow, Weight


class ComparisonState(CompareModel):
    """What travels: evidence of final buckets, the newest ones, and the starts of those that the guard has seen."""

    checkpoint: Evidence
    table: CountTable
    guarded: tuple[int, ...] = ()


def open_state(
    wanted: Comparison,
    hour: Sequence[HourRow],
    groups: Mapping[str, Sequence[HourRow]] | None,
    first_traffic: float,
) -> ComparisonState:
    """State before the first bucket. `hour` is stable's, `groups` the same by pod where the source knows pods."""
    raise NotImplementedError


def read(
    wanted: Comparison, state: ComparisonState, rows: Sequence[CountRow], weights: Sequence[Weight], now: float
) -> tuple[ComparisonState, Evidence]:
    """Take up what was read at `now` and return the state to keep and the evidence to judge by.

    `rows` are all of `[state.table.final, now)`, or those that are new or changed. `weights` are those of this
    release in order of time.
    """
    raise NotImplementedError


def weight_at(weights: Sequence[Weight], start: float, end: float) -> Weight | None:
    """Weight in force during all of [start, end), None where it changed in between or is 0."""
    raise NotImplementedError
