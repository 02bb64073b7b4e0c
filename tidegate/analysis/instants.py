"""Expressions with a time as value, as `rangeQuery.start` of a Prometheus metric is one: `now() - duration("5m")`."""

from __future__ import annotations

from datetime import datetime

from tidegate.analysis.expressions.checker import check
from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.evaluator import evaluate
from tidegate.analysis.expressions.folding import fold
from tidegate.analysis.expressions.limits import Budget
from tidegate.analysis.expressions.parser import parse
from tidegate.analysis.expressions.types import NIL
from tidegate.analysis.expressions.values import type_name

__all__ = ["ConditionError", "evaluate_instant"]


def evaluate_instant(text: str, now: datetime) -> datetime:
    """The time that an expression stands for, `now` being what `now()` gives.

    The language is that of the conditions; there is no result to look at. Raises ConditionError, with the message of
    Argo's EvalTime where the value is no time.
    """
    root = parse(text)
    value = evaluate(fold(root, check(root, NIL)), None, now=now, budget=Budget())
    if isinstance(value, datetime):
        return value
    raise ConditionError(f"expected time.Time, but got {type_name(value)}")
