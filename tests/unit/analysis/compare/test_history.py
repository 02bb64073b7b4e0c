"""Past changes of version: found in whole hours of requests, with the version that was there before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegate.analysis.compare.history import FEWEST, HOUR, StableHour, VersionChange, stable_hours, version_changes


def hours(*each: dict[str, float]) -> dict[int, dict[str, float]]:
    return {HOUR * at: found for at, found in enumerate(each)}


def test_a_version_that_comes_beside_another_one_is_a_change() -> None:
    found = version_changes(hours({"a": 900}, {"a": 800, "b": 200}, {"a": 100, "b": 900}, {"b": 1000}))
    assert found == (VersionChange(canary="b", stable="a", since=HOUR, until=3 * HOUR),)


def test_a_version_that_comes_again_is_another_change() -> None:
    seen = hours({"a": 900}, {"a": 800, "b": 200}, {"a": 900}, {"a": 800, "b": 200}, {"b": 900}, {"a": 500, "b": 500})
    assert [(each.canary, each.stable, each.since // HOUR) for each in version_changes(seen)] == [
        ("b", "a", 1),
        ("b", "a", 3),
        ("a", "b", 5),
    ]


def test_two_canaries_of_one_hour_are_both_compared_with_the_version_before() -> None:
    found = version_changes(hours({"a": 900}, {"a": 800, "b": 200, "c": 300}))
    assert [(each.canary, each.stable) for each in found] == [("b", "a"), ("c", "a")]


def test_what_cannot_be_compared_is_no_change() -> None:
    assert version_changes(hours({"a": 900, "b": 900}, {"a": 900, "b": 900})) == (), "nothing is known before"
    assert version_changes(hours({"a": 900}, {"b": 900})) == (), "never in the same hour"
    assert version_changes(hours({"a": 900}, {"a": 900, "b": FEWEST - 1})) == (), "late requests"
    assert version_changes({0: {"a": 900}, 5 * HOUR: {"a": 500, "b": 500}}) == (), "nobody was there before"
    assert version_changes({}) == ()


def test_hours_of_one_version_are_spread_over_the_history() -> None:
    seen = hours(*[{"a": 1000, "b": 1}] * 10, {"a": 500, "b": 500}, *[{"b": 1000}] * 3)
    assert stable_hours(seen, 4) == tuple(
        StableHour(version=version, start=HOUR * at) for version, at in (("a", 2), ("a", 5), ("a", 7), ("b", 12))
    )
    assert len(stable_hours(seen, 100)) == 9 + 2
    assert stable_hours(hours({"a": 1000}), 4) == (), "the hour before has to be known, too"


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.floats(0, 1e6), max_size=3), max_size=12))
def test_every_change_has_requests_of_both_in_each_of_its_hours(each: list[dict[str, float]]) -> None:
    seen = hours(*each)
    for change in version_changes(seen):
        for at in range(change.since, change.until, HOUR):
            assert seen[at][change.canary] > 0
            assert seen[at][change.stable] > 0
        assert change.canary != change.stable
        assert not seen[change.since - HOUR].get(change.canary)
