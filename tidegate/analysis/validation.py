"""What makes the metrics of an analysis run impossible to judge. Source and texts: argo-rollouts, metric validation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidegate.analysis.arguments import SpecError
from tidegate.manifests.analysis_template import Metric
from tidegate.manifests.durations import int_or_zero, parse_duration


def check_metrics(metrics: Sequence[Metric]) -> None:
    """Raise SpecError with the first thing that is wrong with metrics whose arguments are substituted."""
    if not metrics:
        raise SpecError("no metrics specified")
    names: set[str] = set()
    for index, metric in enumerate(metrics):
        if metric.name in names:
            raise SpecError(f"metrics[{index}]: duplicate name '{metric.name}'")
        names.add(metric.name)
        for problem in _problems(metric):
            raise SpecError(f"metrics[{index}]: {problem}")


def _problems(metric: Metric) -> Iterator[str]:
    yield from _limit_problems(metric)
    yield from _count_problems(metric)
    yield from _duration_problem("invalid interval string", metric.interval)
    yield from _duration_problem("invalid startDelay string", metric.initial_delay)
    providers = len(metric.provider.names()) + max(0, len(metric.provider.plugin or ()) - 1)
    if providers == 0:
        yield "no provider specified"
    elif providers > 1:
        yield "multiple providers specified"


def _limit_problems(metric: Metric) -> Iterator[str]:
    streak, failures = int_or_zero(metric.consecutive_success_limit), int_or_zero(metric.failure_limit)
    if streak < 0:
        yield "consecutiveSuccessLimit must be >= 0"
    if failures < -1:
        yield "failureLimit must be >= -1"
    if streak == 0 and failures == -1:
        yield "failureLimit and consecutiveSuccessLimit cannot both be disabled"
    if int_or_zero(metric.inconclusive_limit) < 0:
        yield "inconclusiveLimit must be >= 0"
    if int_or_zero(metric.consecutive_error_limit) < 0:
        yield "consecutiveErrorLimit must be >= 0"


def _count_problems(metric: Metric) -> Iterator[str]:
    count = int_or_zero(metric.count)
    if count <= 0:
        return
    streak, failures = int_or_zero(metric.consecutive_success_limit), int_or_zero(metric.failure_limit)
    if failures >= 0 and count < failures + streak:
        limits = f"failureLimit + consecutiveSuccessLimit ({failures} + {streak})"
        yield f"count ({count}) must be >= {limits} if both >= 0"
    if failures < 0 and count < streak:
        yield "count must be >= consecutiveSuccessLimit"
    if count < int_or_zero(metric.inconclusive_limit):
        yield "count must be >= inconclusiveLimit"
    if count > 1 and not metric.interval:
        yield "interval must be specified when count > 1"


def _duration_problem(what: str, text: str) -> Iterator[str]:
    try:
        parse_duration(text or "0")
    except ValueError as error:
        yield f"{what}: {error}"
