"""Shares of a whole in percent."""

from __future__ import annotations

from typing import Final

ALL: Final = 100


def percent_of(part: int, whole: int) -> int:
    """Percent of `whole`, rounded; 0 and 100 only where it is nothing and all."""
    if part <= 0 or part >= whole:
        return 0 if part <= 0 else ALL
    return min(ALL - 1, max(1, round(ALL * part / whole)))
