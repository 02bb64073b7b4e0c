"""Sparkline: the newest readings of a metric as a row of bars, drawn against its limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from tidegate.analysis.status import Measurement, MetricStatus, Phase
from tidegate.manifests.lint.traps import comparison
from tidegate.report.chart import number_of

BARS: Final = "▁▂▃▄▅▆▇█"
AT_LIMIT: Final = 5
"""Bar of a reading at the limit, so that two are left for those beyond."""
STYLES: Final = {
    Phase.SUCCESSFUL: "green",
    Phase.FAILED: "red",
    Phase.ERROR: "yellow",
    Phase.INCONCLUSIVE: "yellow",
}
_NO_NUMBER: Final = {Phase.SUCCESSFUL: "✔", Phase.FAILED: "✖", Phase.ERROR: "⚠", Phase.INCONCLUSIVE: "?"}
_UPPER: Final = ("<", "<=")


def sparkline(metric: MetricStatus, width: int, *, colour: bool) -> Text:
    """The newest readings in at most so many columns; one that was bad is a cross where there is no colour."""
    shown = metric.measurements[-width:] if width > 0 else ()
    heights = _heights([number_of(each.value) for each in shown], metric)
    return Text.assemble(*(_bar(each, bar, colour) for each, bar in zip(shown, heights, strict=True)))


def _bar(reading: Measurement, bar: int | None, colour: bool) -> tuple[str, str]:
    style = STYLES.get(reading.phase, "cyan")
    if bar is None or (not colour and reading.phase is not Phase.SUCCESSFUL):
        return _NO_NUMBER.get(reading.phase, "·"), style
    return BARS[bar], style


def _heights(values: Sequence[float | None], metric: MetricStatus) -> list[int | None]:
    """Index into `BARS` of each value, None where there is no number.

    Below a limit the scale begins at zero. Above one it begins so far below the limit as values are above it.
    """
    known = [each for each in values if each is not None]
    if not known:
        return [None] * len(values)
    test = comparison(metric.success_condition) or comparison(metric.failure_condition)
    low, high = min(known), max(known)
    if test is None:
        return [None if each is None else _level(each, low, high) for each in values]
    upper = (test.operator in _UPPER) == (comparison(metric.success_condition) is not None)
    if upper and test.limit > 0:
        return [None if each is None else _level(each, min(0.0, low), test.limit, AT_LIMIT) for each in values]
    reach = max(high - test.limit, test.limit - low, abs(test.limit) / 100, 1e-9)
    return [None if each is None else _level(each, test.limit - reach, test.limit + reach) for each in values]


def _level(value: float, low: float, high: float, top: int = len(BARS) - 1) -> int:
    """Bar of a value, where `high` has the bar `top`; beyond the scale the lowest or the highest."""
    if high <= low:
        return 0
    share = max(min((value - low) / (high - low), 2.0), 0.0)  # a share, so that no number is too large
    return min(round(share * top), len(BARS) - 1)
