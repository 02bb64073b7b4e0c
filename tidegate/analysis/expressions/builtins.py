"""The built-in functions that take no predicate, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tidegate.analysis.expressions import listing, numeric, textual, times
from tidegate.analysis.expressions.environment import Environment
from tidegate.analysis.expressions.limits import Budget
from tidegate.analysis.expressions.rendering import from_json_text, go_type, render, to_json

_Plain = Callable[[list[object]], object]
_Budgeted = Callable[[list[object], Budget], object]

_PLAIN: Final[Mapping[str, _Plain]] = {
    **numeric.FUNCTIONS,
    **times.FUNCTIONS,
    "type": lambda arguments: go_type(arguments[0]),
}
_BUDGETED: Final[Mapping[str, _Budgeted]] = {
    **listing.FUNCTIONS,
    **numeric.AGGREGATES,
    **textual.FUNCTIONS,
    "string": lambda arguments, budget: render(arguments[0], budget),
    "toJSON": lambda arguments, budget: to_json(arguments[0], budget),
    "fromJSON": lambda arguments, budget: from_json_text(arguments[0], budget),
}


def call_builtin(name: str, arguments: list[object], environment: Environment) -> object:
    """Return what a built-in function gives; raises ConditionError when it does not take these values."""
    if name == "now":
        return times.now(arguments, environment.now)
    if name in _PLAIN:
        return _PLAIN[name](arguments)
    return _BUDGETED[name](arguments, environment.budget)
