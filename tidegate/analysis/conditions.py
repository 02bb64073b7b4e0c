"""Conditions: what a metric's successCondition and failureCondition say of a result.

The language is expr-lang 1.17 with the names that Argo Rollouts adds. A condition is read once and evaluated often; its
types are checked against each kind of result before it runs, as Argo does.

It differs from Argo on purpose where an answer could be an accident:

* work, sizes and nesting are limited (see expressions/limits.py), and so are the sizes of regular expressions;
* `sort` of something that is no list, and a predicate over the entries of a map, are errors;
* `findLast` beside another operand does not spoil that operand;
* `now()` is the time that the evaluation is given, so that a verdict can be replayed;
* `\\p{Greek}` and other scripts are not known in regular expressions, general categories are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property, lru_cache

from pydantic import JsonValue

from tidegate.analysis.expressions import syntax, types
from tidegate.analysis.expressions.checker import check
from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.evaluator import evaluate
from tidegate.analysis.expressions.folding import fold
from tidegate.analysis.expressions.limits import Budget
from tidegate.analysis.expressions.parser import parse
from tidegate.analysis.expressions.types import Kind, Type
from tidegate.analysis.expressions.values import from_json, type_name, type_of
from tidegate.manifests.providers.results import ResultKind

__all__ = ["ConditionError", "ResultCondition", "compile_condition"]

_TYPES = {
    ResultKind.NUMBER: types.FLOAT,
    ResultKind.NUMBERS: types.FLOATS,
    ResultKind.TEXT: types.STRING,
    ResultKind.BOOLEAN: types.BOOL,
    ResultKind.ITEMS: types.LIST,
    ResultKind.FIELDS: types.MAP,
}
_NIL_AWARE = frozenset(("default", "isNil"))


class ResultCondition:
    """A condition that could be read; make one with `compile_condition`. It does not change and may be shared."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._root = parse(text)
        self._programs: dict[Type, syntax.Node | ConditionError] = {}

    @property
    def text(self) -> str:
        """The condition as written."""
        return self._text

    def evaluate(self, result: JsonValue, *, now: datetime | None = None) -> bool:
        """Return what the condition says of a result; None is a result without data.

        A float is Go's float64, an int Go's int, a list of numbers []float64; any other list or map is decoded JSON,
        where every number is a float. `now` is what `now()` gives.

        Raises ConditionError when the types do not fit the result, when evaluating fails or takes too much, and when
        the value is no boolean.
        """
        budget = Budget()
        subject = from_json(result, budget)
        value = evaluate(self._program(type_of(subject)), subject, now=now, budget=budget)
        if isinstance(value, bool):
            return value
        raise _not_boolean(type_name(value))

    def check(self, kinds: Sequence[ResultKind] = tuple(ResultKind)) -> None:
        """Raise ConditionError when the condition could be put to no result of these kinds.

        A result of any kind is tried first: what is wrong then is wrong with every one.
        """
        self._program(types.ANY)
        rejections = [rejection for kind in kinds if (rejection := self._rejection(_TYPES[kind]))]
        if rejections and len(rejections) == len(kinds):
            raise rejections[0]

    def _rejection(self, subject: Type) -> ConditionError | None:
        try:
            self._program(subject)
        except ConditionError as error:
            return error
        return None

    @cached_property
    def handles_no_data(self) -> bool:
        """True when the condition provides for a result without data: it asks for it, and has an answer for it."""
        return any(_asks_for_nil(node) for node, _ in syntax.walk(self._root)) and self._answers(None)

    @cached_property
    def handles_no_elements(self) -> bool:
        """True when the condition provides for an empty list: it asks how long one is, and has an answer for it."""
        return any(_asks_for_length(node) for node, _ in syntax.walk(self._root)) and self._answers([])

    def _answers(self, result: JsonValue) -> bool:
        try:
            self.evaluate(result)
        except ConditionError:
            return False
        return True

    def _program(self, subject: Type) -> syntax.Node:
        """Return what to run for results of a type; checking it is done once."""
        if subject not in self._programs:
            try:
                self._programs[subject] = self._prepare(subject)
            except ConditionError as error:
                self._programs[subject] = error
        program = self._programs[subject]
        if isinstance(program, ConditionError):
            raise ConditionError(program.message, column=program.column, hint=program.hint)
        return program

    def _prepare(self, subject: Type) -> syntax.Node:
        checked = check(self._root, subject)
        if checked.type.kind not in (Kind.BOOL, Kind.ANY, Kind.NOTHING):
            raise _not_boolean(checked.type.name)
        return fold(self._root, checked)

    def __repr__(self) -> str:
        return f"Condition({self._text!r})"


@lru_cache(maxsize=1024)
def compile_condition(text: str) -> ResultCondition:
    """Return a condition; raises ConditionError with the column of what cannot be read."""
    return ResultCondition(text)


def _asks_for_nil(node: syntax.Node) -> bool:
    match node:
        case syntax.Identifier(name=name):
            return name in _NIL_AWARE
        case syntax.Binary(operator="??") | syntax.Literal(value=None):
            return True
    return False


def _asks_for_length(node: syntax.Node) -> bool:
    return isinstance(node, syntax.Builtin) and node.name == "len"


def _not_boolean(name: str) -> ConditionError:
    return ConditionError(f"expected bool, but got {name}", hint="compare it with something: result < 0.01")
