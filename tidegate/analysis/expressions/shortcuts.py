"""Traversals that stop as soon as their outcome is known, as expr-lang's optimiser arranges them.

An element that the predicate cannot be applied to is an error only when it is looked at: `count(xs, # > 1) > 0` stops
at the first element that counts.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Final

from tidegate.analysis.expressions.syntax import Binary, Builtin, Literal, Member, Node, Traversal

_COMBINED: Final = {("all", "&&"): "&&", ("any", "||"): "||", ("none", "&&"): "||"}
_ENDS: Final = {0: "find", -1: "findLast"}
_FIRST_AND_LAST: Final = {"first": "find", "last": "findLast"}


def shorten(node: Node) -> Node:
    """Return a node that looks at no more elements than expr-lang does, or the same node."""
    if isinstance(node, Binary):
        return _combined(node) if node.operator in ("&&", "||") else _limited(node)
    if isinstance(node, Member):
        return _indexed(node)
    if isinstance(node, Builtin) and len(node.arguments) == 1:
        return _wrapped(node)
    return node


def _limited(node: Binary) -> Node:
    """`count(...) > 2` counts to three."""
    count, number = node.left, node.right
    if not isinstance(count, Traversal) or count.name != "count" or count.predicate is None:
        return node
    if not isinstance(number, Literal) or type(number.value) is not int or number.value < 0:
        return node
    if node.operator not in ("<", "<=", ">", ">="):
        return node
    enough = number.value + (node.operator in (">", "<="))
    if enough > 1:
        return replace(node, left=replace(count, extra=Literal(number.column, enough)))
    return replace(count, name="any") if enough == 1 and node.operator in (">", ">=") else node


def _indexed(node: Member) -> Node:
    """`filter(...)[0]` looks for one element, which must be there."""
    found = node.base
    if not isinstance(found, Traversal) or found.name != "filter" or node.optional:
        return node
    if not isinstance(node.key, Literal) or type(node.key.value) is not int or node.key.value not in _ENDS:
        return node
    return replace(found, name=_ENDS[node.key.value], extra=Literal(node.column, True))


def _wrapped(node: Builtin) -> Node:
    """`first(filter(...))` looks for one element, `len(filter(...))` keeps none."""
    (found,) = node.arguments
    if not isinstance(found, Traversal) or found.name != "filter":
        return node
    if node.name == "len":
        return replace(found, name="count")
    return replace(found, name=_FIRST_AND_LAST[node.name]) if node.name in _FIRST_AND_LAST else node


def _combined(node: Binary) -> Node:
    """`all(xs, a) && all(xs, b)` goes through the list once."""
    left, right = node.left, node.right
    if not isinstance(left, Traversal) or not isinstance(right, Traversal) or left.name != right.name:
        return node
    operator = _COMBINED.get((left.name, node.operator))
    if operator is None or left.predicate is None or right.predicate is None:
        return node
    if not _same(left.collection, right.collection):
        return node
    return replace(left, predicate=shorten(Binary(node.column, operator, left.predicate, right.predicate)))


def _same(left: object, right: object) -> bool:
    """True when two parts of a condition are written alike."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))
    if not isinstance(left, Node) or type(left) is not type(right):
        return type(left) is type(right) and left == right
    names = [field.name for field in fields(left) if field.name != "column"]
    return all(_same(getattr(left, name), getattr(right, name)) for name in names)
