"""Sparkline: the newest readings of a metric as a row of bars, drawn against its limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from tidegate.analysis.status import Measurement, MetricStatus, Phase
from tidegate.report.chart import number_of
from tidegate.report.gates import scale_of, share_of

BARS: Final = "▁▂▃▄▅▆▇█"
STYLES: Final = {
    Phase.SUCCESSFUL: "green",
    Phase.FAILED: "red",
    Phase.ERROR: "yellow",
    Phase.INCONCLUSIVE: "yellow",
}
_NO_NUMBER: Final = {Phase.SUCCESSFUL: "✔", Phase.FAILED: "✖", Phase.ERROR: "⚠", Phase.INCONCLUSIVE: "?"}


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
    """Index into `BARS` of each value, None where there is no number."""
    known = [each for each in values if each is not None]
    if not known:
        return [None] * len(values)
    low, high = scale_of(metric, known)
    return [None if each is None else round(share_of(each, low, high) * (len(BARS) - 1)) for each in values]
