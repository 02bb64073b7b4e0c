"""Numbers of readings as people read them: few figures, and never so few that a limit is met or missed by rounding."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from decimal import Context, Decimal
from typing import Final

FIGURES: Final = 4
_MOST: Final = 40  # figures, and zeros before or after them; more than a double has
_FRACTION: Final = re.compile(r"(?<![\w.])-?\d+\.\d+(?:[eE][+-]?\d+)?(?![\w.])")
_NUMBER: Final = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")


def shortened(text: str, *conditions: str) -> str:
    """The text with each fraction in four figures, or as many as tell it from the numbers in the conditions."""
    return _FRACTION.sub(_replaced(limits_in(*conditions)), text)


def limits_in(*conditions: str) -> list[Decimal]:
    """Numbers that stand in conditions: each may be a limit."""
    found = (float(number) for condition in conditions for number in _NUMBER.findall(condition))
    return [Decimal(repr(each)) for each in found if math.isfinite(each)]


def rounded(number: Decimal, limits: Iterable[Decimal], figures: int = FIGURES) -> Decimal:
    """The number in so many figures, its whole part kept, or in more until it is on its own side of each limit."""
    bounds = list(limits)
    fewest = max(figures, number.adjusted() + 1)
    attempts = (Context(prec=many).plus(number) for many in range(fewest, max(fewest, _MOST) + 1))
    return next((each for each in attempts if all(_same_side(each, number, bound) for bound in bounds)), number)


def _same_side(one: Decimal, other: Decimal, bound: Decimal) -> bool:
    return one.compare(bound) == other.compare(bound)


def _replaced(limits: list[Decimal]) -> Callable[[re.Match[str]], str]:
    def plain(found: re.Match[str]) -> str:
        if not math.isfinite(float(found[0])):
            return found[0]
        number = Decimal(repr(float(found[0])))
        short = number if abs(number.adjusted()) > _MOST else rounded(number, limits)
        return found[0] if short == number else f"{short:f}"

    return plain
