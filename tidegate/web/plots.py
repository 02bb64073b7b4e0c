"""Readings against their limit as SVG. Pure; colours and sizes of strokes are the style sheet's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from tidegate.analysis.status import Measurement, MetricStatus, Phase
from tidegate.contract import ComparedEvent, WeightStatus
from tidegate.report.ages import clock
from tidegate.report.chart import number_of
from tidegate.report.gates import limit_of, limit_text, newest_value, readings_summary, scale_of, share_of
from tidegate.web.html import Child, Html, tag

_CLASSES: Final = {
    Phase.SUCCESSFUL: "good",
    Phase.FAILED: "bad",
    Phase.ERROR: "error",
    Phase.INCONCLUSIVE: "unclear",
}
_MARK: Final = 3.5  # half of a mark's width


@dataclass(frozen=True)
class PlotSize:
    """Size of a drawing in pixels, and its margins; `labelled` adds values and times at its edges."""

    width: int
    height: int
    labelled: bool = False

    @property
    def left(self) -> float:
        """Beginning of the drawn area."""
        return 54.0 if self.labelled else 6.0

    @property
    def right(self) -> float:
        """End of the drawn area."""
        return self.width - 8.0

    @property
    def top(self) -> float:
        """Upper edge of the drawn area."""
        return 10.0 if self.labelled else 6.0

    @property
    def bottom(self) -> float:
        """Lower edge of the drawn area."""
        return self.height - (20.0 if self.labelled else 6.0)

    def x(self, share: float) -> float:
        """Position of a share of the time, 0 to 1."""
        return round(self.left + share * (self.right - self.left), 1)

    def y(self, share: float) -> float:
        """Position of a share of the height, 0 to 1 from below."""
        return round(self.bottom - share * (self.bottom - self.top), 1)


SMALL: Final = PlotSize(220, 44)
LARGE: Final = PlotSize(560, 150, labelled=True)


class _Dot(NamedTuple):
    x: float
    y: float
    reading: Measurement
    known: bool


def readings_plot(metric: MetricStatus, size: PlotSize = SMALL) -> Html:
    """The kept readings of a metric over time, with its limit; an empty drawing before the first one."""
    values = [number_of(each.value) for each in metric.measurements]
    known = [each for each in values if each is not None]
    low, high = scale_of(metric, known) if known else (0.0, 1.0)
    times = [each.started_at for each in metric.measurements]
    dots = [
        _Dot(size.x(_at(each.started_at, times)), size.y(share_of(value or low, low, high)), each, value is not None)
        for each, value in zip(metric.measurements, values, strict=True)
    ]
    return _svg(
        size,
        _label(metric),
        _limit(metric, low, high, size) if known else None,
        _line([(dot.x, dot.y) for dot in dots if dot.known], "line"),
        map(_mark, dots),
        _edges(size, low, high, times) if known and size.labelled else None,
    )


def compared_plot(event: ComparedEvent, size: PlotSize = LARGE) -> Html:
    """Rates of canary and stable from reading to reading, in percent of their requests."""
    rates = [rate for point in event.points for rate in (point.canary, point.stable) if rate is not None]
    high, times = max([*rates, 1e-9]) * 1.2, [point.at for point in event.points]

    def line(kind: str) -> Html | None:
        found = [(_at(point.at, times), getattr(point, kind)) for point in event.points]
        return _line([(size.x(at), size.y(share_of(rate, 0.0, high))) for at, rate in found if rate is not None], kind)

    newest = event.points[-1] if event.points else None
    now = "" if newest is None else f": canary {_percent(newest.canary)}, stable {_percent(newest.stable)}"
    edges = _edges(size, 0.0, high, times, unit=" %") if size.labelled and times else None
    return _svg(
        size, f"{event.name}, percent of the requests of canary and stable{now}", line("stable"), line("canary"), edges
    )


def weights_plot(weights: Sequence[WeightStatus], now: datetime, size: PlotSize = LARGE) -> Html:
    """Weight on the canary over time, as it was set and read back."""
    times = [*(each.at for each in weights), now]
    points: list[tuple[float, float]] = [(size.left, size.y(0.0))]
    for each in weights:
        at = size.x(_at(each.at, times))
        points += [(at, points[-1][1]), (at, size.y(each.canary / 100))]
    points.append((size.right, points[-1][1]))
    label = "weight on the canary: " + ", ".join(f"{each.canary} % at {clock(each.at)} UTC" for each in weights)
    return _svg(
        size, label, _line(points, "line"), _edges(size, 0.0, 100.0, times, unit=" %") if size.labelled else None
    )


def _svg(size: PlotSize, label: str, *children: Child) -> Html:
    sides: dict[str, int] = {"width": size.width, "height": size.height}
    shape = f"0 0 {size.width} {size.height}"
    return tag("svg", tag("title", label), *children, class_="plot", viewBox=shape, role="img", **sides)


def _label(metric: MetricStatus) -> str:
    if not metric.measurements:
        return f"{metric.name}: no reading yet"
    counts = ", ".join(readings_summary(metric))
    return f"{metric.name}: newest {newest_value(metric)}, limit {limit_text(metric)}, {counts}"


def _at(at: datetime, times: Sequence[datetime]) -> float:
    """Share of the drawn time at which something was; the middle where there is one time only."""
    whole = (times[-1] - times[0]).total_seconds()
    return min(max((at - times[0]).total_seconds() / whole, 0.0), 1.0) if whole > 0 else 0.5


def _limit(metric: MetricStatus, low: float, high: float, size: PlotSize) -> Iterator[Html]:
    """Yield the limit, and the part of the drawing that is beyond it."""
    found = limit_of(metric)
    if found is None:
        return
    y = size.y(share_of(found[0], low, high))
    top, bottom = (size.top, y) if found[1] else (y, size.bottom)
    width = size.right - size.left
    yield tag("rect", class_="beyond", x=size.left, y=top, width=width, height=max(bottom - top, 0.0))
    yield tag("line", class_="limit", x1=size.left, y1=y, x2=size.right, y2=y)
    if size.labelled:
        yield tag("text", limit_text(metric), class_="limit-text", x=size.right, y=y - 4, text_anchor="end")


def _line(points: Sequence[tuple[float, float]], kind: str) -> Html | None:
    if len(points) < 2:
        return None
    return tag("polyline", class_=kind, points=" ".join(f"{x:g},{y:g}" for x, y in points))


def _mark(dot: _Dot) -> Html:
    """A mark of a reading: a dot for a good one, a cross for a bad one, a ring for one that is no verdict."""
    kind = _CLASSES.get(dot.reading.phase, "open")
    if kind == "bad":
        cross = f"M{dot.x - _MARK:g} {dot.y - _MARK:g}l7 7m0 -7l-7 7"
        return tag("path", class_="mark bad", d=cross)
    return tag("circle", class_=f"mark {kind}", cx=dot.x, cy=dot.y, r=2.5 if kind == "good" else 3.0)


def _edges(size: PlotSize, low: float, high: float, times: Sequence[datetime], unit: str = "") -> Iterator[Html]:
    """Yield the ends of both scales as text."""
    for value, y in ((high, size.top + 4), (low, size.bottom)):
        yield tag("text", f"{value:.3g}{unit}", class_="scale", x=size.left - 6, y=y, text_anchor="end")
    for at, x, anchor in ((times[0], size.left, "start"), (times[-1], size.right, "end")):
        yield tag("text", clock(at), class_="scale", x=x, y=size.height - 4.0, text_anchor=anchor)


def _percent(rate: float | None) -> str:
    return "no requests" if rate is None else f"{rate:.3g} %"
