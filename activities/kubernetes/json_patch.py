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


def put(path: str, value: Any) -> Operation:
    """The JSON Patch operation that puts `value` at `path`, whether or not something stands there (RFC 6902 §4.1)."""
    return {"op": "add", "path": path, "value": value}


def escape(key: str) -> str:
    """A key as one segment of a JSON pointer (RFC 6901 §3)."""
    return key.replace("~", "~0").replace("/", "~1")
