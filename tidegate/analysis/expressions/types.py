"""The types that a condition is checked with before it runs: those of Go, as far as a measurement can reach them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from tidegate.analysis.expressions.errors import ConditionError


class Kind(Enum):
    """Kind of a type: the operations that it allows. NOTHING is the kind of nil and of what is not known."""

    NOTHING = auto()
    ANY = auto()
    BOOL = auto()
    INT = auto()
    INT64 = auto()
    FLOAT = auto()
    STRING = auto()
    SLICE = auto()
    MAP = auto()
    FUNCTION = auto()
    STRUCT = auto()
    POINTER = auto()


@dataclass(frozen=True, slots=True)
class Type:
    """A type with Go's spelling in `name`.

    `element` is what indexing gives, which may be known better than the name says: a list literal of integers is a
    `[]interface {}` whose element is `int`. `named` marks types that count as numbers to Go but not to the language.
    """

    name: str
    kind: Kind
    element: Type | None = None
    key: Type | None = None
    signature: Signature | None = None
    named: bool = False

    @property
    def unknown(self) -> bool:
        """True when every use is allowed and looked at only when it happens."""
        return self is UNKNOWN or self.kind is Kind.ANY

    @property
    def integer(self) -> bool:
        """True when it is a plain integer."""
        return self.kind in (Kind.INT, Kind.INT64) and not self.named

    @property
    def number(self) -> bool:
        """True when it is a plain integer or a float."""
        return self.integer or self.kind is Kind.FLOAT

    @property
    def called(self) -> Signature:
        """How a function is called; raises ConditionError for anything else."""
        if self.signature is None:
            raise ConditionError(f"{spell(self)} is not callable")
        return self.signature

    @property
    def item(self) -> Type:
        """Type of an element, as indexing gives it."""
        return self.element if self.element is not None else UNKNOWN


@dataclass(frozen=True, slots=True)
class Signature:
    """Types of a function's parameters and of its result."""

    parameters: tuple[Type, ...]
    result: Type


UNKNOWN: Final = Type("unknown", Kind.NOTHING)
NIL: Final = Type("nil", Kind.NOTHING)
ANY: Final = Type("interface {}", Kind.ANY)
BOOL: Final = Type("bool", Kind.BOOL)
INT: Final = Type("int", Kind.INT)
INT64: Final = Type("int64", Kind.INT64)
FLOAT: Final = Type("float64", Kind.FLOAT)
STRING: Final = Type("string", Kind.STRING)
BYTES: Final = Type("[]uint8", Kind.SLICE, element=INT)
LIST: Final = Type("[]interface {}", Kind.SLICE, element=ANY)
INTS: Final = Type("[]int", Kind.SLICE, element=INT)
FLOATS: Final = Type("[]float64", Kind.SLICE, element=FLOAT)
STRINGS: Final = Type("[]string", Kind.SLICE, element=STRING)
MAP: Final = Type("map[string]interface {}", Kind.MAP, element=ANY, key=STRING)
ANY_MAP: Final = Type("map[interface {}]interface {}", Kind.MAP, element=ANY, key=ANY)
GROUPS: Final = Type("map[interface {}][]interface {}", Kind.MAP, element=LIST, key=ANY)
TIME: Final = Type("time.Time", Kind.STRUCT)
DURATION: Final = Type("time.Duration", Kind.INT64, named=True)
LOCATION: Final = Type("*time.Location", Kind.POINTER)
MONTH: Final = Type("time.Month", Kind.INT, named=True)
WEEKDAY: Final = Type("time.Weekday", Kind.INT, named=True)

_NILABLE: Final = frozenset((Kind.ANY, Kind.SLICE, Kind.MAP, Kind.FUNCTION, Kind.POINTER))


def list_of(element: Type) -> Type:
    """Return the type of a list literal, or of what `map` makes."""
    return Type(LIST.name, Kind.SLICE, element=element)


def function(result: Type, *parameters: Type) -> Type:
    """Return the type of a function."""
    names = ", ".join(parameter.name for parameter in parameters)
    return Type(f"func({names}) {result.name}", Kind.FUNCTION, signature=Signature(parameters, result))


def erased(kind: Type) -> Type:
    """Return a type without what is known of its elements beyond its name, as built-in functions see it."""
    return LIST if kind.name == LIST.name else kind


def assignable(source: Type, target: Type) -> bool:
    """True when a value of `source` may stand where `target` is declared (Go's rule)."""
    if source is NIL and target.kind in _NILABLE:
        return True
    if source.kind is Kind.NOTHING or target.kind is Kind.NOTHING:
        return False
    return target.kind is Kind.ANY or source.name == target.name


def comparable(left: Type, right: Type) -> bool:
    """True when `==` is defined: any two numbers, any two lists, nil with everything, else equal types."""
    return (
        left.unknown
        or right.unknown
        or NIL in (left, right)
        or (left.number and right.number)
        or (left.kind is Kind.SLICE and right.kind is Kind.SLICE)
        or assignable(left, right)
    )


def spell(kind: Type) -> str:
    """Return the name for a message; nil has no type and is called unknown, as in expr-lang."""
    return "unknown" if kind is NIL else kind.name
