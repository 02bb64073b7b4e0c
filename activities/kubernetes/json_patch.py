"""Operations on an object of Kubernetes as JSON Patch has them (RFC 6902)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Operation = dict[str, Any]


def annotate(found: Mapping[str, Any], annotations: Mapping[str, str | None]) -> list[Operation]:
    """JSON Patch operations, for use inside `Cluster.change`: set annotations, remove those whose value is None."""
    return set_keys("/metadata/annotations", found["metadata"].get("annotations") or {}, annotations)


def set_keys(path: str, present: Mapping[str, str], values: Mapping[str, str | None]) -> list[Operation]:
    """JSON Patch operations on the map at `path`, which has to be there: set keys, remove those whose value is None.

    `present` is what the map holds.
    """
    operations: list[Operation] = []
    for key, value in values.items():
        at = f"{path}/{escape(key)}"
        if value is not None:
            operations.append(put(at, value))
        elif key in present:
            operations.append({"op": "remove", "path": at})
    return operations


def difference(before: Any, after: Any, path: str = "") -> list[Operation]:
    """JSON Patch operations that make `after` of `before`, the value at `path`: single fields where these differ.

    A list that lost items loses those alone; a longer one gets its last items at the end.
    """
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        removals = [{"op": "remove", "path": f"{path}/{escape(key)}"} for key in before if key not in after]
        changes = [
            operation
            for key, value in after.items()
            for operation in (
                difference(before[key], value, f"{path}/{escape(key)}")
                if key in before
                else [put(f"{path}/{escape(key)}", value)]
            )
        ]
        return [*removals, *changes]
    if isinstance(before, list) and isinstance(after, list):
        return _list_difference(before, after, path)
    return [{"op": "replace", "path": path, "value": after}]


def _list_difference(before: list[Any], after: list[Any], path: str) -> list[Operation]:
    gone = _left_out(before, after)
    if gone is not None:  # from the last to the first: a removal moves what comes after it
        return [{"op": "remove", "path": f"{path}/{index}"} for index in reversed(gone)]
    shared = min(len(before), len(after))
    changes = [
        operation for index in range(shared) for operation in difference(before[index], after[index], f"{path}/{index}")
    ]
    removals = [{"op": "remove", "path": f"{path}/{index}"} for index in reversed(range(shared, len(before)))]
    return [*changes, *removals, *(put(f"{path}/-", value) for value in after[shared:])]


def _left_out(before: list[Any], after: list[Any]) -> list[int] | None:
    """Positions of the items that were left out; None where something else changed."""
    left, gone = list(after), []
    for index, item in enumerate(before):
        if left and left[0] == item:
            left.pop(0)
        else:
            gone.append(index)
    return None if left else gone


def put(path: str, value: Any) -> Operation:
    """The JSON Patch operation that puts `value` at `path`, whether or not something stands there (RFC 6902 §4.1)."""
    return {"op": "add", "path": path, "value": value}


def escape(key: str) -> str:
    """A key as one segment of a JSON pointer (RFC 6901 §3)."""
    return key.replace("~", "~0").replace("/", "~1")
