"""The difference of two documents as JSON Patch: applied to the one it gives the other."""

from __future__ import annotations

from typing import Any

import jsonpatch
from hypothesis import given
from hypothesis import strategies as st

from activities.kubernetes.json_patch import difference
from tidegate.manifests.shares import percent_of

values = st.recursive(
    st.integers(0, 3) | st.sampled_from(["a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a/b", "c~d", "e"]), inner, max_size=3)
    ),
    max_leaves=12,
)
documents = st.dictionaries(st.sampled_from(["spec", "x/y"]), values, min_size=1, max_size=2)


@given(documents, documents)
def test_a_difference_makes_the_one_of_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert jsonpatch.apply_patch(before, difference(before, after)) == after
    assert difference(after, after) == []


def test_what_a_list_lost_is_all_that_is_written() -> None:
    assert difference([1, {"a": 2}, 3, 4], [1, 4], "/spec") == [
        {"op": "remove", "path": "/spec/2"},
        {"op": "remove", "path": "/spec/1"},
    ]
    assert difference({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1, "c": 3}]}) == [
        {"op": "replace", "path": "/a/0/c", "value": 3}
    ]


@given(st.integers(1, 10_000), st.data())
def test_a_part_is_nothing_or_all_only_where_it_is(whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    assert (percent_of(part, whole) == 0) == (part == 0)
    assert (percent_of(part, whole) == 100) == (part == whole)
    assert abs(percent_of(part, whole) - 100 * part / whole) <= 1
