"""Draws the evidence of a release as a PNG, for readers of an incident."""

from __future__ import annotations

import io
from datetime import datetime

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tidegate.analysis.status import Phase
from tidegate.contract import Chart, Curve, LimitKind
from tidegate.manifests.plain_text import one_line

MAX_CURVES = 12  # more are named, not drawn: a picture of metres cannot be read
WIDTH_INCHES, CURVE_INCHES, WEIGHTS_INCHES, DPI = 10.0, 2.0, 1.6, 100
MAX_NAME = 80
SECONDS_OF_A_DAY = 86_400

_COLOURS = {Phase.SUCCESSFUL: "tab:green", Phase.FAILED: "tab:red", Phase.INCONCLUSIVE: "tab:orange"}
_OTHER = "tab:gray"
_LIMIT = {LimitKind.SUCCESS: "tab:green", LimitKind.FAILURE: "tab:red"}


def draw(chart: Chart) -> bytes:
    """The PNG: a panel for each curve, all over the same time, and the canary's weight under them.

    Takes some tenths of a second of CPU, so callers leave the event loop for it. It uses no state that threads share.
    """
    curves = chart.curves[:MAX_CURVES]
    heights = [CURVE_INCHES] * len(curves) + [WEIGHTS_INCHES]
    figure = Figure(figsize=(WIDTH_INCHES, sum(heights) + 0.6), dpi=DPI, layout="constrained")
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for panel, curve in zip(panels, curves, strict=False):
        _draw_curve(panel, curve)
    _draw_weights(panels[-1], chart)
    omitted = len(chart.curves) - len(curves)
    figure.suptitle(_plain(chart.title) + (f" ({omitted} more metrics are not drawn)" if omitted else ""))
    target = io.BytesIO()
    figure.savefig(target, format="png")
    return target.getvalue()


def _draw_curve(panel: Axes, curve: Curve) -> None:
    known = [(_day(point.at), point.value) for point in curve.points if point.value is not None]
    panel.plot([day for day, _ in known], [value for _, value in known], color="tab:blue", linewidth=1, zorder=1)
    for point in curve.points:
        colour = _COLOURS.get(point.verdict, _OTHER)
        if point.value is None:
            panel.axvline(_day(point.at), color=colour, linestyle=":", linewidth=1)
        else:
            panel.plot([_day(point.at)], [point.value], "o", color=colour, markersize=5, zorder=2)
    for limit in curve.limits:
        colour = _LIMIT.get(limit.kind, _OTHER) if limit.kind is not None else _OTHER
        panel.axhline(limit.value, color=colour, linestyle="--", linewidth=1, label=_plain(limit.text))
    if curve.limits:
        panel.legend(loc="upper left", fontsize="x-small")
    panel.set_title(_plain(f"{curve.metric} ({curve.gate})"), fontsize="small", loc="left")
    panel.grid(visible=True, alpha=0.3)


def _draw_weights(panel: Axes, chart: Chart) -> None:
    end = max(point.at for curve in chart.curves for point in curve.points)
    steps = [*chart.weights, (max(end, chart.weights[-1][0]), chart.weights[-1][1])] if chart.weights else []
    panel.step([_day(at) for at, _ in steps], [weight for _, weight in steps], where="post", color="tab:blue")
    panel.set_ylim(-5, 105)
    panel.set_title("weight of the canary, percent", fontsize="small", loc="left")
    panel.grid(visible=True, alpha=0.3)
    panel.xaxis_date(tz="UTC")
    panel.set_xlabel("UTC", fontsize="small")


def _day(time: datetime) -> float:
    """Time as matplotlib counts it: days since 1970."""
    return time.timestamp() / SECONDS_OF_A_DAY


def _plain(text: str) -> str:
    """The text without formulas: names and conditions are not ours (matplotlib, mathtext)."""
    short = text if len(text) <= MAX_NAME else f"{text[: MAX_NAME - 3]}..."
    return one_line(short).replace("$", r"\$")
