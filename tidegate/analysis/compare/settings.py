"""From what a manifest says of a comparison to its numbers, once arguments are in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tidegate.analysis.compare.models import BadEvent, Comparison, Margin, OnUnfair
from tidegate.analysis.compare.warming import SHORTEST
from tidegate.manifests.findings import path_text
from tidegate.manifests.providers.compare import (
    AUTO,
    KEY,
    Compare,
    CompareEvent,
    CompareMargin,
    factor,
    fraction,
    is_open,
    seconds,
)

LARGEST_PLUS: Final = 0.02
"""A `plus: auto` that nothing was found for."""


class ComparisonSettingsError(ValueError):
    """Settings that nothing can be compared with; the text names the field."""


def comparison_of(asked: Compare, *, plus: Mapping[str, float] | None = None, metrics: int = 1) -> Comparison:
    """The comparison that a metric asks for.

    `plus` are the margins by event that were chosen for `plus: auto`, `metrics` is how many comparisons the release
    has, which share what it may abort falsely. Raises ComparisonSettingsError.
    """
    check(asked)
    guard = asked.wanted_guard()
    return Comparison(
        events=tuple(_event(event, plus or {}) for event in asked.wanted_events()),
        false_promotion=fraction(asked.false_promotion),
        false_abort=fraction(asked.false_abort) / metrics,
        bucket=round(seconds(asked.bucket)),
        warm_up=SHORTEST if asked.warm_up == AUTO else seconds(asked.warm_up),
        settle=seconds(asked.settle),
        min_bake=seconds(asked.min_bake),
        max_wait=seconds(asked.max_wait),
        guard=None if guard is None else _margin(guard),
        on_unfair=OnUnfair(asked.on_unfair),
    )


def automatic_margins(asked: Compare) -> tuple[str, ...]:
    """Names of the events whose `plus` is chosen before the release."""
    return tuple(event.name for event in asked.wanted_events() if event.plus == AUTO)


def check(asked: Compare) -> None:
    """Raise ComparisonSettingsError for what is wrong, or left to an argument that nobody gave."""
    for where, message, remedy in asked.problems():
        raise ComparisonSettingsError(f"{_named(where)}: {message} ({remedy})")
    if left := _left_open(asked):
        raise ComparisonSettingsError(f"{_named(())}: {left} is no value")


def _named(where: tuple[str | int, ...]) -> str:
    return path_text(("provider", "plugin", KEY, *where))


def _left_open(asked: Compare) -> str:
    numbers = [asked.false_promotion, asked.false_abort, asked.bucket, asked.warm_up, asked.settle]
    numbers += [asked.min_bake, asked.max_wait, asked.on_unfair]
    margins: list[CompareMargin] = [] if asked.guard is None else [asked.guard]
    for event in asked.wanted_events():
        margins += [event, *(event.early or ())]
        numbers += [] if event.weight is None else [event.weight]
    numbers += [value for margin in margins for value in (margin.times, margin.plus) if value is not None]
    return next((str(value) for value in numbers if is_open(value)), "")


def _event(event: CompareEvent, plus: Mapping[str, float]) -> BadEvent:
    wanted = plus.get(event.name, LARGEST_PLUS) if event.plus == AUTO else fraction(event.plus or 0)
    return BadEvent(
        name=event.name,
        margin=Margin(times=factor(event.times or 0), plus=wanted),
        early=tuple(_margin(early) for early in event.early or ()),
        weight=None if event.weight is None else factor(event.weight),
    )


def _margin(asked: CompareMargin) -> Margin:
    return Margin(times=factor(1 if asked.times is None else asked.times), plus=fraction(asked.plus or 0))
