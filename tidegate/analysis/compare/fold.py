"""How one bucket of counts changes the evidence: bets on rates, placed before the bucket is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidegate.analysis.compare.evidence import Evidence
from tidegate.analysis.compare.models import Comparison, CountRow, HourRow, Weight


def begin(
    wanted: Comparison, hour: Sequence[HourRow], groups: Mapping[str, Sequence[HourRow]] | None = None
) -> Evidence:
    """Evidence before the first bucket: stable's rates and dispersion of the hour before."""
    raise NotImplementedError


def fold(wanted: Comparison, evidence: Evidence, row: CountRow, weight: Weight | None) -> Evidence:
    """Evidence after one more bucket. `weight` None: the weight changed within it, so only stable's rates are kept."""
    raise NotImplementedError


def glance(wanted: Comparison, evidence: Evidence, row: CountRow) -> Evidence:
    """Evidence after the guard saw a bucket, cold or half arrived as it may be."""
    raise NotImplementedError
