"""Draws the evidence of a release as a picture, for readers of an incident."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tidegate.analysis.status import Phase
from tidegate.contract import Chart, ComparedCurves, ComparedEvent, Curve, LimitKind
from tidegate.manifests.plain_text import one_line

MAX_CURVES = 12  # more are named, not drawn: a picture of metres cannot be read
MAX_COMPARISONS = 4
WIDTH_INCHES, CURVE_INCHES, WEIGHTS_INCHES, DPI = 10.0, 2.0, 1.6, 100
BEYOND = 1.5  # times a limit of ln E up to which the evidence is drawn
MAX_NAME = 80
SECONDS_OF_A_DAY = 86_400

_COLOURS = {Phase.SUCCESSFUL: "tab:green", Phase.FAILED: "tab:red", Phase.INCONCLUSIVE: "tab:orange"}
_OTHER = "tab:gray"
_LIMIT = {LimitKind.SUCCESS: "tab:green", LimitKind.FAILURE: "tab:red"}
_CANARY, _STABLE = "tab:orange", "tab:blue"
_EVENTS = ("tab:purple", "tab:brown", "tab:pink", "tab:olive", "tab:cyan", "tab:gray")


def draw(chart: Chart) -> bytes:
    """The PNG of `figure_of`."""
    target = io.BytesIO()
    figure_of(chart).savefig(target, format="png")
    return target.getvalue()


def figure_of(chart: Chart) -> Figure:
    """A panel for each curve, two for each comparison, all over the same time, and the canary's weight under them.

    Takes some tenths of a second of CPU, so callers leave the event loop for it. It uses no state that threads share.
    """
    curves, comparisons = chart.curves[:MAX_CURVES], chart.comparisons[:MAX_COMPARISONS]
    heights = [CURVE_INCHES] * (len(curves) + 2 * len(comparisons)) + [WEIGHTS_INCHES]
    figure = Figure(figsize=(WIDTH_INCHES, sum(heights) + 0.6), dpi=DPI, layout="constrained")
    panels = list(
        figure.subplots(len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    )
    for at, compared in enumerate(comparisons):
        _draw_comparison(panels[2 * at], panels[2 * at + 1], compared, chart)
    for panel, curve in zip(panels[2 * len(comparisons) :], curves, strict=False):
        _draw_curve(panel, curve)
    _draw_weights(panels[-1], chart)
    omitted = len(chart.curves) - len(curves) + len(chart.comparisons) - len(comparisons)
    figure.suptitle(_plain(chart.title) + (f" ({omitted} more metrics are not drawn)" if omitted else ""))
    return figure


def _draw_comparison(rates: Axes, evidence: Axes, compared: ComparedCurves, chart: Chart) -> None:
    """Rates of the foremost event above, the evidence of all events below."""
    first = compared.events[0]
    _draw_rates(rates, first)
    rates.set_title(
        _plain(f"{compared.metric} ({compared.gate}): percent of the requests, {first.name}"),
        fontsize="small",
        loc="left",
    )
    for event, colour in zip(compared.events, _EVENTS, strict=False):
        _draw_evidence(evidence, event, colour)
    evidence.axhline(first.proof_limit, color="tab:green", linestyle="--", linewidth=1)
    evidence.axhline(-first.harm_limit, color="tab:red", linestyle="--", linewidth=1)
    evidence.set_yticks([-first.harm_limit, 0, first.proof_limit], ["harm", "0", "proven"], fontsize="x-small")
    evidence.set_ylim(-BEYOND * first.harm_limit, BEYOND * first.proof_limit)
    rates.set_ylim(bottom=0)
    evidence.set_title("ln E of each event: upwards of its proof, downwards of its harm", fontsize="small", loc="left")
    for panel in (rates, evidence):
        panel.grid(visible=True, alpha=0.3)
        if panel.get_legend_handles_labels()[1]:
            panel.legend(loc="lower left", fontsize="x-small", ncols=len(_EVENTS))
        for at, _ in chart.weights:
            panel.axvline(_day(at), color="tab:gray", linestyle=":", linewidth=1)


def _draw_rates(panel: Axes, event: ComparedEvent) -> None:
    """Both versions as points, and up to where stable's rate would be tolerated."""
    stable = [(_day(point.at), point.stable) for point in event.points if point.stable is not None]
    canary = [(_day(point.at), point.canary) for point in event.points if point.canary is not None]
    edge = [event.times * rate + event.plus for _, rate in stable]
    days = [day for day, _ in stable]
    panel.fill_between(days, [rate for _, rate in stable], edge, color=_STABLE, alpha=0.15, label="tolerated")
    panel.plot(days, [rate for _, rate in stable], "o-", color=_STABLE, markersize=4, linewidth=1, label="stable")
    panel.plot(*_columns(canary), "o-", color=_CANARY, markersize=4, linewidth=1, label="canary")


def _draw_evidence(panel: Axes, event: ComparedEvent, colour: str) -> None:
    """Proof above zero, harm below it, each as far as a limit is near."""
    days = [_day(point.at) for point in event.points]
    proof = [max(0.0, min(point.proof, BEYOND * event.proof_limit)) for point in event.points]
    harm = [-max(0.0, min(point.harm, BEYOND * event.harm_limit)) for point in event.points]
    panel.plot(days, proof, "o-", color=colour, markersize=3, linewidth=1, label=_plain(event.name))
    panel.plot(days, harm, "o-", color=colour, markersize=3, linewidth=1)


def _columns(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


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
    read = [point.at for curve in chart.curves for point in curve.points]
    read += [point.at for compared in chart.comparisons for event in compared.events for point in event.points]
    steps = [*chart.weights, (max([*read, chart.weights[-1][0]]), chart.weights[-1][1])] if chart.weights else []
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
