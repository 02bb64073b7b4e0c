"""Sentences about a comparison. Each number is one of the counts, or 1/E: `1 of N` is never rounded up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from tidegate.analysis.compare.models import BadEvent, Margin

MOST_ROLLOUTS: Final = 1_000_000


def rollouts(log: float) -> str:
    """`1 of N` for ln E, with N rounded down to two figures above 1,000."""
    if log >= math.log(MOST_ROLLOUTS):
        return f"1 of more than {MOST_ROLLOUTS:,}"
    number = math.floor(math.exp(max(0.0, log)) * (1 + 1e-12))
    if number >= 1000:
        unit = 10 ** (len(str(number)) - 2)
        number = number // unit * unit
    return f"1 of {number:,}"


def percent(share: float) -> str:
    """A fraction in percent, with three figures."""
    return f"{100 * share:.3g} %" if abs(share) < 1 else f"{100 * share:.0f} %"


def amount(count: float) -> str:
    """A count with separators, without decimals that say nothing."""
    return f"{round(count):,}" if abs(count - round(count)) < 0.05 else f"{count:,.1f}"


def time(seconds: float) -> str:
    """Minutes, or seconds below two minutes."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def margin_text(margin: Margin) -> str:
    """A margin as it is written: `1.25 x stable + 0.1 %`."""
    plus = f" + {percent(margin.plus)}" if margin.plus > 0 else ""
    return f"{margin.times:.4g} x stable{plus}"


def listing(names: Sequence[str]) -> str:
    """Names in a sentence: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def counted(event: BadEvent, counts: Sequence[float]) -> str:
    """Counts of both versions, as numbers where few are bad and as shares where many are."""
    canary, canary_bad, stable, stable_bad = counts
    if event.slower_than is None:
        return (
            f"{amount(canary_bad)} of {amount(canary)} canary requests against "
            f"{amount(stable_bad)} of {amount(stable)} of stable"
        )
    shares = [percent(bad / of) if of > 0 else "-" for bad, of in ((canary_bad, canary), (stable_bad, stable))]
    slower = f"slower than {event.slower_than * 1000:.4g} ms"
    return (
        f"{shares[0]} of {amount(canary)} canary requests are {slower} against "
        f"{shares[1]} of {amount(stable)} of stable"
    )
