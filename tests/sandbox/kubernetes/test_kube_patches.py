from __future__ import annotations

from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kubernetes_api.patches import MAX_OPERATIONS, json_patch, merge_patch, strategic_merge_patch
from sandbox.kubernetes_api.status import ApiError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.text("abc", min_size=1, max_size=2), VALUES, max_size=4)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [  # the examples of RFC 7386
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_follows_its_rfc(target: Any, patch: Any, expected: Any) -> None:
    assert merge_patch(target, patch) == expected


@given(DOCUMENTS, DOCUMENTS)
def test_a_merge_patch_applied_twice_is_applied_once(target: Any, patch: Any) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(DOCUMENTS.map(without_nulls), DOCUMENTS.map(without_nulls))
def test_any_difference_can_be_said_as_a_json_patch(old: Any, new: Any) -> None:
    before = repr(old)
    assert json_patch(old, jsonpatch.make_patch(old, new).patch) == new
    assert repr(old) == before


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ({"op": "add"}, 400),
        ([{"op": "jump", "path": "/a"}], 400),
        ([{"op": "add", "path": "/a"}], 400),
        (["nonsense"], 400),
        ([{"op": "test", "path": "/a", "value": 0}] * (MAX_OPERATIONS + 1), 400),
        ([{"op": "test", "path": "/a", "value": 2}], 422),
        ([{"op": "test", "path": "/missing", "value": 2}], 422),
        ([{"op": "remove", "path": "/missing"}], 422),
        ([{"op": "replace", "path": "/a/b/c", "value": 1}], 422),
        ([{"op": "replace", "path": "", "value": 1}], 422),
    ],
)
def test_a_json_patch_that_does_not_apply_is_refused(operations: Any, code: int) -> None:
    with pytest.raises(ApiError) as rejection:
        json_patch({"a": 1}, operations)
    assert rejection.value.code == code


def pod_spec(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), **more}}


MAIN = {"name": "main", "image": "app:1", "ports": [{"containerPort": 80}, {"containerPort": 81}]}
SIDE = {"name": "side", "image": "side:1"}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"spec": {"containers": [{"name": "main", "image": "app:2"}]}}, pod_spec({**MAIN, "image": "app:2"}, SIDE)),
        ({"spec": {"containers": [{"name": "new"}]}}, pod_spec({"name": "new"}, MAIN, SIDE)),
        ({"spec": {"containers": [{"name": "main", "$patch": "delete"}]}}, pod_spec(SIDE)),
        ({"spec": {"containers": [{"$patch": "replace"}, SIDE]}}, pod_spec(SIDE)),
        ({"spec": {"$patch": "replace", "hostNetwork": True}}, {"spec": {"hostNetwork": True}}),
        ({"spec": {"$retainKeys": ["containers"], "x": 1}}, pod_spec(MAIN, SIDE, x=1)),
        (
            {"spec": {"containers": [{"name": "main", "ports": [{"containerPort": 81, "name": "b"}]}]}},
            pod_spec({**MAIN, "ports": [{"containerPort": 80}, {"containerPort": 81, "name": "b"}]}, SIDE),
        ),
        ({"spec": {"$setElementOrder/containers": [{"name": "side"}, {"name": "main"}]}}, pod_spec(SIDE, MAIN)),
        ({"spec": {"containers": None}}, {"spec": {}}),
        ({"spec": {"tolerations": [{"key": "a"}]}}, pod_spec(MAIN, SIDE, tolerations=[{"key": "a"}])),
    ],
)
def test_strategic_merge_merges_keyed_lists_and_obeys_directives(patch: Any, expected: Any) -> None:
    assert strategic_merge_patch(pod_spec(MAIN, SIDE), patch) == expected


def test_strategic_merge_adds_to_and_takes_from_sets() -> None:
    target = {"metadata": {"finalizers": ["a", "b"]}}
    assert strategic_merge_patch(target, {"metadata": {"finalizers": ["b", "c"]}}) == {
        "metadata": {"finalizers": ["a", "b", "c"]}
    }
    assert strategic_merge_patch(target, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}) == {
        "metadata": {"finalizers": ["b"]}
    }


@pytest.mark.parametrize("patch", [[], {"spec": {"containers": [{"image": "x"}]}}, {"$patch": "explode"}])
def test_a_malformed_strategic_merge_is_refused(patch: Any) -> None:
    with pytest.raises(ApiError) as rejection:
        strategic_merge_patch(pod_spec(MAIN), patch)
    assert rejection.value.code == 400
