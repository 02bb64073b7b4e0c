"""The walk over a condition's tree: each kind of node has its method, and an error gets the column of its node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, Generic, TypeVar

from tidegate.analysis.expressions import syntax
from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.syntax import Node

T = TypeVar("T")

_METHODS: Final[dict[type[Node], str]] = {
    syntax.Literal: "_literal",
    syntax.Identifier: "_identifier",
    syntax.Pointer: "_pointer",
    syntax.Unary: "_unary",
    syntax.Binary: "_binary",
    syntax.Conditional: "_conditional",
    syntax.Member: "_member",
    syntax.Chain: "_chain",
    syntax.Slice: "_slice",
    syntax.Call: "_call",
    syntax.Builtin: "_builtin",
    syntax.Traversal: "_traversal",
    syntax.Let: "_let",
    syntax.Sequence: "_sequence",
    syntax.ListLiteral: "_list",
    syntax.MapLiteral: "_map",
}


class Visitor(Generic[T]):
    """Says of each node what it comes to: a type, or a value. A class that lacks a method cannot be defined."""

    _methods: ClassVar[dict[type[Node], Callable[..., Any]]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # Once for each class, as a walk visits many nodes.
        cls._methods = {kind: getattr(cls, name) for kind, name in _METHODS.items()}

    def visit(self, node: Node) -> T:
        """Return what a node comes to; raises ConditionError with the column of what is wrong."""
        try:
            self._enter()
            found: T = self._methods[type(node)](self, node)
        except ConditionError as error:
            raise error.at(node.column) from None
        return found

    def _enter(self) -> None:
        """Account for one more node."""
