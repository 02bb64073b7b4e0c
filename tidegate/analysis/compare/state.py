"""A comparison's whole state, and one reading of it: newest minutes are counted anew whenever they change.

No bucket is counted twice and none is missed: a final bucket is folded into the checkpoint, once. Younger ones are
folded into a copy of it, so a value that comes late corrects what was thought of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import Field

from tidegate.analysis.compare.evidence import VERSION, CountTable, Evidence
from tidegate.analysis.compare.fold import begin, can_glance, fold, glance
from tidegate.analysis.compare.models import CompareModel, Comparison, CountRow, HourRow, Weight

FINAL_AFTER: Final = 300
"""Seconds after its end in which a bucket may still change."""


class Live(CompareModel):
    """Evidence of a reading, which the next one goes on from where no bucket before `until` has changed."""

    evidence: Evidence
    until: int
    weights: tuple[Weight, ...]


class ComparisonState(CompareModel):
    """State between readings: evidence of final buckets, the newest ones, and the starts of those the guard has seen.

    `live` spares work and is left behind: without it the same comes out.
    """

    checkpoint: Evidence
    table: CountTable
    guarded: tuple[int, ...] = ()
    live: Live | None = Field(default=None, exclude=True, repr=False)

    @property
    def version(self) -> int:
        """Version of the stored form: that of the part which is not of this code's."""
        return self.table.version if self.checkpoint.version == VERSION else self.checkpoint.version


def open_state(
    wanted: Comparison,
    hour: Sequence[HourRow],
    groups: Mapping[str, Sequence[HourRow]] | None,
    first_traffic: float,
) -> ComparisonState:
    """State before the first bucket. `hour` is stable's, `groups` the same by pod where the source knows pods."""
    first = int(-(-first_traffic // wanted.bucket)) * wanted.bucket
    return ComparisonState(
        checkpoint=begin(wanted, hour, groups),
        table=CountTable(bucket=wanted.bucket, settle=wanted.settle, final=first),
    )


def read(
    wanted: Comparison, state: ComparisonState, rows: Sequence[CountRow], weights: Sequence[Weight], now: float
) -> tuple[ComparisonState, Evidence]:
    """Take up what was read at `now` and return the state to keep and the evidence to judge by.

    `rows` are all of `[state.table.final, now)`, or those that are new or changed. `weights` are those of this
    release in order of time.
    """
    after = table(state.table, rows, now)
    live = _begin_live(state, after, tuple(weights))
    known = {row.start: row for row in after.rows}
    guarded = set(state.guarded)
    evidence, start = live.evidence, live.until
    while start + wanted.bucket + after.settle <= now:
        row = known.get(start) or CountRow.model_construct(start=start, counts=())
        evidence = _guard(wanted, evidence, row, guarded)
        evidence = fold(wanted, evidence, row, weight_at(weights, start, start + wanted.bucket))
        start += wanted.bucket
    for row in after.rows:
        evidence = _guard(wanted, evidence, row, guarded)
    kept = Live.model_construct(evidence=evidence, until=start, weights=live.weights)
    return _moved(wanted, state.checkpoint, after, kept, guarded, now), evidence


def _begin_live(state: ComparisonState, after: CountTable, weights: tuple[Weight, ...]) -> Live:
    """Evidence to go on from: the last reading's, or the checkpoint where something of it has changed.

    A bucket that changes after it counted raises `settle`, so that is all there is to compare.
    """
    live = state.live
    if live is not None and live.weights == weights and after.settle == state.table.settle:
        return live
    return Live.model_construct(evidence=state.checkpoint, until=after.final, weights=weights)


def _guard(wanted: Comparison, evidence: Evidence, row: CountRow, guarded: set[int]) -> Evidence:
    if row.start in guarded or not can_glance(wanted, row):
        return evidence
    guarded.add(row.start)
    return glance(wanted, evidence, row)


def _moved(
    wanted: Comparison, checkpoint: Evidence, seen: CountTable, live: Live, guarded: set[int], now: float
) -> ComparisonState:
    """Fold what is final into the checkpoint and drop it from the table. The guard's evidence is never folded anew."""
    known = {row.start: row for row in seen.rows}
    final = seen.final
    while final + wanted.bucket + FINAL_AFTER <= now:
        row = known.get(final) or CountRow.model_construct(start=final, counts=())
        checkpoint = fold(wanted, checkpoint, row, weight_at(live.weights, final, final + wanted.bucket))
        final += wanted.bucket
    guard = {"guard": live.evidence.guard, "guard_counts": live.evidence.guard_counts}
    rows = tuple([row for row in seen.rows if row.start >= final])
    return ComparisonState.model_construct(
        checkpoint=checkpoint.model_copy(update=guard),
        table=seen.model_copy(update={"final": final, "rows": rows}),
        guarded=tuple(sorted(start for start in guarded if start >= final)),
        live=live,
    )


def table(seen: CountTable, rows: Sequence[CountRow], now: float) -> CountTable:
    """Replace rows that were read again. One that changed after it had counted raises the age at which rows count."""
    known = {row.start: row for row in seen.rows}
    settle = seen.settle
    for row in rows:
        if row.start < seen.final or known.get(row.start) == row:
            continue
        end = row.start + seen.bucket
        if seen.read_at is not None and end + seen.settle <= seen.read_at:
            settle = min(FINAL_AFTER, max(settle, now - end + seen.bucket))
        known[row.start] = row
    changed = {"rows": tuple([known[start] for start in sorted(known)]), "settle": settle, "read_at": now}
    return seen.model_copy(update=changed)


def weight_at(weights: Sequence[Weight], start: float, end: float) -> Weight | None:
    """Weight in force during all of [start, end), None where it changed in between or is 0."""
    effective = [weight for weight in weights if weight.since <= start]
    changed = any(start < weight.since < end for weight in weights)
    return None if changed or not effective or effective[-1].share <= 0 else effective[-1]


def weight_to_judge(weights: Sequence[Weight], now: float, *, concludes: bool = False) -> Weight | None:
    """Weight in force at `now`; the last one before full traffic where a comparison `concludes`."""
    weight = weight_at(weights, now, now)
    return weight.model_copy(update={"last": True}) if weight is not None and concludes else weight
