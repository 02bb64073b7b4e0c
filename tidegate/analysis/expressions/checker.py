"""Checks the types of a condition against the result that it will see, before anything runs (expr-lang's rules).

A float compared with a string, or nil with a number, is an error even where `||` or `?:` would never look at it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from tidegate.analysis.expressions import operations, syntax, types
from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.signatures import BUILTINS, ENVIRONMENT, METHODS, Rule, check_call
from tidegate.analysis.expressions.syntax import Node
from tidegate.analysis.expressions.types import (
    ANY,
    BOOL,
    BYTES,
    FLOAT,
    INT,
    LIST,
    MAP,
    NIL,
    STRING,
    UNKNOWN,
    Kind,
    Type,
    list_of,
    spell,
)
from tidegate.analysis.expressions.visitor import Visitor

_LITERALS: Final[dict[type, Type]] = {bool: BOOL, int: INT, float: FLOAT, str: STRING, bytes: BYTES, type(None): NIL}
_INDEXED: Final = frozenset(("map", "reduce"))
_BOOLEAN_PREDICATES: Final = frozenset(
    ("all", "none", "any", "one", "filter", "count", "find", "findLast", "findIndex", "findLastIndex")
)


@dataclass(frozen=True, slots=True)
class Checked:
    """Result of checking: the type of the condition, and two kinds of nodes by their identity.

    `floats` are integer literals that stand for floats; `exact` are comparisons of two integers or of two strings,
    which fail when one side turns out to be nil.
    """

    type: Type
    floats: frozenset[int]
    exact: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Scope:
    """Type of `#` inside a predicate."""

    collection: Type
    names: dict[str, Type] = field(default_factory=dict)


def check(root: Node, result: Type) -> Checked:
    """Return the type of a condition over a result of type `result`; raises ConditionError with a column."""
    checker = _Checker(result)
    return Checked(checker.visit(root), frozenset(checker.floats), frozenset(checker.exact))


class _Checker(Visitor[Type]):
    def __init__(self, result: Type) -> None:
        self._environment = {"result": result, **ENVIRONMENT}
        self._variables: dict[str, Type] = {}
        self._scopes: list[_Scope] = []
        self.floats: set[int] = set()
        self.exact: set[int] = set()

    def _literal(self, node: syntax.Literal) -> Type:
        return _LITERALS[type(node.value)]

    def _identifier(self, node: syntax.Identifier) -> Type:
        known = self._variables.get(node.name) or self._environment.get(node.name)
        if known is not None:
            return known
        if node.name in BUILTINS:
            raise ConditionError(f"{node.name} is a function", hint=f"call it: {node.name}(result)")
        names = [*self._variables, *self._environment]
        near = difflib.get_close_matches(node.name, [*names, *BUILTINS], n=1)
        raise ConditionError(
            f"unknown name {node.name}", hint=f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
        )

    def _pointer(self, node: syntax.Pointer) -> Type:
        if not self._scopes:
            raise ConditionError("# outside of a predicate", hint="# is an element, inside of all(result, # < 1)")
        scope = self._scopes[-1]
        if not node.name:
            return UNKNOWN if scope.collection.unknown else scope.collection.item
        if node.name not in scope.names:
            raise ConditionError(f"unknown pointer #{node.name}", hint="map knows #index, reduce #index and #acc")
        return scope.names[node.name]

    def _unary(self, node: syntax.Unary) -> Type:
        return operations.unary(node.operator, self.visit(node.operand))

    def _binary(self, node: syntax.Binary) -> Type:
        left, right = self.visit(node.left), self.visit(node.right)
        if node.operator == "matches" and isinstance(node.right, syntax.Literal) and isinstance(node.right.value, str):
            operations.check_pattern(node.right.value, node.right.column)
        if node.operator in ("==", "!=") and left == right and left in (INT, STRING):
            self.exact.add(id(node))
        return operations.binary(node.operator, left, right)

    def _conditional(self, node: syntax.Conditional) -> Type:
        condition = self.visit(node.condition)
        if condition.kind is not Kind.BOOL and not condition.unknown:
            raise ConditionError(
                f"non-bool expression (type {spell(condition)}) used as condition", column=node.condition.column
            )
        return operations.common(self.visit(node.then), self.visit(node.otherwise))

    def _member(self, node: syntax.Member) -> Type:
        base, key = self.visit(node.base), self.visit(node.key)
        if base.unknown:
            return UNKNOWN
        name = node.key.value if isinstance(node.key, syntax.Literal) else None
        if isinstance(name, str):
            method = METHODS.get(base.name, {}).get(name)
            if method is not None:
                return method
        if base.kind is Kind.MAP:
            if not (key.unknown or types.assignable(key, base.key or ANY)):
                raise ConditionError(f"cannot use {spell(key)} to get an element from {base.name}")
            return base.item
        if base.kind is Kind.SLICE:
            if not (key.integer or key.unknown):
                raise ConditionError(f"array elements can only be selected using an integer (got {spell(key)})")
            return base.item
        raise _no_member(base, key, name)

    def _chain(self, node: syntax.Chain) -> Type:
        return self.visit(node.body)

    def _slice(self, node: syntax.Slice) -> Type:
        base = self.visit(node.base)
        if base.kind not in (Kind.STRING, Kind.SLICE) and not base.unknown:
            raise ConditionError(f"cannot slice {spell(base)}")
        for end in (node.start, node.stop):
            index = INT if end is None else self.visit(end)
            if not (index.integer or index.unknown):
                raise ConditionError(f"non-integer slice index {spell(index)}")
        return UNKNOWN if base.unknown else base

    def _call(self, node: syntax.Call) -> Type:
        callee = self.visit(node.callee)
        arguments = [self.visit(argument) for argument in node.arguments]
        if callee.unknown:
            return UNKNOWN
        result = check_call(_callee_name(node.callee), (callee.called,), arguments)
        for argument, given, wanted in zip(node.arguments, arguments, callee.called.parameters, strict=True):
            if given.integer and wanted.kind is Kind.FLOAT:
                self.floats.update(_integers(argument))
        return result

    def _builtin(self, node: syntax.Builtin) -> Type:
        arguments = [self.visit(argument) for argument in node.arguments]
        rule = BUILTINS[node.name]
        if not isinstance(rule, Rule):
            return check_call(node.name, rule, arguments)
        result = rule.check(node.name, arguments)
        return _element_of(*arguments) if node.name == "get" else result

    def _traversal(self, node: syntax.Traversal) -> Type:
        collection = self.visit(node.collection)
        if collection.kind is not Kind.SLICE and not collection.unknown:
            raise ConditionError(
                f"{node.name} takes only a list (got {spell(collection)})", column=node.collection.column
            )
        given = self._predicate(node, collection)
        if node.extra is not None:
            extra = self.visit(node.extra)
            if node.name == "sortBy" and extra.kind is not Kind.STRING and not extra.unknown:
                raise ConditionError(f"the order of sortBy must be 'asc' or 'desc' (got {spell(extra)})")
        return _traversal_result(node.name, collection, given)

    def _predicate(self, node: syntax.Traversal, collection: Type) -> Type | None:
        if node.predicate is None:
            return None
        names = {"index": INT} if node.name in _INDEXED else {}
        with self._scope(_Scope(collection, {**names, "acc": UNKNOWN} if node.name == "reduce" else names)):
            given = self.visit(node.predicate)
        if given is NIL:
            raise ConditionError(f"the predicate of {node.name} is always nil", column=node.predicate.column)
        if node.name in _BOOLEAN_PREDICATES and given.kind is not Kind.BOOL and not given.unknown:
            raise ConditionError(
                f"the predicate of {node.name} should return boolean (got {spell(given)})",
                column=node.predicate.column,
                hint="compare the element: # < 1",
            )
        return given

    @contextmanager
    def _scope(self, scope: _Scope) -> Iterator[None]:
        self._scopes.append(scope)
        try:
            yield
        finally:
            self._scopes.pop()

    def _let(self, node: syntax.Let) -> Type:
        if node.name in self._environment or node.name in self._variables or node.name in BUILTINS:
            raise ConditionError(f"cannot redeclare {node.name}", hint="choose another name")
        self._variables[node.name] = self.visit(node.value)
        try:
            return self.visit(node.body)
        finally:
            del self._variables[node.name]

    def _sequence(self, node: syntax.Sequence) -> Type:
        return [self.visit(part) for part in node.parts][-1]

    def _list(self, node: syntax.ListLiteral) -> Type:
        items = [self.visit(item) for item in node.items]
        if all(item.kind is items[0].kind for item in items):
            return list_of(items[-1] if items else UNKNOWN)
        return LIST

    def _map(self, node: syntax.MapLiteral) -> Type:
        for entry in node.entries:
            self.visit(entry)
        return MAP


def _no_member(base: Type, key: Type, name: object) -> ConditionError:
    if base is NIL:
        hint = "there is no data here: guard it with ?. or default(...)"
        message = f"type nil has no field {name}" if name else f"type nil[{spell(key)}] is undefined"
        return ConditionError(message, hint=hint)
    if isinstance(name, str):
        return ConditionError(f"type {base.name} has no field or method {name}")
    hint = "the result is one number, not a list" if base.number else ""
    return ConditionError(f"type {base.name}[{spell(key)}] is undefined", hint=hint)


def _callee_name(callee: Node) -> str:
    if isinstance(callee, syntax.Identifier):
        return callee.name
    if isinstance(callee, syntax.Member) and isinstance(callee.key, syntax.Literal):
        return str(callee.key.value)
    return "function"


def _element_of(base: Type, key: Type) -> Type:
    """The type of get(base, key)."""
    if base.unknown:
        return UNKNOWN
    if base.kind is Kind.SLICE and (key.integer or key.unknown):
        return base.item
    if base.kind is Kind.MAP and (key.unknown or types.assignable(key, base.key or ANY)):
        return base.item
    raise ConditionError(f"cannot use {spell(key)} to get an element from {spell(base)}")


def _integers(node: Node) -> Iterator[int]:
    """Yield the integer literals that become floats where a float is wanted: `isNaN(1 + 2)`."""
    if isinstance(node, syntax.Literal):
        if type(node.value) is int:
            yield id(node)
    elif isinstance(node, syntax.Unary):
        yield from _integers(node.operand)
    elif isinstance(node, syntax.Binary) and node.operator in ("+", "-", "*"):
        yield from _integers(node.left)
        yield from _integers(node.right)


def _traversal_result(name: str, collection: Type, predicate: Type | None) -> Type:
    element = UNKNOWN if collection.unknown else collection.item
    outcome = ANY if predicate is None or predicate.unknown else types.erased(predicate)
    results: dict[str, Callable[[], Type]] = {
        "filter": lambda: LIST if collection.unknown else list_of(element),
        "map": lambda: list_of(UNKNOWN if predicate is None else predicate),
        "sum": lambda: element if predicate is None else outcome,
        "find": lambda: element,
        "findLast": lambda: element,
        "groupBy": lambda: types.GROUPS,
        "sortBy": lambda: collection,
        "reduce": lambda: UNKNOWN if predicate is None else predicate,
    }
    if name in results:
        return results[name]()
    return INT if name in ("count", "findIndex", "findLastIndex") else BOOL
