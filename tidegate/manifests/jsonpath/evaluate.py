"""Paths compiled once and put to documents, with bounded work: neither can be made to grow without end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final

from lark import Lark, Token, Tree, UnexpectedInput, UnexpectedToken
from pydantic import JsonValue

from tidegate.manifests.jsonpath.errors import PathError

MAX_LENGTH: Final = 1_000
"""Characters of a path."""
MAX_VALUES: Final = 100_000
"""Values that one step may lead to: `..` and `*` make many out of one."""

_GRAMMAR: Final = Lark.open("path.lark", rel_to=__file__, parser="lalr")
_ESCAPED: Final = re.compile(r"\\(.)")
_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}

Values = Sequence[JsonValue]


class JsonPath:
    """A path such as `{$.data.items[?(@.name=="p99")].value}`."""

    def __init__(self, text: str) -> None:
        """Raises PathError, with the column, for what is no path or does more than to select."""
        if len(text) > MAX_LENGTH:
            raise PathError(f"the path is longer than {MAX_LENGTH} characters")
        self._steps = _parse(text.strip())

    def find(self, document: JsonValue) -> Values:
        """All values that the path leads to, in the order of the document.

        Raises PathError where a field or an index does not exist, as client-go does, and when it would take too long.
        """
        return _walk([document], self._steps)


@lru_cache(maxsize=256)
def _parse(text: str) -> tuple[Tree[Token], ...]:
    try:
        tree = _GRAMMAR.parse(text)
    except UnexpectedInput as error:
        ended = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        at = "the end" if ended else f"column {error.column}"
        raise PathError(f"unexpected at {at} of {text!r}: a path is written like {{$.data.ok}}") from None
    return tuple(step for step in tree.children if isinstance(step, Tree))


def _walk(values: Values, steps: Sequence[Tree[Token]]) -> Values:
    for step in steps:
        values = list(islice(_STEPS[step.data](values, step), MAX_VALUES + 1))
        if len(values) > MAX_VALUES:
            raise PathError(f"the path leads to more than {MAX_VALUES} values")
    return values


def _field(values: Values, step: Tree[Token]) -> Iterator[JsonValue]:
    return _named(values, _unescaped(step.children[0]))


def _named(values: Values, name: str) -> Iterator[JsonValue]:
    found = [value[name] for value in values if isinstance(value, dict) and name in value]
    # A step that began with nothing (an empty list before it) misses nothing.
    if values and not found:
        raise PathError(f"{name} is not found")
    return iter(found)


def _wildcard(values: Values, _: Tree[Token]) -> Iterator[JsonValue]:
    return chain.from_iterable(_children(value) for value in values)


def _descent(values: Values, step: Tree[Token]) -> Iterator[JsonValue]:
    containers = list(islice(chain.from_iterable(map(_containers, values)), MAX_VALUES))
    return _named(containers, _unescaped(step.children[0])) if step.children else iter(containers)


def _array(values: Values, step: Tree[Token]) -> Iterator[JsonValue]:
    for selector in step.children:
        if isinstance(selector, Token):
            yield from _selected(values, selector)


def _selected(values: Values, selector: Token) -> Iterator[JsonValue]:
    if selector.type == "QUOTED":
        yield from _named(values, _unquoted(selector))
        return
    for value in values:
        if value is None:
            continue
        if not isinstance(value, list):
            raise PathError(f"{_kind(value)} is not array or slice")
        yield from _elements(value, selector)


def _elements(items: list[JsonValue], selector: Token) -> Sequence[JsonValue]:
    if selector.type == "ALL":
        return items
    if selector.type == "INT":
        return [items[_within(int(selector), len(items))]]
    start, end, step = (int(part) if part else None for part in f"{selector}:".split(":")[:3])
    if step is not None and step < 1:
        raise PathError(f"step must be 1 or more: {step}")
    first, last, pace = slice(start, end, step).indices(len(items))
    if end is not None and first < (end if end >= 0 else end + len(items)):
        _within(first, len(items))
        _within(last - 1 if end < 0 else end - 1, len(items))
    return items[first:last:pace]


def _within(index: int, length: int) -> int:
    if not -length <= index < length:
        raise PathError(f"array index out of bounds: index {index}, length {length}")
    return index


def _filter(values: Values, step: Tree[Token]) -> Iterator[JsonValue]:
    left, *rest = step.children
    for value in values:
        if not isinstance(value, list):
            raise PathError(f"{_kind(value)} is not array or slice and cannot be filtered")
        for item in value:
            if _holds(item, left, rest):
                yield item


def _holds(item: JsonValue, left: Tree[Token] | Token, rest: Sequence[Tree[Token] | Token]) -> bool:
    if not rest:
        try:
            return bool(_operand(item, left))
        except PathError:
            return False
    operator, right = rest
    sides = [_operand(item, side) for side in (left, right)]
    if any(len(side) != 1 for side in sides):
        raise PathError("can only compare one element at a time")
    (one,), (other,) = sides
    ordered = str(operator) not in ("==", "!=")
    if _kind(one) != _kind(other) or (ordered and _kind(one) not in ("number", "string")):
        raise PathError(f"incompatible types for comparison: {_kind(one)} {operator} {_kind(other)}")
    return _COMPARISONS[str(operator)](one, other)


def _operand(item: JsonValue, operand: Tree[Token] | Token) -> Values:
    if not isinstance(operand, Tree):
        raise PathError(f"{operand!r} is no operand")
    first = operand.children[0] if operand.children else None
    if isinstance(first, Tree) and first.data == "literal":
        return [_literal(first.children[0])]
    return _walk([item], [step for step in operand.children if isinstance(step, Tree)])


def _literal(token: Tree[Token] | Token) -> JsonValue:
    text = str(token)
    if isinstance(token, Token) and token.type == "QUOTED":
        return _unquoted(token)
    return text == "true" if text in ("true", "false") else float(text)


def _children(value: JsonValue) -> Sequence[JsonValue]:
    if isinstance(value, dict):
        return [value[key] for key in sorted(value)]
    return value if isinstance(value, list) else []


def _containers(value: JsonValue) -> Iterator[JsonValue]:
    """The value and all that it holds that hold something themselves, outermost first."""
    children = _children(value)
    if children:
        yield value
        for child in children:
            yield from _containers(child)


def _kind(value: JsonValue) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case None:
            return "null"
    return "map" if isinstance(value, dict) else "list"


def _unescaped(token: Tree[Token] | Token) -> str:
    return _ESCAPED.sub(r"\1", str(token))


def _unquoted(token: Token) -> str:
    return _unescaped(Token("NAME", token[1:-1]))


_STEPS: Final[dict[str, Callable[[Values, Tree[Token]], Iterator[JsonValue]]]] = {
    "field": _field,
    "wildcard": _wildcard,
    "descent": _descent,
    "array": _array,
    "filter": _filter,
}
