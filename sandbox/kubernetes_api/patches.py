"""JSON Patch, JSON merge patch and strategic merge patch, each as a function from an object to a new object."""

from __future__ import annotations

from typing import Any

import jsonpatch
import jsonpointer

from sandbox.kubernetes_api.list_keys import ListKeys, Path, keys_of
from sandbox.kubernetes_api.objects import Object, clone
from sandbox.kubernetes_api.status import bad_request, rejected_patch

MAX_OPERATIONS = 10_000
"""Operations in one JSON Patch, the limit of the real server."""

_ORDER = "$setElementOrder/"
_DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"
_RETAIN = "$retainKeys"
_PATCH = "$patch"


def json_patch(obj: Object, operations: Any) -> Object:
    """RFC 6902. All operations apply, or none.

    Raises:
        ApiError: 400 when `operations` is no JSON Patch, 422 when it does not apply: a `test` failed, a path is absent.
    """
    if not isinstance(operations, list):
        raise bad_request(f"a JSON Patch is a list of operations, got {type(operations).__name__}")
    if len(operations) > MAX_OPERATIONS:
        raise bad_request(f"a JSON Patch has at most {MAX_OPERATIONS} operations, got {len(operations)}")
    try:
        patch = jsonpatch.JsonPatch(operations)
    except (jsonpatch.InvalidJsonPatch, jsonpointer.JsonPointerException, TypeError) as error:
        raise bad_request(f"error decoding patch: {error}") from error
    try:
        patched: Any = clone(obj)
        for each in patch.patch:
            if (operation := _lenient(patched, each)) is not None:
                patched = jsonpatch.JsonPatch([operation]).apply(patched, in_place=True)
    except jsonpatch.InvalidJsonPatch as error:
        raise bad_request(f"error decoding patch: {error}") from error
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError) as error:
        raise rejected_patch(str(error)) from error
    if not isinstance(patched, dict):
        raise rejected_patch("the patched document is not an object")
    return patched


def _lenient(obj: Any, operation: dict[str, Any]) -> dict[str, Any] | None:
    """An operation as Kubernetes' library reads it: to replace a field that is absent adds it, and absent is null.

    None for a test that holds by that.
    """
    if operation.get("op") not in ("replace", "test") or not operation["path"]:
        return operation
    *around, name = jsonpointer.JsonPointer(operation["path"]).parts
    parent = jsonpointer.JsonPointer.from_parts(around).resolve(obj, None)
    if not isinstance(parent, dict) or name in parent:
        return operation
    if operation["op"] == "replace":
        return {**operation, "op": "add"}
    return operation if operation.get("value") is not None else None


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: mappings merge, null removes, everything else (lists too) replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def strategic_merge_patch(target: Object, patch: Any) -> Object:
    """Kubernetes' own merge: a merge patch whose keyed lists merge item by item, and which obeys `$` directives.

    Raises:
        ApiError: 400 for a patch that is no mapping, an unknown directive, or an item without its merge key.
    """
    if not isinstance(patch, dict):
        raise bad_request(f"a strategic merge patch is a mapping, got {type(patch).__name__}")
    return _merge_maps(target, patch, ())


def _merge_maps(target: dict[str, Any], patch: dict[str, Any], path: Path) -> dict[str, Any]:
    directive = patch.get(_PATCH)
    if directive == "delete":
        return {}
    if directive not in (None, "merge", "replace"):
        raise bad_request(
            f"unknown patch directive {directive!r} at {'.'.join(path)}: allowed are delete, merge, replace"
        )
    base = {} if directive == "replace" else target
    if _RETAIN in patch:
        base = {key: value for key, value in base.items() if key in patch[_RETAIN]}
    merged = dict(base)
    for key, value in patch.items():
        if key.startswith(_DELETE_PRIMITIVES):
            field = key.removeprefix(_DELETE_PRIMITIVES)
            merged[field] = [item for item in merged.get(field) or [] if item not in value]
        elif key.startswith("$"):
            continue
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(merged.get(key), value, (*path, key))
    for key, order in patch.items():
        if key.startswith(_ORDER) and isinstance(merged.get(field := key.removeprefix(_ORDER)), list):
            keys = keys_of((*path, field), custom=False)
            merged[field] = _ordered(
                merged[field], order, target.get(field) or [], keys.merge if keys is not None else ""
            )
    return merged


def _merge_value(target: Any, value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        return _merge_maps(target if isinstance(target, dict) else {}, value, path)
    if isinstance(value, list):
        keys = keys_of(path, custom=False)
        if keys is not None:
            return _merge_lists(target if isinstance(target, list) else [], value, keys, path)
    return value


def _merge_lists(target: list[Any], patch: list[Any], keys: ListKeys, path: Path) -> list[Any]:
    if not keys.merge:
        return target + [item for item in patch if item not in target]
    if any(isinstance(item, dict) and item.get(_PATCH) == "replace" for item in patch):
        return [item for item in patch if item.get(_PATCH) != "replace"]
    merged = list(target)
    for item in patch:
        if not isinstance(item, dict) or keys.merge not in item:
            raise bad_request(f"{'.'.join(path)}: map does not contain key: {keys.merge}")
        at = next((i for i, old in enumerate(merged) if old.get(keys.merge) == item[keys.merge]), None)
        if item.get(_PATCH) == "delete":
            merged = [old for old in merged if old.get(keys.merge) != item[keys.merge]]
        elif at is None:
            merged.append(_merge_maps({}, item, path))
        else:
            merged[at] = _merge_maps(merged[at], item, path)
    return _ordered(merged, patch, target, keys.merge)


def _ordered(items: list[Any], order: list[Any], before: list[Any], key: str) -> list[Any]:
    """The items that `order` names in its order, each as early as those of `before` that it does not name allow.

    Source: mergeSortedSlice of k8s.io/apimachinery/pkg/util/strategicpatch.
    """

    def place(item: Any, among: list[Any]) -> int | None:
        wanted = item.get(key) if key else item
        return next((at for at, one in enumerate(among) if (one.get(key) if key else one) == wanted), None)

    named = sorted((item for item in items if place(item, order) is not None), key=lambda item: place(item, order) or 0)
    others = [item for item in items if place(item, order) is None]
    merged = []
    while named and others:
        one, other = place(named[0], before), place(others[0], before)
        stays = one is not None and other is not None and other < one
        merged.append(others.pop(0) if stays else named.pop(0))
    return merged + named + others
