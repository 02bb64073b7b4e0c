"""Paths put to documents, with bounded work: neither can make the other grow without end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final

from pydantic import JsonValue

from tidegate.manifests.jsonpath.errors import PathError
from tidegate.manifests.jsonpath.parser import parse
from tidegate.manifests.jsonpath.syntax import (
    Compared,
    Descent,
    Exists,
    Index,
    Path,
    PathField,
    PathLiteral,
    PathSlice,
    Step,
    Union,
    Wildcard,
)

MAX_VALUES: Final = 200_000
"""Values that one path may look at on its way, which takes a fraction of a second."""

_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}
_EQUALITIES: Final = ("==", "!=")
_ORDERED: Final = frozenset({"number", "string"})
_EQUATED: Final = _ORDERED | {"bool"}


class JsonPath:
    """A path such as `{$.data.items[?(@.name=="p99")].value}`."""

    def __init__(self, text: str) -> None:
        """Raises PathError, with the column, for what is no path or does more than to select."""
        self._path = parse(text)

    def find(self, document: JsonValue) -> list[JsonValue]:
        """All values that the path leads to: of lists in their order, of maps in that of their keys.

        Raises PathError where a field or an index does not exist, as client-go does, and when it would take too long.
        One rule is Tidegate's own: numbers are compared as numbers (client-go finds 5.0, which is what JSON brings, and
        the 5 of a path incompatible).
        """
        return _Walk().along([document], self._path)


class _Walk:
    """One way through one document."""

    def __init__(self) -> None:
        self._remaining = MAX_VALUES

    def along(self, values: Sequence[JsonValue], path: Path) -> list[JsonValue]:
        found = list(values)
        for step in path:
            # What a step does not lead on from has to be paid for, too.
            found = self._counted(self._step(self._counted(found), step))
        return found

    def _counted(self, values: Iterable[JsonValue]) -> list[JsonValue]:
        counted = list(islice(values, self._remaining + 1))
        self._remaining -= len(counted)
        if self._remaining < 0:
            raise PathError(f"the path leads past more than {MAX_VALUES} values")
        return counted

    def _step(self, values: list[JsonValue], step: Step) -> Iterable[JsonValue]:
        match step:
            case PathField(name):
                return _named(values, name)
            case Wildcard():
                return chain.from_iterable(map(_children, values))
            case Descent():
                return self._containers(values)
            case Index(position):
                return (_element(items, position) for items in _lists(values))
            case PathSlice():
                return chain.from_iterable(_sliced(items, step) for items in _lists(values))
            case Union(paths):
                return chain.from_iterable(self.along(values, path) for path in paths)
            case PathLiteral(value):
                return [value] * len(values)
            case Exists(path):
                return (item for item in self._filtered(values) if self._exists(item, path))
            case Compared():
                return (item for item in self._filtered(values) if self._holds(item, step))

    def _containers(self, values: list[JsonValue]) -> Iterator[JsonValue]:
        ahead = list(reversed(values))
        while ahead:
            value = ahead.pop()
            children = self._counted(_children(value))
            if children:
                yield value
                ahead.extend(reversed(children))

    def _filtered(self, values: list[JsonValue]) -> Iterator[JsonValue]:
        for value in values:
            if not isinstance(value, list):
                raise PathError(f"{_kind(value)} is not array or slice and cannot be filtered")
            yield from self._counted(value)

    def _exists(self, item: JsonValue, path: Path) -> bool:
        try:
            return bool(self.along([item], path))
        except PathError:
            if self._remaining < 0:
                raise
            return False

    def _holds(self, item: JsonValue, compared: Compared) -> bool:
        sides = [self.along([item], path) for path in (compared.left, compared.right)]
        if any(len(side) > 1 for side in sides):
            raise PathError("can only compare one element at a time")
        if not all(sides):
            return False
        (left,), (right,) = sides
        kinds = _kind(left), _kind(right)
        ordered = compared.operator not in _EQUALITIES
        if any(kind not in ("number", "string") and (ordered or kind != "bool") for kind in kinds):
            raise PathError(f"invalid type for comparison: {f' {compared.operator} '.join(kinds)}")
        if kinds[0] != kinds[1]:
            raise PathError(f"incompatible types for comparison: {f' {compared.operator} '.join(kinds)}")
        return _COMPARISONS[compared.operator](left, right)


def _named(values: list[JsonValue], name: str) -> list[JsonValue]:
    found = [value[name] for value in values if isinstance(value, dict) and name in value]
    # A step that began with nothing (an empty list before it) misses nothing.
    if values and not found:
        raise PathError(f"{name} is not found")
    return found


def _lists(values: list[JsonValue]) -> Iterator[list[JsonValue]]:
    for value in values:
        if isinstance(value, list):
            yield value
        elif value is not None:
            raise PathError(f"{_kind(value)} is not array or slice")


def _element(items: list[JsonValue], position: int) -> JsonValue:
    _check_index(position, -len(items), len(items))
    return items[position]


def _sliced(items: list[JsonValue], slice_: PathSlice) -> list[JsonValue]:
    """The elements by client-go's rules: unlike in Python, a slice that reaches beyond its list is an error."""
    length = len(items)
    start = _from_start(slice_.start, 0, length)
    end = _from_start(slice_.end, length, length)
    if start == end:
        return []
    _check_index(start, 0, length)
    _check_index(end - 1, -1, length)
    if start > end:
        raise PathError(f"starting index {start} is greater than ending index {end}")
    if slice_.step is not None and slice_.step < 1:
        raise PathError("step must be > 0")
    return items[start : end : slice_.step]


def _from_start(position: int | None, default: int, length: int) -> int:
    if position is None:
        return default
    return position if position >= 0 else position + length


def _check_index(index: int, lowest: int, length: int) -> None:
    if not lowest <= index < length:
        raise PathError(f"array index out of bounds: index {index}, length {length}")


def _children(value: JsonValue) -> Sequence[JsonValue]:
    if isinstance(value, dict):
        return [value[key] for key in sorted(value)]
    return value if isinstance(value, list) else []


def _kind(value: JsonValue) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case None:
            return "null"
    return "map" if isinstance(value, dict) else "list"
