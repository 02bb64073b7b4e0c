"""Built-in functions on lists and maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tidegate.analysis.expressions import operators, types
from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.limits import Budget
from tidegate.analysis.expressions.traversals import sort_values
from tidegate.analysis.expressions.values import AnyMap, type_name


def _list(name: str, value: object, budget: Budget) -> list[object]:
    if isinstance(value, list):
        budget.spend(len(value))
        return value
    raise ConditionError(f"invalid argument for {name} (type {type_name(value)})")


def _entries(name: str, value: object, budget: Budget) -> list[tuple[object, object]]:
    if isinstance(value, dict | AnyMap):
        budget.allocate(len(value))
        return list(value.items())
    raise ConditionError(f"invalid argument for {name} (type {type_name(value)})")


def _len(arguments: list[object], _budget: Budget) -> int:
    value = arguments[0]
    if isinstance(value, str | list | dict | bytes | AnyMap):
        return len(value)
    raise ConditionError(
        f"invalid argument for len (type {type_name(value)})",
        hint="there is no data here: len(default(result, []))" if value is None else "",
    )


def _end(index: int) -> Callable[[list[object], Budget], object]:
    def call(arguments: list[object], _budget: Budget) -> object:
        try:
            return operators.fetch(arguments[0], index)
        except ConditionError:
            # first and last give nil where indexing would be out of range.
            return None

    return call


def _get(arguments: list[object], _budget: Budget) -> object:
    base, key = arguments
    if isinstance(base, dict | AnyMap):
        return operators.fetch(base, key)
    if isinstance(base, list | str | bytes):
        operators.to_int(key)
        return _end(operators.to_int(key))([base], _budget)
    return None


def _take(arguments: list[object], budget: Budget) -> object:
    items = _list("take", arguments[0], budget)
    count = arguments[1]
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ConditionError(f"take cannot take {count} elements")
    return operators.cut(items, 0, min(count, len(items)), budget)


def _to_pairs(arguments: list[object], budget: Budget) -> object:
    return [[key, value] for key, value in _entries("toPairs", arguments[0], budget)]


def _from_pairs(arguments: list[object], budget: Budget) -> object:
    result = AnyMap(types.ANY_MAP)
    pairs = _list("fromPairs", arguments[0], budget)
    budget.allocate(len(pairs))
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ConditionError("fromPairs takes a list of [key, value] pairs")
        result.put(pair[0], pair[1])
    return result


def _reverse(arguments: list[object], budget: Budget) -> object:
    items = _list("reverse", arguments[0], budget)
    budget.allocate(len(items))
    return list(reversed(items))


def _uniq(arguments: list[object], budget: Budget) -> object:
    kept: list[object] = []
    for item in _list("uniq", arguments[0], budget):
        if not any(operators.equal(item, other, budget) for other in kept):
            kept.append(item)
    budget.allocate(len(kept))
    return kept


def _concat(arguments: list[object], budget: Budget) -> object:
    lists = [_list("concat", argument, budget) for argument in arguments]
    budget.allocate(sum(len(items) for items in lists))
    return [item for items in lists for item in items]


def _leaves(items: list[object], budget: Budget) -> Iterator[object]:
    with budget:
        for item in items:
            if isinstance(item, list):
                yield from _leaves(item, budget)
            else:
                budget.allocate(1)
                yield item


def _sort(arguments: list[object], budget: Budget) -> object:
    items = _list("sort", arguments[0], budget)
    budget.allocate(len(items))
    return sort_values(items, arguments[1] if len(arguments) > 1 else "asc", lambda item: item, budget)


FUNCTIONS: Final[Mapping[str, Callable[[list[object], Budget], object]]] = {
    "len": _len,
    "first": _end(0),
    "last": _end(-1),
    "get": _get,
    "take": _take,
    "keys": lambda arguments, budget: [key for key, _ in _entries("keys", arguments[0], budget)],
    "values": lambda arguments, budget: [value for _, value in _entries("values", arguments[0], budget)],
    "toPairs": _to_pairs,
    "fromPairs": _from_pairs,
    "reverse": _reverse,
    "uniq": _uniq,
    "concat": _concat,
    "flatten": lambda arguments, budget: list(_leaves(_list("flatten", arguments[0], budget), budget)),
    "sort": _sort,
}
"""Functions on lists and maps."""
