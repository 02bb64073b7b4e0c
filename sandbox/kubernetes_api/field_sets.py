"""Field sets: which fields an object has, as paths, and their `fieldsV1` form in managedFields."""

from __future__ import annotations

import json
from typing import Any

from sandbox.kubernetes_api.list_keys import Path, atomic_map, item_key, keys_of
from sandbox.kubernetes_api.objects import Object

Element = str
"""One step of a path as `fieldsV1` spells it: `f:name`, `k:{"name":"main"}`, `v:"value"`."""

FieldPath = tuple[Element, ...]

_SYSTEM_FIELDS = frozenset(
    ("f:metadata", f"f:{name}")
    for name in (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
    )
) | {("f:apiVersion",), ("f:kind",), ("f:metadata",)}

# Of typed objects: structs without a pointer, and lists that are written when they are empty.
_ALWAYS_THERE = frozenset(
    f"f:{name}" for name in ("spec", "status", "template", "metadata", "strategy", "resources", "containers")
)


def field_values(obj: Object, *, custom: bool, around: bool = False) -> dict[FieldPath, Any]:
    """Every owned field of `obj` with its value: scalars, atomic lists and maps, and the existence of keyed items.

    With `around` also the existence of mappings and lists in which there is something: whoever writes a whole object
    makes them, whoever applies does not. What the server alone sets (names, versions, times) is nobody's and left out.
    """
    found: dict[FieldPath, Any] = {}
    _Collector(found, custom=custom, around=around).collect(obj, (), ())
    return {path: value for path, value in found.items() if path[:2] not in _SYSTEM_FIELDS}


class _Collector:
    def __init__(self, found: dict[FieldPath, Any], *, custom: bool, around: bool) -> None:
        self._found = found
        self._custom = custom
        self._around = around

    def collect(self, value: Any, names: Path, path: FieldPath) -> None:
        if isinstance(value, dict) and value and not (names and atomic_map(names, custom=self._custom)):
            self._exists(path)
            for name, child in value.items():
                self.collect(child, (*names, name), (*path, f"f:{name}"))
        elif (
            isinstance(value, list)
            and value
            and (elements := list_elements(value, names, custom=self._custom)) is not None
        ):
            self._exists(path)
            for element, item in elements.items():
                self._found[*path, element] = None  # the item itself, so that an item of bare keys is owned too
                if isinstance(item, dict):
                    self.collect(item, names, (*path, element))
        elif path:
            self._found[path] = value

    def _exists(self, path: FieldPath) -> None:
        if self._around and path and (self._custom or path[-1] not in _ALWAYS_THERE):
            self._found[path] = None


def list_elements(items: list[Any], names: Path, *, custom: bool) -> dict[Element, Any] | None:
    """The items of a keyed list by path element.

    None for an atomic list, and for one whose items lack their keys or share them: it can only be taken as a whole.
    """
    keys = keys_of(names, custom=custom)
    if keys is None:
        return None
    found: dict[Element, Any] = {}
    for item in items:
        key = item_key(item, keys) if keys.apply else None
        if keys.apply and key is None:
            return None
        found[f"k:{json.dumps(dict(key), separators=(',', ':'))}" if key else f"v:{json.dumps(item)}"] = item
    return found if len(found) == len(items) else None


def encode(paths: set[FieldPath]) -> dict[str, Any]:
    """The `fieldsV1` tree of a set of paths: what is owned itself and has something owned inside of it has a dot."""
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        node = tree
        for length, element in enumerate(path):
            if path[:length] in paths:
                node.setdefault(".", {})
            node = node.setdefault(element, {})
    return tree


def decode(tree: dict[str, Any], prefix: FieldPath = ()) -> set[FieldPath]:
    """The set of paths of a `fieldsV1` tree."""
    found: set[FieldPath] = set()
    for element, child in tree.items():
        if element == ".":
            found.add(prefix)
        elif child:
            found |= decode(child, (*prefix, element))
        else:
            found.add((*prefix, element))
    return found


def describe(path: FieldPath) -> str:
    """A path as conflict messages write it: `.spec.template.spec.containers[name="main"].image`."""
    text = ""
    for element in path:
        marker, _, rest = element.partition(":")
        if marker == "f":
            text += f".{rest}"
        elif marker == "v":
            text += f"[={rest}]"
        else:
            text += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(rest).items()) + "]"
    return text
