"""Faults of metrics that make a run impossible to judge. Source and texts: argo-rollouts, metric validation."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.analysis.arguments import SpecError
from tidegate.manifests.analysis_template import Metric
from tidegate.manifests.validation.metrics import metric_problems


def check_metrics(metrics: Sequence[Metric]) -> None:
    """Raise SpecError with the first thing that is wrong with metrics whose arguments are substituted."""
    if not metrics:
        raise SpecError("no metrics specified")
    names: set[str] = set()
    for index, metric in enumerate(metrics):
        if metric.name in names:
            raise SpecError(f"metrics[{index}]: duplicate name '{metric.name}'")
        names.add(metric.name)
        for problem in metric_problems(metric):
            raise SpecError(f"metrics[{index}]: {problem.text}")
