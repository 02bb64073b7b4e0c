"""Gates of a release in words: which of them count now, their newest values and limits, and the scale of a drawing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from tidegate.analysis.figures import limits_in, rounded
from tidegate.analysis.status import MetricStatus, Phase
from tidegate.contract import AnalysisKind, AnalysisRef, ReleaseStatus
from tidegate.manifests.lint.traps import comparison
from tidegate.manifests.plain_text import one_line
from tidegate.report.chart import number_of

_ORDER: Final = (Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE, Phase.RUNNING, Phase.PENDING, Phase.SUCCESSFUL)
_OPPOSITES: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_SCOPES: Final = {AnalysisKind.PRE_PROMOTION: "pre-promotion", AnalysisKind.POST_PROMOTION: "post-promotion"}
_FIGURES: Final = 3
_UPPER: Final = ("<", "<=")
_ROOM: Final = 7 / 5
"""Height of a scale over its limit: two of eight bars are left for readings beyond."""


def shown_gates(status: ReleaseStatus) -> list[tuple[AnalysisRef, MetricStatus]]:
    """Metrics of the gates that count now, bad ones first: gates under way, gates that went wrong, else the newest."""
    gates = [gate for gate in status.analyses if gate.revision == status.revision]
    current = [gate for gate in gates if gate.status.phase is not Phase.SUCCESSFUL] or gates[-1:]
    background = [gate for gate in gates if gate.kind is AnalysisKind.BACKGROUND and gate not in current]
    found = [(gate, metric) for gate in [*current, *background] for metric in gate.status.metrics]
    return sorted(found, key=lambda each: (_ORDER.index(each[1].phase), each[1].dry_run))


def scope(gate: AnalysisRef) -> str:
    """Part of the release that a gate watches."""
    if gate.kind is AnalysisKind.BACKGROUND:
        return "all steps"
    return f"step {gate.step + 1}" if gate.step is not None else _SCOPES.get(gate.kind, str(gate.kind).lower())


def newest_value(metric: MetricStatus) -> str:
    """Newest value of a metric as a person reads it; its message or a dash where there is none."""
    newest = metric.measurements[-1] if metric.measurements else None
    if newest is None:
        return "-"
    return readable(newest.value or newest.message, metric.success_condition, metric.failure_condition)


def readable(value: str, *conditions: str) -> str:
    """A value in three figures where it is a number, or in as many as tell it from the limits; else on one line."""
    number = number_of(value)
    if number is None:
        return one_line(value) or "-"
    short = rounded(Decimal(repr(number)), limits_in(*conditions), _FIGURES)
    return f"{short:,f}" if 1000 <= abs(number) < 1e9 else f"{float(short):.15g}"


def limit_text(metric: MetricStatus) -> str:
    """Limit of a metric in short: `< 0.01` for what is good, or its condition where that is no comparison."""
    success, failure = comparison(metric.success_condition), comparison(metric.failure_condition)
    if success is not None:
        return f"{success.operator} {success.limit:g}"
    if metric.success_condition:
        return one_line(metric.success_condition)
    if failure is not None:
        return f"{_OPPOSITES[failure.operator]} {failure.limit:g}"
    return f"not {one_line(metric.failure_condition)}" if metric.failure_condition else "-"


def limits_text(metric: MetricStatus) -> str:
    """Limit of a metric, with that of a bad reading where there is a gap between the two."""
    failure = comparison(metric.failure_condition)
    if failure is None or not metric.success_condition:
        return limit_text(metric)
    return f"{limit_text(metric)}, bad {failure.operator} {failure.limit:g}"


def limit_of(metric: MetricStatus) -> tuple[float, bool] | None:
    """Limit of a metric and True where readings have to stay below it; None where no number is the limit."""
    test = comparison(metric.success_condition) or comparison(metric.failure_condition)
    if test is None:
        return None
    return test.limit, (test.operator in _UPPER) == (comparison(metric.success_condition) is not None)


def scale_of(metric: MetricStatus, values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest value of a drawing of readings against their limit, one of which there is at least.

    Below a limit the scale begins at zero, with room above the limit. Above one it begins so far below the limit as
    values are above it.
    """
    low, high, limit = min(values), max(values), limit_of(metric)
    if limit is None:
        return low, high
    bound, below = limit
    if below and bound > 0:
        bottom = min(0.0, low)
        return bottom, bottom + _ROOM * (bound - bottom)
    reach = max(high - bound, bound - low, abs(bound) / 100, 1e-9)
    return bound - reach, bound + reach


def share_of(value: float, low: float, high: float) -> float:
    """Position of a value on a scale, 0 to 1; beyond its ends the end."""
    if high <= low:
        return 0.0
    share = (value - low) / (high - low)
    return 0.0 if math.isnan(share) else max(min(share, 1.0), 0.0)  # no number where both differences are infinite


def readings_summary(metric: MetricStatus) -> Iterator[str]:
    """Yield the counts of a metric's readings: `3 good`, `1 bad`, and those without a verdict where there are any."""
    yield f"{metric.successful} good"
    yield f"{metric.failed} bad"
    if metric.inconclusive:
        yield f"{metric.inconclusive} inconclusive"
    if metric.error:
        yield f"{metric.error} error{'s' if metric.error > 1 else ''}"
