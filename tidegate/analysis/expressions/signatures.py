"""Signatures of built-in functions and those of Argo's environment, checked before a condition runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tidegate.analysis.expressions import types
from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.types import (
    ANY,
    BOOL,
    DURATION,
    FLOAT,
    FLOATS,
    INT,
    INT64,
    INTS,
    LIST,
    LOCATION,
    STRING,
    STRINGS,
    TIME,
    Kind,
    Signature,
    Type,
)

_SEQUENCES: Final = frozenset((Kind.ANY, Kind.SLICE))
_MAPS: Final = frozenset((Kind.ANY, Kind.MAP))
_NUMBERS: Final = frozenset((Kind.ANY, Kind.INT, Kind.INT64, Kind.FLOAT))


@dataclass(frozen=True, slots=True)
class Rule:
    """Accepts arguments by their kinds; `result` is a type, or makes one from the types of the arguments."""

    accepts: tuple[frozenset[Kind], ...]
    result: Type | Callable[[Sequence[Type]], Type]
    variadic: bool = False

    def check(self, name: str, arguments: Sequence[Type]) -> Type:
        """Return the type of a call; raises ConditionError when the arguments do not fit."""
        too_few = len(arguments) < len(self.accepts)
        if too_few or (len(arguments) > len(self.accepts) and not self.variadic):
            expected = f"at least {len(self.accepts)}" if self.variadic else str(len(self.accepts))
            raise ConditionError(f"{name} takes {expected} argument(s), but got {len(arguments)}")
        for index, argument in enumerate(arguments):
            kind = Kind.ANY if argument.unknown else argument.kind
            if kind not in self.accepts[min(index, len(self.accepts) - 1)]:
                raise ConditionError(
                    f"invalid argument for {name} (type {types.spell(argument)})",
                    hint=f"there is no data here: {name}(default(result, []))" if argument is types.NIL else "",
                )
        seen = [ANY if argument.unknown else types.erased(argument) for argument in arguments]
        return self.result(seen) if callable(self.result) else self.result


def _first(arguments: Sequence[Type]) -> Type:
    return arguments[0]


def _first_element(arguments: Sequence[Type]) -> Type:
    return ANY if arguments[0].kind is Kind.ANY else arguments[0].item


def _aggregate(arguments: Sequence[Type]) -> Type:
    """A list anywhere makes the result dynamic: it may be empty."""
    if any(argument.kind in _SEQUENCES for argument in arguments):
        return ANY
    return arguments[0]


def _overloads(result: Type, *parameters: tuple[Type, ...]) -> tuple[Signature, ...]:
    return tuple(Signature(each, result) for each in parameters)


_AGGREGATE: Final = Rule((_NUMBERS | _SEQUENCES,), _aggregate, variadic=True)
_ROUND: Final = Rule((_NUMBERS,), FLOAT)
_CONVERTIBLE: Final = _NUMBERS | {Kind.STRING}
_BITS: Final = _overloads(INT, (INT, INT))
_AFFIX: Final = _overloads(STRING, (STRING, STRING), (STRING,))
_SEARCH: Final = _overloads(INT, (STRING, STRING))
_SPLIT: Final = _overloads(STRINGS, (STRING, STRING), (STRING, STRING, INT))
_TEXT: Final = _overloads(STRING, (STRING,))
_SORTABLE: Final = (LIST, INTS, FLOATS, STRINGS)

BUILTINS: Final[Mapping[str, Rule | tuple[Signature, ...]]] = {
    "abs": Rule((_NUMBERS,), _first),
    "bitand": _BITS,
    "bitnand": _BITS,
    "bitnot": _overloads(INT, (INT,)),
    "bitor": _BITS,
    "bitshl": _BITS,
    "bitshr": _BITS,
    "bitushr": _BITS,
    "bitxor": _BITS,
    "ceil": _ROUND,
    "concat": Rule((_SEQUENCES,), LIST, variadic=True),
    "date": _overloads(TIME, (ANY,), (ANY, ANY), (ANY, ANY, ANY), (LOCATION, ANY, ANY, ANY)),
    "duration": _overloads(DURATION, (STRING,)),
    "first": Rule((_SEQUENCES,), _first_element),
    "flatten": Rule((_SEQUENCES,), LIST),
    "float": Rule((_CONVERTIBLE,), FLOAT),
    "floor": _ROUND,
    "fromBase64": _TEXT,
    "fromJSON": _overloads(ANY, (STRING,)),
    "fromPairs": Rule((_SEQUENCES,), types.ANY_MAP),
    "get": Rule((frozenset(Kind), frozenset(Kind)), ANY),
    "hasPrefix": _overloads(BOOL, (STRING, STRING)),
    "hasSuffix": _overloads(BOOL, (STRING, STRING)),
    "indexOf": _SEARCH,
    "int": Rule((_CONVERTIBLE,), INT),
    "join": _overloads(STRING, (STRINGS, STRING), (LIST, STRING), (LIST,), (STRINGS,)),
    "keys": Rule((_MAPS,), LIST),
    "last": Rule((_SEQUENCES,), _first_element),
    "lastIndexOf": _SEARCH,
    "len": Rule((_SEQUENCES | _MAPS | {Kind.STRING},), INT),
    "lower": _TEXT,
    "max": _AGGREGATE,
    "mean": _AGGREGATE,
    "median": _AGGREGATE,
    "min": _AGGREGATE,
    "now": _overloads(TIME, (), (LOCATION,)),
    "repeat": _overloads(STRING, (STRING, INT)),
    "replace": _overloads(STRING, (STRING, STRING, STRING, INT), (STRING, STRING, STRING)),
    "reverse": Rule((_SEQUENCES,), LIST),
    "round": _ROUND,
    "sort": _overloads(LIST, *((kind, STRING) for kind in _SORTABLE), *((kind,) for kind in _SORTABLE)),
    "split": _SPLIT,
    "splitAfter": _SPLIT,
    "string": _overloads(STRING, (ANY,)),
    "take": Rule((_SEQUENCES, frozenset((Kind.ANY, Kind.INT, Kind.INT64))), _first),
    "timezone": _overloads(LOCATION, (STRING,)),
    "toBase64": _TEXT,
    "toJSON": _overloads(STRING, (ANY,)),
    "toPairs": Rule((_MAPS,), LIST),
    "trim": _overloads(STRING, (STRING,), (STRING, STRING)),
    "trimPrefix": _AFFIX,
    "trimSuffix": _AFFIX,
    "type": _overloads(STRING, (ANY,)),
    "uniq": Rule((_SEQUENCES,), LIST),
    "upper": _TEXT,
    "values": Rule((_MAPS,), LIST),
}
"""The built-in functions that take no predicate."""

ENVIRONMENT: Final[Mapping[str, Type]] = {
    "asInt": types.function(INT64, ANY),
    "asFloat": types.function(FLOAT, ANY),
    "isNaN": types.function(BOOL, FLOAT),
    "isInf": types.function(BOOL, FLOAT),
    "isNil": types.function(BOOL, ANY),
    "default": types.function(ANY, ANY, ANY),
}
"""The functions that Argo Rollouts adds."""

_DURATION_METHODS: Final = {
    "Abs": types.function(DURATION),
    "Hours": types.function(FLOAT),
    "Microseconds": types.function(INT64),
    "Milliseconds": types.function(INT64),
    "Minutes": types.function(FLOAT),
    "Nanoseconds": types.function(INT64),
    "Round": types.function(DURATION, DURATION),
    "Seconds": types.function(FLOAT),
    "String": types.function(STRING),
    "Truncate": types.function(DURATION, DURATION),
}
_TIME_METHODS: Final = {
    "Add": types.function(TIME, DURATION),
    "AddDate": types.function(TIME, INT, INT, INT),
    "After": types.function(BOOL, TIME),
    "Before": types.function(BOOL, TIME),
    "Compare": types.function(INT, TIME),
    "Day": types.function(INT),
    "Equal": types.function(BOOL, TIME),
    "Format": types.function(STRING, STRING),
    "Hour": types.function(INT),
    "In": types.function(TIME, LOCATION),
    "IsZero": types.function(BOOL),
    "Minute": types.function(INT),
    "Month": types.function(types.MONTH),
    "Nanosecond": types.function(INT),
    "Second": types.function(INT),
    "Sub": types.function(DURATION, TIME),
    "UTC": types.function(TIME),
    "Unix": types.function(INT64),
    "UnixMilli": types.function(INT64),
    "Weekday": types.function(types.WEEKDAY),
    "Year": types.function(INT),
    "YearDay": types.function(INT),
}
_NAMED = {"String": types.function(STRING)}

METHODS: Final[Mapping[str, Mapping[str, Type]]] = {
    DURATION.name: _DURATION_METHODS,
    TIME.name: _TIME_METHODS,
    types.MONTH.name: _NAMED,
    types.WEEKDAY.name: _NAMED,
}
"""The methods of each type that has some."""


def check_call(name: str, signatures: Sequence[Signature], arguments: Sequence[Type]) -> Type:
    """Return the type of a call of the first signature that fits; raises ConditionError of the last one otherwise."""
    problem = ConditionError(f"{name} cannot be called")
    for signature in signatures:
        fault = _misfit(name, signature, arguments)
        if fault is None:
            return signature.result
        problem = fault
    raise problem


def _misfit(name: str, signature: Signature, arguments: Sequence[Type]) -> ConditionError | None:
    expected = len(signature.parameters)
    if len(arguments) != expected:
        amount = "not enough" if len(arguments) < expected else "too many"
        return ConditionError(f"{amount} arguments to call {name}", hint=f"{name} takes {expected}")
    for given, wanted in zip(arguments, signature.parameters, strict=True):
        if given.integer and wanted.number:
            continue
        if given is types.NIL and wanted.kind not in (Kind.ANY, Kind.POINTER):
            return ConditionError(
                f"cannot use nil as argument (type {wanted.name}) to call {name}",
                hint="there is no data here: guard it with default(result, 0)",
            )
        if not (given.unknown or types.assignable(given, wanted)):
            return ConditionError(f"cannot use {types.spell(given)} as argument (type {wanted.name}) to call {name}")
    return None
