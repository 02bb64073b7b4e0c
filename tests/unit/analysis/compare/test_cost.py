"""What a comparison costs: time of a bucket, size of a state."""

from __future__ import annotations

import statistics
import time

from tests.unit.analysis.compare.traffic import EVENTS, WEIGHT, hour, rows
from tidegate.analysis.compare.fold import begin, fold
from tidegate.analysis.compare.models import BadEvent, Comparison, CountRow, HourRow, Margin
from tidegate.analysis.compare.state import open_state, read

FOUR = Comparison(events=(*EVENTS, BadEvent(name="stuck", margin=Margin(times=2, plus=0.002))))
BUCKET_SECONDS = 0.002
STATE_BYTES = 8 * 1024


def with_fourth(one: CountRow) -> CountRow:
    return one.model_copy(update={"counts": (*one.counts, one.counts[0])})


def before() -> list[HourRow]:
    return [one.model_copy(update={"counts": (*one.counts, one.counts[0])}) for one in hour()]


def test_a_bucket_of_four_events_takes_less_than_two_milliseconds() -> None:
    known, spent = begin(FOUR, before()), []
    for one in map(with_fourth, rows(1, 150)):
        began = time.process_time_ns()
        known = fold(FOUR, known, one, WEIGHT)
        spent.append((time.process_time_ns() - began) / 1e9)
    assert statistics.median(spent) < BUCKET_SECONDS


def test_a_state_of_four_events_with_a_full_table_takes_less_than_eight_kilobytes() -> None:
    truth = [with_fourth(one) for one in rows(1, 120, load=5000)]
    state, _ = read(FOUR, open_state(FOUR, before(), None, 0), truth, [WEIGHT], 1200)
    assert len(state.table.rows) >= 30
    assert len(state.model_dump_json()) < STATE_BYTES
