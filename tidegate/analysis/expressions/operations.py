"""Which operators are defined for which types, and the type of what they give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.patterns import compile_pattern
from tidegate.analysis.expressions.types import (
    BOOL,
    BYTES,
    DURATION,
    FLOAT,
    INT,
    LIST,
    NIL,
    STRING,
    TIME,
    UNKNOWN,
    Kind,
    Type,
    assignable,
    comparable,
    list_of,
    spell,
)

_Test = Callable[[Type], bool]


def _is_number(kind: Type) -> bool:
    return kind.number


def _is_integer(kind: Type) -> bool:
    return kind.integer


def _is(wanted: Type) -> _Test:
    return lambda kind: kind.name == wanted.name


_TIME: Final = _is(TIME)
_DURATION: Final = _is(DURATION)
_STRING: Final = _is(STRING)
_BOOL: Final = _is(BOOL)

_RULES: Final[dict[str, tuple[tuple[_Test, _Test, Type | None], ...]]] = {
    "&&": ((_BOOL, _BOOL, BOOL),),
    "<": (
        (_is_number, _is_number, BOOL),
        (_STRING, _STRING, BOOL),
        (_TIME, _TIME, BOOL),
        (_DURATION, _DURATION, BOOL),
    ),
    "+": (
        (_is_number, _is_number, None),
        (_STRING, _STRING, STRING),
        (_TIME, _DURATION, TIME),
        (_DURATION, _TIME, TIME),
        (_DURATION, _DURATION, DURATION),
    ),
    "-": (
        (_is_number, _is_number, None),
        (_TIME, _TIME, DURATION),
        (_TIME, _DURATION, TIME),
        (_DURATION, _DURATION, DURATION),
    ),
    "*": (
        (_is_number, _is_number, None),
        (_is_number, _DURATION, DURATION),
        (_DURATION, _is_number, DURATION),
        (_DURATION, _DURATION, DURATION),
    ),
    "/": ((_is_number, _is_number, FLOAT),),
    "%": ((_is_integer, _is_integer, INT),),
    "..": ((_is_integer, _is_integer, list_of(INT)),),
    "matches": ((_STRING, _STRING, BOOL), (_is(BYTES), _STRING, BOOL)),
    "contains": ((_STRING, _STRING, BOOL),),
}
_SAME_RULES: Final = {
    "||": "&&",
    ">": "<",
    "<=": "<",
    ">=": "<",
    "**": "/",
    "startsWith": "contains",
    "endsWith": "contains",
}
_DYNAMIC_RESULTS: Final = {
    **dict.fromkeys(("&&", "||", "<", ">", "<=", ">=", "matches", "contains", "startsWith", "endsWith"), BOOL),
    **dict.fromkeys(("/", "**"), FLOAT),
    "%": INT,
    "..": list_of(INT),
}
"""What an operator gives when one side is not known; absent: that is not known either."""


def unary(operator: str, operand: Type) -> Type:
    """Return the type of a unary operation; raises ConditionError when it is not defined."""
    if operator == "!" and (operand.kind is Kind.BOOL or operand.unknown):
        return BOOL
    if operator != "!" and operand.unknown:
        return UNKNOWN
    if operator != "!" and operand.number:
        return operand
    raise ConditionError(f"invalid operation: {operator} (mismatched type {spell(operand)})")


def binary(operator: str, left: Type, right: Type) -> Type:
    """Return the type of a binary operation; raises ConditionError when it is not defined for these types."""
    if operator in ("==", "!="):
        if comparable(left, right):
            return BOOL
    elif operator == "in":
        return _membership(left, right)
    elif operator == "??":
        return _coalesced(left, right)
    else:
        rules = _RULES[_SAME_RULES.get(operator, operator)]
        for accepts_left, accepts_right, given in rules:
            if accepts_left(left) and accepts_right(right):
                return given or (FLOAT if Kind.FLOAT in (left.kind, right.kind) else INT)
        if _maybe(left, right, rules):
            return _DYNAMIC_RESULTS.get(operator, UNKNOWN)
    raise ConditionError(
        f"invalid operation: {operator} (mismatched types {spell(left)} and {spell(right)})", hint=_hint(left, right)
    )


def _maybe(left: Type, right: Type, rules: tuple[tuple[_Test, _Test, Type | None], ...]) -> bool:
    """True when the operation may turn out to be defined, because one side is not known yet."""
    if left.unknown and right.unknown:
        return True
    known = right if left.unknown else left
    accepted = any(accepts(known) for rule in rules for accepts in rule[:2]) and known.name != BYTES.name
    return accepted and (left.unknown or right.unknown)


def _hint(left: Type, right: Type) -> str:
    if NIL in (left, right):
        return "there is no data: write default(result, 0) or (result ?? 0) in place of result"
    if {left.kind, right.kind} <= {Kind.STRING, Kind.INT, Kind.INT64, Kind.FLOAT}:
        return "convert the text with asFloat(...)" if left.kind is not right.kind else ""
    if Kind.SLICE in (left.kind, right.kind):
        return "compare the elements: all(result, # < 1)"
    return ""


def _membership(left: Type, right: Type) -> Type:
    if right.kind is Kind.MAP:
        key = right.key or UNKNOWN
        if not (left.unknown or assignable(left, key)):
            raise ConditionError(f"cannot use {spell(left)} as type {key.name} in map key")
        return BOOL
    if right.kind is Kind.SLICE:
        if not comparable(left, right.item):
            raise ConditionError(f"cannot use {spell(left)} as type {spell(right.item)} in array")
        return BOOL
    if right.unknown or (left.unknown and right.kind is Kind.STRING):
        return BOOL
    raise ConditionError(f"invalid operation: in (mismatched types {spell(left)} and {spell(right)})")


def _coalesced(left: Type, right: Type) -> Type:
    if left is NIL:
        return right
    if right is NIL or assignable(right, left):
        return left
    return UNKNOWN


def common(then: Type, otherwise: Type) -> Type:
    """Return the type of a conditional with these two branches; what differs is not known."""
    if NIL in (then, otherwise):
        return otherwise if then is NIL else then
    if not assignable(then, otherwise):
        return UNKNOWN
    if then.kind is Kind.SLICE and otherwise.kind is Kind.SLICE:
        first, second = then.item, otherwise.item
        if not (assignable(first, second) and assignable(second, first)):
            return LIST
    return then


def check_pattern(pattern: str, column: int) -> None:
    """Raise ConditionError when a literal on the right of `matches` is not a regular expression."""
    try:
        compile_pattern(pattern)
    except ConditionError as error:
        raise error.at(column) from None
