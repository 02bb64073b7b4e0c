"""Errors of a metric that cannot be judged. Source and texts: argo-rollouts, metric validation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from tidegate.manifests.analysis_template import PLUGIN, Metric
from tidegate.manifests.durations import int_or_zero, parse_duration
from tidegate.manifests.providers.compare import KEY as COMPARE

ENDS_BY_ITSELF: Final = "the comparison ends when it is decided"
_ENDS_OR_JUDGES: Final = ("count", "interval", "successCondition", "failureCondition", "consecutiveSuccessLimit")


class MetricProblem(NamedTuple):
    """The field of a metric that is wrong, and Argo's text."""

    field: str
    text: str


def metric_problems(metric: Metric) -> Iterator[MetricProblem]:
    """All errors of a metric whose arguments are substituted, in Argo's order."""
    yield from _limit_problems(metric)
    yield from _count_problems(metric)
    yield from _duration_problem("interval", "invalid interval string", metric.interval)
    yield from _duration_problem("initialDelay", "invalid startDelay string", metric.initial_delay)
    providers = _providers(metric)
    if providers == 0:
        yield MetricProblem("provider", "no provider specified")
    elif providers > 1:
        yield MetricProblem("provider", "multiple providers specified")
    if metric.provider.compare is not None:
        for field in without_say(metric):
            yield MetricProblem("provider", f"{field} has no say in {COMPARE}: {ENDS_BY_ITSELF}")


def without_say(metric: Metric) -> list[str]:
    """Fields of a comparison that would end it or judge it, in the names of the manifest; it does both itself."""
    given = metric.to_wire()
    return [field for field in _ENDS_OR_JUDGES if given.get(field) not in (None, "")]


def _providers(metric: Metric) -> int:
    """How many there are; each plugin is one."""
    given = metric.provider.to_wire()
    plugins = given.pop(PLUGIN, None)
    return len(given) + (len(plugins) if isinstance(plugins, dict) else 0)


def _limit_problems(metric: Metric) -> Iterator[MetricProblem]:
    streak, failures = int_or_zero(metric.consecutive_success_limit), int_or_zero(metric.failure_limit)
    if streak < 0:
        yield MetricProblem("consecutiveSuccessLimit", "consecutiveSuccessLimit must be >= 0")
    if failures < -1:
        yield MetricProblem("failureLimit", "failureLimit must be >= 0, or -1 to be disabled")
    if streak == 0 and failures == -1:
        yield MetricProblem("failureLimit", "failureLimit and consecutiveSuccessLimit cannot both be disabled")
    if int_or_zero(metric.inconclusive_limit) < 0:
        yield MetricProblem("inconclusiveLimit", "inconclusiveLimit must be >= 0")
    if int_or_zero(metric.consecutive_error_limit) < 0:
        yield MetricProblem("consecutiveErrorLimit", "consecutiveErrorLimit must be >= 0")


def _count_problems(metric: Metric) -> Iterator[MetricProblem]:
    count = int_or_zero(metric.count)
    if count <= 0:
        return
    streak, failures = int_or_zero(metric.consecutive_success_limit), int_or_zero(metric.failure_limit)
    if failures >= 0 and count < failures + streak:
        limits = f"failureLimit + consecutiveSuccessLimit ({failures} + {streak})"
        yield MetricProblem("count", f"count ({count}) must be >= {limits} if both >= 0")
    if failures < 0 and count < streak:
        yield MetricProblem("count", "count must be >= consecutiveSuccessLimit")
    if count < int_or_zero(metric.inconclusive_limit):
        yield MetricProblem("count", "count must be >= inconclusiveLimit")
    if count > 1 and not metric.interval:
        yield MetricProblem("count", "interval must be specified when count > 1")


def _duration_problem(field: str, what: str, text: str) -> Iterator[MetricProblem]:
    try:
        parse_duration(text or "0")
    except ValueError as error:
        yield MetricProblem(field, f"{what}: {error}")
