"""The names that Argo Rollouts gives to a condition beside the language's own: result, asInt, asFloat, isNil ..."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.limits import Budget
from tidegate.analysis.expressions.literals import INT_MAX, INT_MIN
from tidegate.analysis.expressions.signatures import ENVIRONMENT
from tidegate.analysis.expressions.values import Function, truncate, type_name

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,40}")
_DIGITS: Final = r"[0-9](?:_?[0-9])*"
_DECIMAL: Final = re.compile(rf"[+-]?(?:{_DIGITS}\.?|(?:{_DIGITS})?\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?")
_SPECIAL: Final = re.compile(r"[+-]?inf(?:inity)?|nan", re.IGNORECASE | re.ASCII)
_HEXADECIMAL: Final = re.compile(r"[+-]?0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)p[+-]?[0-9]+", re.IGNORECASE | re.ASCII)


class Environment:
    """Environment of one evaluation: the result, the time that `now()` gives, and the budget."""

    def __init__(self, result: object, now: datetime | None, budget: Budget) -> None:
        self._result = result
        self._now = now
        self.budget = budget

    @property
    def now(self) -> datetime:
        """The time that `now()` gives; raises ConditionError when the evaluation was given none."""
        if self._now is None:
            raise ConditionError("now() has no time here: a verdict must be the same whenever it is worked out again")
        return self._now

    def lookup(self, name: str) -> object:
        """Return the value of a name; raises ConditionError when it is not known."""
        if name == "result":
            return self._result
        if name in ENVIRONMENT:
            return Function(name)
        raise ConditionError(f"unknown name {name}")

    def call(self, name: str, arguments: Sequence[object]) -> object:
        """Call a function of the environment; raises ConditionError when it does not take these values.

        `isNil` and `default` look at the result of the measurement, whatever their first argument is (Argo's rule).
        """
        expected = 2 if name == "default" else 1
        if len(arguments) != expected:
            raise ConditionError(f"invalid number of arguments: expected {expected}, got {len(arguments)}")
        if name == "isNil":
            return self._result is None
        if name == "default":
            return arguments[1] if self._result is None else self._result
        if name == "asInt":
            return _as_int(arguments[0])
        if name == "asFloat":
            return _as_float(arguments[0])
        return _classify(name, arguments[0])


def parse_int(text: str) -> int:
    """Return a base-10 integer as Go's strconv reads it; raises ValueError."""
    if _INTEGER.fullmatch(text) is None:
        raise ValueError(f'parsing "{text}": invalid syntax')
    value = int(text)
    if not INT_MIN <= value <= INT_MAX:
        raise ValueError(f'parsing "{text}": value out of range')
    return value


def parse_float(text: str) -> float:
    """Return a float as Go's strconv reads it ("1e3", "NaN", "+Inf"); raises ValueError."""
    if _HEXADECIMAL.fullmatch(text):
        return float.fromhex(text)
    special = _SPECIAL.fullmatch(text) is not None
    if not special and _DECIMAL.fullmatch(text) is None:
        raise ValueError(f'parsing "{text}": invalid syntax')
    value = float(text)
    if math.isinf(value) and not special:
        raise ValueError(f'parsing "{text}": value out of range')
    return value


def _as_int(value: object) -> int:
    if type(value) is int:
        return value
    if type(value) is float:
        return truncate(value)
    if isinstance(value, str):
        try:
            return parse_int(value)
        except ValueError as error:
            raise ConditionError(
                f"asInt: {error}", hint="asInt reads whole numbers only; asFloat reads numbers with a point"
            ) from None
    raise _unsupported("asInt", value)


def _as_float(value: object) -> float:
    if type(value) is int or type(value) is float:
        return float(value)
    if isinstance(value, str):
        try:
            return parse_float(value)
        except ValueError as error:
            raise ConditionError(f"asFloat: {error}") from None
    raise _unsupported("asFloat", value)


def _unsupported(name: str, value: object) -> ConditionError:
    hint = f"there is no data: {name}(default(result, 0))" if value is None else ""
    return ConditionError(f"{name}() not supported on {type_name(value)}", hint=hint)


def _classify(name: str, value: object) -> bool:
    if type(value) is not float:
        raise ConditionError(f"{name} takes a float, not {type_name(value)}", hint=f"{name}(asFloat(...))")
    return math.isnan(value) if name == "isNaN" else math.isinf(value)
