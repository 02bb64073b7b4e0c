"""The past, judged by the code of releases: changes of version, and a version against itself."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.analysis.compare.test_reconstruction import release
from tests.unit.analysis.compare.traffic import EVENTS, bucket_row, hour, wanted
from tidegate.analysis.compare.backtest import Outcome, PastJudgement, Split, for_past, judge_past, judge_split, splits
from tidegate.analysis.compare.judge import judge_reading
from tidegate.analysis.compare.models import Comparison, CountRow, HourRow, Ruling, VersionCounts, Weight
from tidegate.analysis.compare.state import open_state

HALF = Weight(since=0, share=0.5, last=True)


def one_event(**fields: float) -> Comparison:
    return for_past(Comparison(events=EVENTS[:1], **fields))


def errors(rows: Sequence[CountRow]) -> list[CountRow]:
    return [CountRow(start=row.start, counts=row.counts[:1]) for row in rows]


def hour_of_errors(load: float) -> list[HourRow]:
    return [HourRow(start=row.start, counts=row.counts[:1]) for row in hour(load)]


def judged(times: float, *, seconds: int = 2400, weights: Sequence[Weight] = (HALF,)) -> PastJudgement:
    draw = random.Random(3)
    rows = [bucket_row(draw, 10 * at, 50, 0.5, (times, 1, 1)) for at in range(seconds // 10)]
    return judge_past(one_event(), open_state(one_event(), hour_of_errors(50), None, 0), errors(rows), weights)


def test_a_good_change_is_proven_and_no_sooner_than_it_would_have_been() -> None:
    found = judged(1)
    assert found.outcome is Outcome.PROVEN
    assert found.sentence.startswith("Proven, errors: ")
    assert 600 <= found.seconds <= 2400, "minBake holds in the past as well"


def test_a_bad_change_is_harm() -> None:
    found = judged(4)
    assert (found.outcome, found.event) == (Outcome.HARM, "errors")
    assert found.seconds < 600


def test_what_ended_before_it_was_decided_is_undecided_with_what_was_missing() -> None:
    found = judged(1, seconds=300)
    assert found.outcome is Outcome.UNDECIDED
    assert found.sentence.startswith("Not yet, errors: ")


def test_before_the_last_weight_a_clear_is_no_promotion() -> None:
    assert judged(1, weights=[HALF.model_copy(update={"last": False})]).outcome is Outcome.UNDECIDED


def test_each_reading_is_that_of_a_release() -> None:
    """The same counts by the loop of a release, at the times of the playback, come to the same judgement."""
    rows = errors(release((0.5, 2400)))
    found = judge_past(one_event(), open_state(one_event(), hour_of_errors(50), None, 0), rows, [HALF])
    state, now = open_state(one_event(), hour_of_errors(50), None, 0), 0.0
    while True:
        now += 10 if now < 180 else 30
        whole = [row for row in rows if row.start + 10 <= now]
        state, judgement = judge_reading(one_event(), state, whole, [HALF], now, first_traffic=0)
        if judgement.ruling is not Ruling.WAIT:
            break
    assert (found.seconds, found.sentence) == (now, judgement.sentence)


def test_without_weights_there_is_nothing_to_judge() -> None:
    with pytest.raises(ValueError, match="without weights"):
        judge_past(wanted(), open_state(wanted(), hour(), None, 0), [], [])


@given(
    st.dictionaries(st.text("abcdef", min_size=1), st.floats(1, 1000), min_size=2, max_size=8),
    st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4).map(sorted),
    st.integers(1, 10),
)
def test_splits_differ_and_have_groups_on_both_sides(
    requests: dict[str, float], shares: list[float], most: int
) -> None:
    found = list(splits(requests, shares, most))
    assert 1 <= len(found) <= most
    assert len({split.canaries for split in found}) == len(found)
    for split in found:
        assert len(split.canaries) == len(split.shares) == len(shares)
        assert all(0 < len(canary) < len(requests) for canary in split.canaries)
        assert all(small <= large for small, large in pairwise(split.canaries)), "a larger weight has more"
        for canary, share in zip(split.canaries, split.shares, strict=True):
            assert sum(requests[name] for name in canary) / sum(requests.values()) == pytest.approx(share)
    assert list(splits(dict(reversed(requests.items())), shares, most)) == found, "order decides nothing"


def test_one_group_cannot_be_split() -> None:
    assert list(splits({"a": 100}, [0.5], 10)) == []


def groups(worse: str = "", load: float = 12, number: int = 4) -> dict[str, list[HourRow]]:
    """An hour of alike groups, of which one may have ten times the errors."""
    found = {}
    for name in "abcd"[:number]:
        draw, rate = random.Random(name), 0.05 if name == worse else 0.005
        rows = []
        for at in range(0, 3600, 10):
            requests = round(load * 10)
            bad = sum(draw.random() < rate for _ in range(requests))
            rows.append(HourRow(start=at, counts=(VersionCounts(requests, bad),)))
        found[name] = rows
    return found


def test_a_version_is_proven_to_be_as_good_as_itself() -> None:
    state = open_state(one_event(), hour_of_errors(48), None, 0)
    outcomes = [
        judge_split(one_event(), state, groups(), split).outcome
        for split in splits(dict.fromkeys("abcd", 1.0), [0.25, 0.5], 6)
    ]
    assert Outcome.HARM not in outcomes
    assert outcomes.count(Outcome.PROVEN) >= 5


def test_a_split_with_all_that_is_bad_on_one_side_is_harm() -> None:
    split = Split((frozenset("a"),), (0.25,))
    state = open_state(one_event(), hour_of_errors(48), None, 0)
    assert judge_split(one_event(), state, groups(worse="a"), split).outcome is Outcome.HARM
    with pytest.raises(ValueError, match="without counts"):
        judge_split(one_event(), state, {}, split)
