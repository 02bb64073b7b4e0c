"""The evidence as a picture: every gate's readings over time against its limits, and the weights under them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from tidegate.analysis.compare.measurement import comparison_of
from tidegate.analysis.status import Measurement, MetricStatus
from tidegate.contract import AnalysisRef, Chart, Curve, Limit, LimitKind, Point, ReleaseStatus
from tidegate.manifests.lint.traps import comparison
from tidegate.report.compared_chart import compared_curves


def chart_of(status: ReleaseStatus) -> Chart | None:
    """Chart of a release; None when nothing was measured. The sentence of a comparison is no number to draw."""
    metrics = [(run, metric) for run in status.analyses for metric in run.status.metrics]
    curves = [_curve(run, metric) for run, metric in metrics if comparison_of(metric) is None]
    drawn = tuple(curve for curve in curves if curve.points)
    comparisons = tuple(found for run, metric in metrics if (found := compared_curves(run.name, metric)) is not None)
    if not (drawn or comparisons):
        return None
    return Chart(
        title=f"{status.namespace}/{status.name}, revision {status.revision}",
        curves=drawn,
        comparisons=comparisons,
        weights=tuple((row.at, row.canary) for row in status.weights),
    )


def _curve(run: AnalysisRef, metric: MetricStatus) -> Curve:
    return Curve(
        gate=run.name,
        metric=metric.name,
        points=tuple(map(_point, metric.measurements)),
        limits=tuple(_limits(metric)),
    )


def _point(measurement: Measurement) -> Point:
    return Point(at=measurement.started_at, value=number_of(measurement.value), verdict=measurement.phase)


def _limits(metric: MetricStatus) -> Iterator[Limit]:
    """Conditions that compare the result with one number; of the others the table of measurements tells."""
    conditions = {LimitKind.SUCCESS: metric.success_condition, LimitKind.FAILURE: metric.failure_condition}
    for kind, condition in conditions.items():
        if (found := comparison(condition)) is not None:
            yield Limit(text=f"{kind}: {condition}", value=found.limit, kind=kind)


def number_of(text: str) -> float | None:
    """The number that a reading consists of, or begins with where it is a list; None for anything else."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    while isinstance(value, list) and value:
        value = value[0]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None
