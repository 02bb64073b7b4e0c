"""Kinds of result that a metric can have: its conditions are put to nothing else."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from tidegate.manifests.analysis_template import MetricProvider


class ResultKind(StrEnum):
    """Kind of `result` in a condition."""

    NUMBER = "a number"
    NUMBERS = "a list of numbers"
    TEXT = "text"
    BOOLEAN = "true or false"
    ITEMS = "a list"
    FIELDS = "an object"


_ANY: Final = tuple(ResultKind)
# Datadog's `avg:requests{*} by {host}`.
_GROUPED: Final = re.compile(r"\bby\s*\{")
# PromQL that may give a scalar: a function that does, a bare number, or whatever an argument will say.
_MAYBE_SCALAR: Final = re.compile(r"\b(?:scalar|time|pi)\s*\(|^[\s\d.eE+*/()-]+$|^\s*\{\{")


def result_kinds(provider: MetricProvider) -> tuple[ResultKind, ...]:
    """Kinds of result, apart from no data, that a provider may answer with; all of them where it is not one."""
    if len(provider.names()) != 1:
        return _ANY
    if provider.datadog is not None:
        grouped = any(map(_GROUPED.search, provider.datadog.texts().values()))
        return (ResultKind.NUMBERS if grouped and provider.datadog.version == "v2" else ResultKind.NUMBER,)
    if provider.prometheus is not None:
        numbers = (ResultKind.NUMBERS,)
        is_open = provider.prometheus.range_query is None and _MAYBE_SCALAR.search(provider.prometheus.query)
        return (ResultKind.NUMBER, *numbers) if is_open else numbers
    return _ANY
