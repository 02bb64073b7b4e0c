"""Values while a condition runs: Python's own where Go's behave alike, small types of their own where not."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from pydantic import JsonValue

from tidegate.analysis.expressions import types
from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.limits import Budget
from tidegate.analysis.expressions.literals import INT_MAX, INT_MIN
from tidegate.analysis.expressions.types import Type


class TypedList(list[object]):
    """A Go list whose elements all have one static type ([]int, []float64, []string); a plain `list` is []any."""

    __slots__ = ("kind",)

    def __init__(self, items: list[object], kind: Type) -> None:
        super().__init__(items)
        self.kind = kind


class AnyMap:
    """A Go map whose keys may be of any type: 1, 1.0 and true are three keys."""

    __slots__ = ("_entries", "kind")

    def __init__(self, kind: Type) -> None:
        self.kind = kind
        self._entries: dict[tuple[type, Hashable], tuple[object, object]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: object, value: object) -> None:
        """Set an entry; raises ConditionError when the key is a list or a map."""
        self._entries[self._slot(key)] = (key, value)

    def get(self, key: object) -> object:
        """Return the value of a key, None when absent."""
        return self._entries.get(self._slot(key), (None, None))[1]

    def has(self, key: object) -> bool:
        """True when there is an entry for the key."""
        return self._slot(key) in self._entries

    def items(self) -> Iterator[tuple[object, object]]:
        """Yield keys and values in the order in which they came."""
        yield from self._entries.values()

    @staticmethod
    def _slot(key: object) -> tuple[type, Hashable]:
        if not isinstance(key, Hashable):
            raise ConditionError(f"a {type_name(key)} cannot be a key of a map")
        return type(key), key


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A Go duration, in nanoseconds."""

    nanoseconds: int


@dataclass(frozen=True, slots=True)
class NamedInt:
    """A Go integer type with names for its values: a month or a weekday."""

    value: int
    name: str
    kind: Type


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the environment, used as a value."""

    name: str


_KINDS: Final[dict[type, Type]] = {
    bool: types.BOOL,
    int: types.INT,
    float: types.FLOAT,
    str: types.STRING,
    bytes: types.BYTES,
    list: types.LIST,
    dict: types.MAP,
    datetime: types.TIME,
    Duration: types.DURATION,
    ZoneInfo: types.LOCATION,
}


def type_of(value: object) -> Type:
    """Return the type that a value has while the condition runs."""
    if value is None:
        return types.NIL
    if isinstance(value, TypedList | AnyMap | NamedInt):
        return value.kind
    return _KINDS.get(type(value), types.ANY)


def type_name(value: object) -> str:
    """Return the name of a value's type for a message, as Go prints it."""
    return "<nil>" if value is None else type_of(value).name


def wrap_int(value: int) -> int:
    """Return an integer as 64 bits hold it: what overflows starts again at the other end."""
    return (value - INT_MIN) % (1 << 64) + INT_MIN


def truncate(value: float) -> int:
    """Return a float as an integer, towards zero; what does not fit gives the smallest integer, as on amd64."""
    if not math.isfinite(value):
        return INT_MIN
    whole = int(value)
    return whole if INT_MIN <= whole <= INT_MAX else INT_MIN


def from_json(result: JsonValue, budget: Budget) -> object:
    """Return a metric result as the value that Argo hands to a condition.

    A list of numbers is what a metric provider returns (`[]float64`); numbers inside any other list or map come from
    decoded JSON, where all of them are floats. Raises ConditionError when the result is too large or nested too deep.
    """
    if isinstance(result, list):
        budget.allocate(len(result))
        if all(type(item) in (int, float) for item in result):
            return TypedList([float(item) for item in result if isinstance(item, int | float)], types.FLOATS)
    if isinstance(result, int) and not isinstance(result, bool):
        return wrap_int(result)
    return decoded(result, budget) if isinstance(result, list | dict) else result


def decoded(value: JsonValue, budget: Budget) -> object:
    """Return decoded JSON as Go decodes it: every number is a float."""
    if isinstance(value, list):
        budget.allocate(len(value))
        with budget:
            return [decoded(item, budget) for item in value]
    if isinstance(value, dict):
        budget.allocate(len(value))
        with budget:
            return {key: decoded(item, budget) for key, item in value.items()}
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value
