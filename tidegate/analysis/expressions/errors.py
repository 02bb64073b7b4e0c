"""Errors of a condition: where they are, and what to write instead."""

from __future__ import annotations


class ConditionError(ValueError):
    """A condition cannot be read, its types do not fit the result, or it failed while it was evaluated.

    `message` says what is wrong, `column` where (characters from the start of the condition, the first is 1; None when
    no place is to blame), `hint` what to write instead ('' when there is no good advice).
    """

    def __init__(self, message: str, *, column: int | None = None, hint: str = "") -> None:
        super().__init__(message, column, hint)
        self.message = message
        self.column = column
        self.hint = hint

    def at(self, column: int) -> ConditionError:
        """Return this error with a place; a place that is already known is more exact and stays."""
        if self.column is not None:
            return self
        return ConditionError(self.message, column=column, hint=self.hint)

    def __str__(self) -> str:
        location = f" (column {self.column})" if self.column is not None else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.message}{location}{hint}"
