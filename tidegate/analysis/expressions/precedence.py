"""Joins a flat row of operands and operators into a tree, by the precedences of expr-lang."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.limits import MAX_DEPTH
from tidegate.analysis.expressions.syntax import Binary, Node, Unary

_PIPE: Final = 0
_UNARY: Final = {"!": 50, "-": 90, "+": 90}
_BINARY: Final = {
    "||": 10,
    "&&": 15,
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">=", "in", "matches", "contains", "startsWith", "endsWith"), 20),
    "..": 25,
    "+": 30,
    "-": 30,
    "*": 60,
    "/": 60,
    "%": 60,
    "**": 100,
    "??": 500,
}
_ORDERING: Final = frozenset(("<", ">", "<=", ">="))
_RIGHT_ASSOCIATIVE: Final = frozenset(("**",))


@dataclass(frozen=True, slots=True)
class Prefix:
    """A unary operator as written: `-`, `+` or `!`."""

    symbol: str
    column: int


@dataclass(frozen=True, slots=True)
class Infix:
    """A binary operator as written; `negated` is the `not` of `not in`."""

    symbol: str
    column: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Pipe:
    """`| name(...)`: makes the call once what stands before it is known."""

    call: Callable[[Node], Node]


Item = Node | Prefix | Infix | Pipe


def join(row: Sequence[Item]) -> Node:
    """Return the tree of a row that the grammar has accepted.

    Raises ConditionError where `??` stands beside another operator without parentheses, as expr-lang does, and when
    prefix or right-associative operators are nested too deep.
    """
    return _Joiner(row).expression(_PIPE, 0)


class _Joiner:
    """Precedence climbing over a row; every method consumes what it returns."""

    def __init__(self, row: Sequence[Item]) -> None:
        self._row = row
        self._next = 0

    def expression(self, precedence: int, depth: int) -> Node:
        """Take an operand and all operators that bind at least as tightly as `precedence`."""
        if depth > MAX_DEPTH:
            raise ConditionError(f"operators are nested more than {MAX_DEPTH} levels deep")
        left = self._operand(depth)
        coalesced = False
        while (item := self._peek()) is not None:
            if isinstance(item, Pipe):
                if precedence > _PIPE:
                    break
                self._next += 1
                left, coalesced = item.call(left), False
                continue
            if not isinstance(item, Infix) or _BINARY[item.symbol] < precedence:
                break
            if coalesced and item.symbol != "??":
                raise ConditionError(
                    f"operator {item.symbol} and ?? cannot be mixed",
                    column=item.column,
                    hint="put the part with ?? in parentheses: (result ?? 0) < 1",
                )
            coalesced = item.symbol == "??"
            left = self._comparisons(left, depth) if item.symbol in _ORDERING else self._binary(left, depth)
        return left

    def _peek(self) -> Item | None:
        return self._row[self._next] if self._next < len(self._row) else None

    def _take_infix(self) -> Infix:
        item = self._row[self._next]
        self._next += 1
        return cast(Infix, item)

    def _operand(self, depth: int) -> Node:
        item = self._row[self._next]
        self._next += 1
        if isinstance(item, Prefix):
            return Unary(item.column, item.symbol, self.expression(_UNARY[item.symbol], depth + 1))
        return cast(Node, item)

    def _binary(self, left: Node, depth: int) -> Node:
        infix = self._take_infix()
        own = _BINARY[infix.symbol]
        right = self.expression(own if infix.symbol in _RIGHT_ASSOCIATIVE else own + 1, depth + 1)
        joined: Node = Binary(infix.column, infix.symbol, left, right)
        return Unary(infix.column, "!", joined) if infix.negated else joined

    def _comparisons(self, left: Node, depth: int) -> Node:
        """`1 < x < 10` means `1 < x && x < 10`."""
        joined, right = self._comparison(left, depth)
        while isinstance(item := self._peek(), Infix) and item.symbol in _ORDERING:
            comparison, right = self._comparison(right, depth)
            joined = Binary(item.column, "&&", joined, comparison)
        return joined

    def _comparison(self, left: Node, depth: int) -> tuple[Binary, Node]:
        infix = self._take_infix()
        right = self.expression(_BINARY[infix.symbol] + 1, depth + 1)
        return Binary(infix.column, infix.symbol, left, right), right
