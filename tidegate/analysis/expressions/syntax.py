"""The syntax tree of a condition. Every node knows the column (from 1) that an error about it points at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from tidegate.analysis.expressions.limits import PREDICATE_LEVELS


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One part of a condition; nodes are compared by identity, because equal text may stand in two places."""

    column: int


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Node):
    """A value that is written out; None is `nil`."""

    value: bool | int | float | str | bytes | None


@dataclass(frozen=True, slots=True, eq=False)
class Identifier(Node):
    """`result`, a function of the environment, or a variable made by `let`."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Pointer(Node):
    """`#` (name is ''), `#index` or `#acc` inside a predicate."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Unary(Node):
    """`-x`, `+x`, `!x`; `not` is written `!` here."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True, eq=False)
class Binary(Node):
    """Two operands; `and`, `or` and `^` are written `&&`, `||` and `**` here."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, eq=False)
class Conditional(Node):
    """`condition ? then : otherwise`, or `if` with `else`."""

    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True, eq=False)
class Member(Node):
    """`base.name`, `base[key]`; with `optional` a nil base ends the surrounding Chain with nil."""

    base: Node
    key: Node
    optional: bool


@dataclass(frozen=True, slots=True, eq=False)
class Chain(Node):
    """How far a `?.` reaches when what stands before it is nil."""

    body: Node


@dataclass(frozen=True, slots=True, eq=False)
class Slice(Node):
    """`base[start:stop]`; an absent end is None."""

    base: Node
    start: Node | None
    stop: Node | None


@dataclass(frozen=True, slots=True, eq=False)
class Call(Node):
    """A call of a function of the environment, of a variable, or of a method (the callee is a Member then)."""

    callee: Node
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Builtin(Node):
    """A call of a built-in function."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Traversal(Node):
    """A built-in that runs a predicate over a list.

    `extra` is the order of sortBy or the start value of reduce; after folding also how far count has to count, and
    that find has to find something.
    """

    name: str
    collection: Node
    predicate: Node | None
    extra: Node | None


@dataclass(frozen=True, slots=True, eq=False)
class Let(Node):
    """`let name = value; body`."""

    name: str
    value: Node
    body: Node


@dataclass(frozen=True, slots=True, eq=False)
class Sequence(Node):
    """Expressions one after the other; the last one is the value."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ListLiteral(Node):
    """`[a, b]`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MapLiteral(Node):
    """`{key: value}`; keys and values alternate in `entries`."""

    entries: tuple[Node, ...]


def children(node: Node) -> Iterator[Node]:
    """Yield the nodes directly below `node`, in the order in which they are written."""
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from value


def walk(root: Node) -> Iterator[tuple[Node, int]]:
    """Yield every node with its depth (the root has 1), without recursion: the tree is not trusted yet."""
    pending = [(root, 1)]
    while pending:
        node, depth = pending.pop()
        yield node, depth
        below = depth + (PREDICATE_LEVELS if isinstance(node, Traversal) else 1)
        pending.extend((child, below) for child in children(node))
