"""Built-in functions on numbers, and those that make one number of many."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tidegate.analysis.expressions.environment import parse_float, parse_int
from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.limits import Budget
from tidegate.analysis.expressions.operators import COMPARISONS, is_number, to_int
from tidegate.analysis.expressions.values import Duration, NamedInt, type_name, wrap_int


def _number(name: str, value: object) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise ConditionError(f"invalid argument for {name} (type {type_name(value)})")


def _abs(value: object) -> int | float:
    number = _number("abs", value)
    return wrap_int(abs(number)) if isinstance(number, int) else abs(number)


def _rounded(name: str, value: object, operate: Callable[[float], float]) -> float:
    number = float(_number(name, value))
    return operate(number) if math.isfinite(number) else number


def _half_away(number: float) -> float:
    whole = math.trunc(number)
    return math.copysign(abs(whole) + (abs(number - whole) >= 0.5), number)


def _int(value: object) -> int:
    if isinstance(value, str):
        try:
            return parse_int(value)
        except ValueError:
            raise ConditionError(
                f"invalid operation: int({value})", hint="int reads whole numbers only: int(float(...))"
            ) from None
    if isinstance(value, Duration):
        return value.nanoseconds
    if isinstance(value, NamedInt):
        return value.value
    return to_int(value)


def _float(value: object) -> float:
    if isinstance(value, str):
        try:
            return parse_float(value)
        except ValueError:
            raise ConditionError(f"invalid operation: float({value})") from None
    if is_number(value):
        return float(_number("float", value))
    raise ConditionError(f"invalid operation: float({type_name(value)})")


def _bits(name: str, operate: Callable[[int, int], int]) -> Callable[[list[object]], int]:
    def call(arguments: list[object]) -> int:
        left, right = (_bit_operand(name, argument) for argument in arguments)
        return wrap_int(operate(left, right))

    return call


def _bit_operand(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ConditionError(f"cannot use {type_name(value)} as argument (type int) to call {name}")


def _shift(operate: Callable[[int, int], int]) -> Callable[[int, int], int]:
    def call(value: int, bits: int) -> int:
        if bits < 0:
            raise ConditionError(f"invalid operation: negative shift count {bits} (type int)")
        return operate(value, min(bits, 64))

    return call


def _flat(name: str, values: list[object], budget: Budget) -> Iterator[int | float]:
    """Yield the numbers in values and in lists within them."""
    for value in values:
        budget.spend()
        if isinstance(value, list):
            with budget:
                yield from _flat(name, value, budget)
        else:
            yield _number(name, value)


def _extreme(name: str, arguments: list[object], budget: Budget) -> object:
    if len(arguments) == 1 and not isinstance(arguments[0], list):
        return arguments[0]
    replaces = COMPARISONS[">" if name == "max" else "<"]
    best: object = None
    for number in _flat(name, arguments, budget):
        if best is None or replaces(number, best):
            best = number
    return best


def _mean(arguments: list[object], budget: Budget) -> float:
    total, count = 0.0, 0
    for number in _flat("mean", arguments, budget):
        total, count = total + float(number), count + 1
    return total / count if count else 0.0


def _median(arguments: list[object], budget: Budget) -> float:
    # Go sorts NaN before every number.
    numbers = sorted((float(n) for n in _flat("median", arguments, budget)), key=lambda n: (not math.isnan(n), n))
    if not numbers:
        return 0.0
    middle = len(numbers) // 2
    return numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2


FUNCTIONS: Final[Mapping[str, Callable[[list[object]], object]]] = {
    "abs": lambda arguments: _abs(arguments[0]),
    "ceil": lambda arguments: _rounded("ceil", arguments[0], lambda n: math.copysign(math.ceil(n), n)),
    "floor": lambda arguments: _rounded("floor", arguments[0], lambda n: math.copysign(math.floor(n), n)),
    "round": lambda arguments: _rounded("round", arguments[0], _half_away),
    "int": lambda arguments: _int(arguments[0]),
    "float": lambda arguments: _float(arguments[0]),
    "bitand": _bits("bitand", lambda x, y: x & y),
    "bitor": _bits("bitor", lambda x, y: x | y),
    "bitxor": _bits("bitxor", lambda x, y: x ^ y),
    "bitnand": _bits("bitnand", lambda x, y: x & ~y),
    "bitshl": _bits("bitshl", _shift(lambda x, y: x << y)),
    "bitshr": _bits("bitshr", _shift(lambda x, y: x >> y)),
    "bitushr": _bits("bitushr", _shift(lambda x, y: (x % (1 << 64)) >> y)),
    "bitnot": lambda arguments: ~_bit_operand("bitnot", arguments[0]),
}
"""Functions whose work does not grow with their arguments."""
AGGREGATES: Final[Mapping[str, Callable[[list[object], Budget], object]]] = {
    "max": lambda arguments, budget: _extreme("max", arguments, budget),
    "min": lambda arguments, budget: _extreme("min", arguments, budget),
    "mean": _mean,
    "median": _median,
}
"""Functions over lists of numbers; an empty list has neither maximum nor minimum (nil), its mean and median are 0."""
