"""Built-in functions that run a predicate over the elements of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Final, TypeVar

from tidegate.analysis.expressions import operators, types
from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.limits import Budget
from tidegate.analysis.expressions.values import AnyMap, type_name

T = TypeVar("T")


@dataclass(slots=True)
class Scope:
    """Current values of `#`, `#index` and `#acc`."""

    item: object = None
    index: int = 0
    accumulator: object = None


@dataclass(frozen=True, slots=True)
class _Run:
    """One traversal: `apply` gives the value of the predicate for the element in `scope`."""

    name: str
    items: list[object]
    scope: Scope
    apply: Callable[[], object]
    extra: tuple[object] | None
    budget: Budget

    def each(self, *, backwards: bool = False) -> Iterator[object]:
        """Put one element after the other in the scope and yield it."""
        count = len(self.items)
        for index in range(count - 1, -1, -1) if backwards else range(count):
            self.scope.item, self.scope.index = self.items[index], index
            self.budget.spend()
            yield self.items[index]

    def holds(self) -> bool:
        """True when the predicate is true for the element in the scope."""
        value = self.apply()
        if isinstance(value, bool):
            return value
        raise ConditionError(f"the predicate of {self.name} should return boolean (got {type_name(value)})")


def traverse(
    name: str,
    collection: object,
    scope: Scope,
    apply: Callable[[], object],
    extra: tuple[object] | None,
    budget: Budget,
) -> object:
    """Return what the function `name` makes of a collection; raises ConditionError when it is not a list."""
    return _TRAVERSALS[name](_Run(name, _items(name, collection), scope, apply, extra, budget))


def _items(name: str, collection: object) -> list[object]:
    if isinstance(collection, list):
        return collection
    if isinstance(collection, str | bytes):
        return list(collection if isinstance(collection, bytes) else operators.encode(collection))
    if isinstance(collection, dict | AnyMap) and len(collection) == 0:
        return []
    raise ConditionError(
        f"{name} takes only a list (got {type_name(collection)})",
        hint="there is no data here: guard it with default(..., [])" if collection is None else "",
    )


def _filter(run: _Run) -> object:
    kept = [item for item in run.each() if run.holds()]
    run.budget.allocate(len(kept))
    return kept


def _map(run: _Run) -> object:
    run.budget.allocate(len(run.items))
    return [run.apply() for _ in run.each()]


def _one(run: _Run) -> object:
    return _count(run) == 1


def _count(run: _Run) -> int:
    limit = run.extra[0] if run.extra else None
    count = 0
    for _ in run.each():
        count += run.holds()
        if count == limit:
            break
    return count


def _sum(run: _Run) -> object:
    total: object = 0
    for _ in run.each():
        total = operators.add(run.apply(), total, run.budget)
    return total


def _find(run: _Run, *, backwards: bool = False) -> object:
    for item in run.each(backwards=backwards):
        if run.holds():
            return item
    if run.extra:
        raise ConditionError("index out of range: no element passes the filter", hint="use find(...), which gives nil")
    return None


def _find_index(run: _Run, *, backwards: bool = False) -> object:
    return next((run.scope.index for _ in run.each(backwards=backwards) if run.holds()), None)


def _group_by(run: _Run) -> object:
    groups = AnyMap(types.GROUPS)
    run.budget.allocate(len(run.items))
    for item in run.each():
        key = run.apply()
        group = groups.get(key)
        if not isinstance(group, list):
            group = []
            groups.put(key, group)
        group.append(item)
    return groups


def _sort_by(run: _Run) -> object:
    order = run.extra[0] if run.extra else "asc"
    run.budget.allocate(len(run.items))
    keyed = [(run.apply(), item) for item in run.each()]
    keyed = sort_values(keyed, order, lambda pair: pair[0], run.budget)
    return [item for _, item in keyed]


def _reduce(run: _Run) -> object:
    elements = run.each()
    if run.extra:
        run.scope.accumulator = run.extra[0]
    elif run.items:
        run.scope.accumulator = next(elements)
    else:
        hint = "give one: reduce(result, #acc + #, 0)"
        raise ConditionError("reduce of empty array with no initial value", hint=hint)
    for _ in elements:
        run.scope.accumulator = run.apply()
    return run.scope.accumulator


def sort_values(values: list[T], order: object, key: Callable[[T], object], budget: Budget) -> list[T]:
    """Return the values sorted by `<` on their keys; raises ConditionError when two keys cannot be compared."""
    if order not in ("asc", "desc"):
        raise ConditionError(f"unknown order {order}, use asc or desc")

    def compare(left: T, right: T) -> int:
        budget.spend()
        if operators.less(key(left), key(right)):
            return -1
        return 1 if operators.less(key(right), key(left)) else 0

    return sorted(values, key=cmp_to_key(compare), reverse=order == "desc")


_TRAVERSALS: Final[dict[str, Callable[[_Run], object]]] = {
    "all": lambda run: all(run.holds() for _ in run.each()),
    "none": lambda run: not any(run.holds() for _ in run.each()),
    "any": lambda run: any(run.holds() for _ in run.each()),
    "one": _one,
    "filter": _filter,
    "map": _map,
    "count": _count,
    "sum": _sum,
    "find": _find,
    "findIndex": _find_index,
    "findLast": lambda run: _find(run, backwards=True),
    "findLastIndex": lambda run: _find_index(run, backwards=True),
    "groupBy": _group_by,
    "sortBy": _sort_by,
    "reduce": _reduce,
}
