"""Datadog's formulas: read, rename the queries in them, evaluate them on numbers without `eval`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

MAX_CHARACTERS = 10_000
MAX_DEPTH = 200

_GRAMMAR = r"""
    ?start: sum
    ?sum: product
        | sum "+" product -> add
        | sum "-" product -> subtract
    ?product: factor
        | product "*" factor -> multiply
        | product "/" factor -> divide
    ?factor: "-" factor -> negate
        | "+" factor
        | atom
    ?atom: NUMBER -> number
        | NAME -> query
        | NAME "(" [argument ("," argument)*] ")" -> call
        | "(" sum ")"
    ?argument: sum
        | STRING -> text
    NAME: /[A-Za-z_][A-Za-z0-9_]*/
    NUMBER: /([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?/
    STRING: /'[^']*'|"[^"]*"/
    %ignore /\s+/
"""
_OPERATORS: dict[str, Callable[[float, float], float]] = {
    "add": lambda left, right: left + right,
    "subtract": lambda left, right: left - right,
    "multiply": lambda left, right: left * right,
}

Node = Tree[Token]


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr")


class FormulaError(ValueError):
    """A formula that cannot be read; the text names the place."""


class NotComputableError(ValueError):
    """A formula that can be read and holds a function that only Datadog can compute."""


@dataclass(frozen=True)
class FormulaResult:
    """Value of a formula, None for no data, and the queries that were taken as 0 to compute it."""

    value: float | None
    assumed_zero: frozenset[str] = frozenset()


class Formula:
    """A formula such as `errors / hits * 100`; `text` is how it was written."""

    def __init__(self, text: str) -> None:
        """Read `text`. Raises FormulaError."""
        self.text = text
        self._tree = _parse(text)

    @property
    def queries(self) -> frozenset[str]:
        """Names of the queries it refers to."""
        return frozenset(str(token) for token in self._references(self._tree))

    def rename(self, names: Mapping[str, str]) -> str:
        """Its text with queries renamed and everything else (functions, texts, spaces) as it was written."""
        text, end = "", 0
        for token in sorted(self._references(self._tree), key=_start):
            text += self.text[end : _start(token)] + names.get(str(token), str(token))
            end = _start(token) + len(token)
        return text + self.text[end:]

    def evaluate(self, values: Mapping[str, float | None]) -> float | None:
        """Its value; None when a query without data is needed, or at a division by zero. Raises NotComputableError."""
        return self._value(self._tree, values)

    def evaluate_ratio(self, values: Mapping[str, float | None]) -> FormulaResult:
        """Its value where a counter that never fired counts as 0.

        A query without data is taken as 0 if it stands inside a division whose denominator has data; a denominator
        without any data, or of 0, is no data. Raises NotComputableError.
        """
        absent = frozenset(name for name in self.queries if values.get(name) is None)
        if not absent or any(name not in self._excused(self._tree, values) for name in absent):
            return FormulaResult(self.evaluate(values))
        value = self.evaluate({**values, **dict.fromkeys(absent, 0.0)})
        return FormulaResult(value, absent if value is not None else frozenset())

    def _excused(self, node: Node, values: Mapping[str, float | None]) -> frozenset[str]:
        """Queries below `node` that stand inside a division whose denominator has data."""
        if node.data == "divide":
            below = {str(token) for token in self._references(_child(node, 1))}
            if any(values.get(name) is not None for name in below):
                return frozenset(str(token) for token in self._references(node))
        return frozenset[str]().union(*(self._excused(child, values) for child in _children(node)))

    def _references(self, node: Node) -> Iterator[Token]:
        if node.data == "query":
            yield _token(node)
        for child in _children(node):
            yield from self._references(child)

    def _value(self, node: Node, values: Mapping[str, float | None]) -> float | None:
        if node.data == "number":
            return float(_token(node))
        if node.data == "query":
            return values.get(str(_token(node)))
        if node.data == "call":
            return self._call(node, values)
        operands = [self._value(child, values) for child in _children(node)]
        present = [operand for operand in operands if operand is not None]
        return _finite(_compute(node.data, present)) if len(present) == len(operands) else None

    def _call(self, node: Node, values: Mapping[str, float | None]) -> float | None:
        name, arguments = str(_token(node)), list(_children(node))
        if name == "default_zero" and len(arguments) == 1:
            return self._value(arguments[0], values) or 0.0
        raise NotComputableError(f"{name}() can be computed by Datadog only")


def _compute(operator: str, operands: list[float]) -> float | None:
    if operator == "negate":
        return -operands[0]
    left, right = operands
    if operator == "divide":
        return left / right if right else None
    return _OPERATORS[operator](left, right)


@lru_cache(maxsize=256)
def _parse(text: str) -> Node:
    if len(text) > MAX_CHARACTERS:
        raise FormulaError(f"formula is longer than {MAX_CHARACTERS} characters")
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise FormulaError(
            f"formula {text[:80]!r} cannot be read at {text[error.pos_in_stream or 0 :][:20]!r}"
        ) from error
    level = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
    if level:
        raise FormulaError(f"formula {text[:80]!r} is nested more than {MAX_DEPTH} levels deep")
    return tree


def _children(node: Node) -> Iterator[Node]:
    return (child for child in node.children if isinstance(child, Tree))


def _child(node: Node, index: int) -> Node:
    return list(_children(node))[index]


def _token(node: Node) -> Token:
    return next(child for child in node.children if isinstance(child, Token))


def _start(token: Token) -> int:
    return token.start_pos or 0


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
