"""From what a manifest says of a comparison to its numbers, once arguments are in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tidegate.analysis.compare.full_traffic import TOLERATED
from tidegate.analysis.compare.models import ERRORS, BadEvent, Comparison, Margin, OnUnfair
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


def comparison_of(settings: Compare, *, plus: Mapping[str, float] | None = None, metrics: int = 1) -> Comparison:
    """The comparison that a metric asks for.

    `plus` are the margins by event that were chosen for `plus: auto`, `metrics` is how many comparisons the release
    has, which share what it may abort falsely. Raises ComparisonSettingsError.
    """
    check(settings)
    guard = settings.wanted_guard()
    return Comparison(
        events=tuple(_event(event, plus or {}) for event in settings.wanted_events()),
        false_promotion=fraction(settings.false_promotion),
        false_abort=fraction(settings.false_abort) / metrics,
        bucket=round(seconds(settings.bucket)),
        warm_up=SHORTEST if settings.warm_up == AUTO else seconds(settings.warm_up),
        settle=seconds(settings.settle),
        min_bake=seconds(settings.min_bake),
        max_wait=seconds(settings.max_wait),
        guard=None if guard is None else _margin(guard),
        on_unfair=OnUnfair(settings.on_unfair),
    )


def at_full_traffic(wanted: Comparison) -> Comparison:
    """The comparison of a bake: errors alone, against the hour before. The bake says how long it lasts.

    Raises ComparisonSettingsError without them.
    """
    if not any(event.name == ERRORS for event in wanted.events):
        raise ComparisonSettingsError(f"events: at 100 % only {ERRORS} are looked at, and they are not among them")
    events = (BadEvent(name=ERRORS, margin=TOLERATED),)
    changed = {"events": events, "alone": True, "lost": False, "on_unfair": OnUnfair.IGNORE, "min_bake": 0.0}
    return wanted.model_copy(update=changed)


def after_promotion(wanted: Comparison) -> Comparison:
    """The comparison after a blue-green promotion: as in a bake, for `minBake`.

    Raises ComparisonSettingsError as `at_full_traffic`.
    """
    return at_full_traffic(wanted).model_copy(update={"min_bake": wanted.min_bake})


def side_by_side(wanted: Comparison) -> Comparison:
    """The comparison of two templates of an experiment: their share of the traffic is no weight, nor leads to 100 %."""
    return wanted.model_copy(update={"lost": False, "on_unfair": OnUnfair.IGNORE, "min_bake": 0.0})


def automatic_margins(settings: Compare) -> tuple[str, ...]:
    """Names of the events whose `plus` is chosen before the release."""
    return tuple(event.name for event in settings.wanted_events() if event.plus == AUTO)


def check(settings: Compare) -> None:
    """Raise ComparisonSettingsError for what is wrong, or left to an argument that was not given."""
    for where, message, remedy in settings.problems():
        raise ComparisonSettingsError(f"{_named(where)}: {message} ({remedy})")
    if left := _left_open(settings):
        raise ComparisonSettingsError(f"{_named(())}: {left} is no value")


def _named(where: tuple[str | int, ...]) -> str:
    return path_text(("provider", "plugin", KEY, *where))


def _left_open(settings: Compare) -> str:
    numbers = [settings.false_promotion, settings.false_abort, settings.bucket, settings.warm_up, settings.settle]
    numbers += [settings.min_bake, settings.max_wait, settings.on_unfair]
    margins: list[CompareMargin] = [] if settings.guard is None else [settings.guard]
    for event in settings.wanted_events():
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


def _margin(settings: CompareMargin) -> Margin:
    return Margin(times=factor(1 if settings.times is None else settings.times), plus=fraction(settings.plus or 0))
