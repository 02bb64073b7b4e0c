"""Operators on values while a condition runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.limits import Budget
from tidegate.analysis.expressions.values import (
    AnyMap,
    Duration,
    TypedList,
    truncate,
    type_name,
    wrap_int,
)


def is_number(value: object) -> bool:
    """True when the value is an integer or a float; booleans are neither."""
    return type(value) is int or type(value) is float


def equal(left: object, right: object, budget: Budget) -> bool:
    """`==`: numbers by value, lists element by element, everything else only when the types agree."""
    budget.spend()
    if is_number(left) and is_number(right):
        return left == right if type(left) is type(right) else _float(left) == _float(right)
    if isinstance(left, list) and isinstance(right, list):
        if isinstance(left, TypedList) and isinstance(right, TypedList) and left.kind != right.kind:
            return False
        if len(left) != len(right):
            return False
        with budget:
            return all(equal(a, b, budget) for a, b in zip(left, right, strict=True))
    return identical(left, right, budget)


def equal_exactly(left: object, right: object) -> bool:
    """`==` where checking has found two integers or two strings; raises ConditionError when one is nil after all."""
    if type(left) is not type(right) or not isinstance(left, int | str):
        raise ConditionError(
            f"invalid operation: {type_name(left)} == {type_name(right)}", hint="one side is nil: write (... ?? 0)"
        )
    return left == right


def identical(left: object, right: object, budget: Budget) -> bool:
    """Go's deep equality, which maps are compared by: 1 and 1.0 differ."""
    budget.spend()
    if type(left) is not type(right):
        return False
    with budget:
        if isinstance(left, list) and isinstance(right, list):
            return len(left) == len(right) and all(identical(a, b, budget) for a, b in zip(left, right, strict=True))
        if isinstance(left, dict) and isinstance(right, dict):
            return left.keys() == right.keys() and all(identical(left[key], right[key], budget) for key in left)
        if isinstance(left, AnyMap) and isinstance(right, AnyMap):
            return len(left) == len(right) and all(
                right.has(key) and identical(value, right.get(key), budget) for key, value in left.items()
            )
    return left == right


def contains(needle: object, haystack: object, budget: Budget) -> bool:
    """`in`: an element of a list or a key of a map; nothing is in nil."""
    if haystack is None:
        return False
    if isinstance(haystack, list):
        return any(equal(item, needle, budget) for item in haystack)
    if isinstance(haystack, dict):
        return map_key(needle) in haystack
    if isinstance(haystack, AnyMap):
        return haystack.has(needle)
    raise ConditionError(f'operator "in" not defined on {type_name(haystack)}')


def map_key(key: object) -> str:
    """Return a key for a map with string keys; nil stands for the empty string."""
    if key is None:
        return ""
    if isinstance(key, str):
        return key
    raise ConditionError(f"a {type_name(key)} cannot be a key of a map with string keys")


def fetch(base: object, key: object) -> object:
    """Return `base[key]`: an element (negative counts from the end) or the value of a key (nil when absent)."""
    if isinstance(base, dict):
        return base.get(map_key(key))
    if isinstance(base, AnyMap):
        return base.get(key)
    if isinstance(base, list):
        return base[position(key, len(base))]
    if isinstance(base, str | bytes):
        raw = base if isinstance(base, bytes) else encode(base)
        return raw[position(key, len(raw))]
    raise ConditionError(
        f"cannot fetch {key} from {type_name(base)}",
        hint="guard it with ?. or ??" if base is None else "",
    )


def position(key: object, length: int) -> int:
    """Return an index that is inside a list of `length`; raises ConditionError when it is not."""
    index = to_int(key)
    if index < 0:
        index += length
    if not 0 <= index < length:
        raise ConditionError(f"index out of range: {index} (array length is {length})")
    return index


def cut(base: object, start: object, stop: object, budget: Budget) -> object:
    """Return `base[start:stop]`; ends outside the list are moved to its ends."""
    if not isinstance(base, list | str | bytes):
        raise ConditionError(f"cannot slice {type_name(base)}")
    if isinstance(base, str):
        raw = encode(base)
        return decode(raw[_bounds(start, stop, len(raw), budget)])
    part = base[_bounds(start, stop, len(base), budget)]
    return TypedList(list(part), base.kind) if isinstance(base, TypedList) else part


def _bounds(start: object, stop: object, length: int, budget: Budget) -> slice:
    last = _clamp(length if stop is None else to_int(stop), length)
    first = min(_clamp(0 if start is None else to_int(start), length), last)
    budget.allocate(last - first)
    return slice(first, last)


def _clamp(index: int, length: int) -> int:
    return max(index + length if index < 0 else index, 0) if index < length else length


def encode(text: str) -> bytes:
    """Return the bytes of a string, which are what Go counts and cuts."""
    return text.encode("utf-8", "surrogateescape")


def decode(raw: bytes) -> str:
    """Return the string of bytes, also when a character was cut in half."""
    return raw.decode("utf-8", "surrogateescape")


def to_int(value: object) -> int:
    """Return a number as an integer, towards zero; raises ConditionError for anything else."""
    if type(value) is int:
        return value
    if type(value) is float:
        return truncate(value)
    raise ConditionError(f"invalid operation: int({type_name(value)})")


def _float(value: object) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    raise ConditionError(f"invalid operation: float({type_name(value)})")


def _undefined(symbol: str, left: object, right: object) -> ConditionError:
    hint = "there is no data: write default(result, 0), or result ?? 0" if left is None or right is None else ""
    return ConditionError(f"invalid operation: {type_name(left)} {symbol} {type_name(right)}", hint=hint)


def less(left: object, right: object) -> bool:
    """`<` for two numbers, strings, times or durations."""
    return _ordered("<", left, right, lambda a, b: a < b)


def _ordered(symbol: str, left: object, right: object, compare: Callable[..., bool]) -> bool:
    if is_number(left) and is_number(right):
        return compare(left, right) if type(left) is type(right) else compare(_float(left), _float(right))
    if isinstance(left, str) and isinstance(right, str):
        return compare(encode(left), encode(right))
    if isinstance(left, datetime | Duration) and type(left) is type(right):
        return compare(left, right)
    raise _undefined(symbol, left, right)


def add(left: object, right: object, budget: Budget) -> object:
    """`+` for numbers, strings, and times with durations."""
    if is_number(left) and is_number(right):
        return add_numbers(left, right)
    if isinstance(left, str) and isinstance(right, str):
        budget.string(len(left) + len(right))
        return left + right
    if isinstance(left, Duration) and isinstance(right, Duration):
        return Duration(wrap_int(left.nanoseconds + right.nanoseconds))
    if isinstance(left, datetime) and isinstance(right, Duration):
        return shift(left, right.nanoseconds)
    if isinstance(left, Duration) and isinstance(right, datetime):
        return shift(right, left.nanoseconds)
    raise _undefined("+", left, right)


def add_numbers(left: object, right: object) -> int | float:
    """`+` for numbers alone."""
    return _arithmetic(left, right, lambda a, b: a + b)


def subtract(left: object, right: object) -> object:
    """`-` for numbers, times and durations."""
    if is_number(left) and is_number(right):
        return _arithmetic(left, right, lambda a, b: a - b)
    if isinstance(left, Duration) and isinstance(right, Duration):
        return Duration(wrap_int(left.nanoseconds - right.nanoseconds))
    if isinstance(left, datetime) and isinstance(right, datetime):
        return Duration((left - right) // timedelta(microseconds=1) * 1000)
    if isinstance(left, datetime) and isinstance(right, Duration):
        return shift(left, -right.nanoseconds)
    raise _undefined("-", left, right)


def multiply(left: object, right: object) -> object:
    """`*` for numbers, and for numbers with durations."""
    if is_number(left) and is_number(right):
        return _arithmetic(left, right, lambda a, b: a * b)
    if isinstance(left, Duration) and isinstance(right, Duration):
        return Duration(wrap_int(left.nanoseconds * right.nanoseconds))
    if isinstance(left, Duration) and is_number(right):
        return _scaled(left, right)
    if isinstance(right, Duration) and is_number(left):
        return _scaled(right, left)
    raise _undefined("*", left, right)


def divide(left: object, right: object) -> float:
    """`/`: always a float; by zero it is infinite, or NaN for 0 / 0."""
    if not (is_number(left) and is_number(right)):
        raise _undefined("/", left, right)
    dividend, divisor = _float(left), _float(right)
    if divisor != 0:
        return dividend / divisor
    if dividend == 0 or math.isnan(dividend):
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1.0, divisor)


def modulo(left: object, right: object) -> int:
    """`%` for integers: the sign is that of the left one."""
    if type(left) is not int or type(right) is not int:
        raise _undefined("%", left, right)
    if right == 0:
        raise ConditionError("integer divide by zero")
    return wrap_int(int(math.copysign(1, left)) * (abs(left) % abs(right)))


def power(left: object, right: object) -> float:
    """`**`: always a float."""
    base, exponent = _float(left), _float(right)
    try:
        return math.pow(base, exponent)
    except OverflowError:
        odd = exponent == math.floor(exponent) and exponent % 2 == 1
        return -math.inf if base < 0 and odd else math.inf
    except ValueError:
        if base != 0:
            return math.nan
        odd = exponent == math.floor(exponent) and exponent % 2 == 1
        return math.copysign(math.inf, base) if odd else math.inf


def negate(value: object) -> object:
    """`-x` for a number."""
    if type(value) is int:
        return wrap_int(-value)
    if type(value) is float:
        return -value
    raise ConditionError(f"invalid operation: - {type_name(value)}")


def shift(timestamp: datetime, nanoseconds: int) -> datetime:
    """Return a time moved by nanoseconds, which are kept to the microsecond."""
    try:
        return timestamp + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        raise ConditionError("a time before year 1 or after year 9999") from None


def _scaled(duration: Duration, factor: object) -> Duration | float:
    if type(factor) is int:
        return Duration(wrap_int(duration.nanoseconds * factor))
    return duration.nanoseconds * _float(factor)


def _arithmetic(left: object, right: object, operate: Callable[..., int | float]) -> int | float:
    if type(left) is int and type(right) is int:
        return wrap_int(int(operate(left, right)))
    return operate(_float(left), _float(right))


COMPARISONS: Final[dict[str, Callable[[object, object], bool]]] = {
    "<": less,
    ">": lambda left, right: _ordered(">", left, right, lambda a, b: a > b),
    "<=": lambda left, right: _ordered("<=", left, right, lambda a, b: a <= b),
    ">=": lambda left, right: _ordered(">=", left, right, lambda a, b: a >= b),
}
"""The ordering operators."""
ARITHMETIC: Final[dict[str, Callable[[object, object], object]]] = {
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": modulo,
    "**": power,
}
"""The arithmetic operators that make no string."""
