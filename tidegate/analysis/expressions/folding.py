"""Rewrites a checked condition as expr-lang's optimiser does, where that can be seen from outside.

`x && false` is false even when `x` would fail, `x in ["a", "b"]` fails for an `x` that is no string, `1 % 0` fails
wherever it stands, a sum of a list that is written out is added up from its end.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final, cast

from tidegate.analysis.expressions import operators, syntax
from tidegate.analysis.expressions.checker import Checked
from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.shortcuts import shorten
from tidegate.analysis.expressions.syntax import Binary, ListLiteral, Literal, MapLiteral, Node, Traversal, Unary

_SIMPLE: Final = (bool, int, float, str)
_COMPARED: Final = (bool, int, str)


def fold(node: Node, checked: Checked) -> Node:
    """Return the condition to run, with what checking it has found.

    Comparisons that insist on their types are written `===` and `!==`. Raises ConditionError with a column where a
    constant is divided by zero.
    """
    if isinstance(node, Literal):
        return Literal(node.column, float(node.value)) if id(node) in checked.floats and node.value else node
    if isinstance(node, Binary) and id(node) in checked.exact:
        node = replace(node, operator=f"{node.operator}=")
    if isinstance(node, Binary) and node.operator == "in" and _all_strings(node.right):
        node = replace(node, right=_string_set(node.right))
    folded = _with_children(node, checked)
    if isinstance(folded, Unary):
        return _unary(folded)
    if isinstance(folded, Binary):
        folded = _logic(folded) if folded.operator in ("&&", "||") else _binary(folded)
    if isinstance(folded, Traversal) and folded.name == "sum" and folded.predicate is None:
        return _sum(folded)
    return shorten(folded)


def _with_children(node: Node, checked: Checked) -> Node:
    changes: dict[str, Any] = {}
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, Node):
            changes[field.name] = fold(value, checked)
        elif isinstance(value, tuple):
            changes[field.name] = tuple(fold(item, checked) for item in value)
    return replace(node, **changes)


def _all_strings(node: Node) -> bool:
    return (
        isinstance(node, ListLiteral)
        and len(node.items) > 0
        and all(isinstance(item, Literal) and isinstance(item.value, str) for item in node.items)
    )


def _string_set(node: Node) -> Node:
    items = tuple(syntax.children(node))
    return MapLiteral(node.column, tuple(part for item in items for part in (item, Literal(item.column, True))))


def _unary(node: Unary) -> Node:
    if not isinstance(node.operand, Literal):
        return node
    value = node.operand.value
    if node.operator == "!" and isinstance(value, bool):
        return Literal(node.column, not value)
    if node.operator == "-" and operators.is_number(value):
        return _literal(node, operators.negate(value))
    return node.operand if node.operator == "+" and operators.is_number(value) else node


def _binary(node: Binary) -> Node:
    if not isinstance(node.left, Literal) or not isinstance(node.right, Literal):
        return node
    left, right = node.left.value, node.right.value
    if operators.is_number(left) and operators.is_number(right) and node.operator in _CONSTANT:
        try:
            return _literal(node, _CONSTANT[node.operator](left, right))
        except ConditionError as error:
            raise error.at(node.column) from None
    if node.operator in ("==", "===") and type(left) is type(right) and isinstance(left, _COMPARED):
        return Literal(node.column, left == right)
    if node.operator == "+" and isinstance(left, str) and isinstance(right, str):
        return Literal(node.column, left + right)
    return node


def _literal(node: Node, value: object) -> Literal:
    return Literal(node.column, cast("int | float", value))


def _logic(node: Binary) -> Node:
    absorbing = node.operator == "||"
    left, right = _constant(node.left), _constant(node.right)
    if left is (not absorbing):
        return node.right
    if right is (not absorbing):
        return node.left
    return Literal(node.column, absorbing) if absorbing in (left, right) else node


def _constant(node: Node) -> bool | None:
    return node.value if isinstance(node, Literal) and isinstance(node.value, bool) else None


def _sum(node: Traversal) -> Node:
    if not isinstance(node.collection, ListLiteral):
        return node
    items = node.collection.items
    if len(items) < 2 or all(isinstance(item, Literal) and isinstance(item.value, _SIMPLE) for item in items):
        return node
    total = items[-1]
    for item in reversed(items[:-1]):
        total = Binary(node.column, "+", item, total)
    return total


_CONSTANT: Final = {**operators.ARITHMETIC, "+": operators.add_numbers}
