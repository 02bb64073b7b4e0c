"""How much work one condition may cause: a hostile condition can neither hang a worker nor grow its memory."""

from __future__ import annotations

from typing import Final

from tidegate.analysis.expressions.errors import ConditionError

MAX_TEXT: Final = 16_384
"""Longest condition, in characters."""
MAX_NODES: Final = 5_000
"""Most operands, operators and calls in one condition."""
MAX_DEPTH: Final = 120
"""Deepest nesting of a condition: a level takes two or three frames of Python's stack, which a workflow shares."""
PREDICATE_LEVELS: Final = 5
"""How many levels of nesting a predicate counts for, as it takes that many more frames."""
MAX_STEPS: Final = 200_000
"""Most operations of one evaluation: below a second, so that a workflow task is never taken for a deadlock."""
MAX_ITEMS: Final = 100_000
"""Most list elements and map entries that one evaluation may create."""
MAX_STRING: Final = 250_000
"""Longest string that an evaluation may create, in characters."""
MAX_NESTING: Final = 100
"""Deepest nesting of lists and maps that an evaluation may look into."""


class Budget:
    """Counts what one evaluation uses; `with budget:` goes one level deeper into a value.

    Everything here raises ConditionError when a limit is passed.
    """

    def __init__(self) -> None:
        self._steps = 0
        self._items = 0
        self._nesting = 0

    def spend(self, steps: int = 1) -> None:
        """Account for work, in operations."""
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise ConditionError(
                f"the condition needs more than {MAX_STEPS} operations",
                hint="let the query aggregate, or compare fewer elements",
            )

    def allocate(self, items: int) -> None:
        """Account for a new list or map of `items` entries, before it is made."""
        self.spend(items)
        self._items += items
        if self._items > MAX_ITEMS:
            raise ConditionError(
                f"memory budget exceeded: the condition makes more than {MAX_ITEMS} list elements",
                hint="let the query aggregate, or use a smaller range",
            )

    def string(self, length: int) -> None:
        """Account for a new string of `length` characters, before it is made."""
        self.spend(1 + length // 16)
        if length > MAX_STRING:
            raise ConditionError(f"memory budget exceeded: a string of more than {MAX_STRING} characters")

    def __enter__(self) -> None:
        """Go one level deeper into a value."""
        self.spend()
        if self._nesting >= MAX_NESTING:
            raise ConditionError(f"recursion depth exceeded: a value is nested more than {MAX_NESTING} levels deep")
        self._nesting += 1

    def __exit__(self, *_: object) -> None:
        self._nesting -= 1
