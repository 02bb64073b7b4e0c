"""Manifests that do not do what they seem to say, although every field of them is valid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from tidegate.manifests.analysis_template import AnalysisTemplate, Metric
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.providers.datadog import Datadog

if TYPE_CHECKING:
    from tidegate.manifests.documents import Loaded

_COMPARISON = re.compile(
    r"(?:result|default\(result,[^)]*\))(?:\[0\])?\s*(?P<operator><=?|>=?)\s*(?P<limit>\d+(?:\.\d+)?)"
)
_COMPLEMENTS = ({"<", ">="}, {"<=", ">"})
_TRACE_LATENCY = re.compile(r"\b(?:p\d{2}(?:\.\d+)?|avg|min|max):trace\.(?P<metric>[\w.]+)")
_NOT_LATENCY = re.compile(r"\.(?:hits|errors|apdex)(?:\.|$)")
_FACTOR = re.compile(r"\*\s*(?P<right>\d+(?:\.\d+)?(?:e\d+)?)|(?<![\w.])(?P<left>\d+(?:\.\d+)?(?:e\d+)?)\s*\*")
_RATIO = re.compile(r"(?P<numerator>[A-Za-z_]\w*)\s*/\s*(?P<denominator>[A-Za-z_]\w*)")
# No request takes this long: a condition that needs it was written in milliseconds.
_UNLIKELY_SECONDS = 20.0


class BinaryTest(NamedTuple):
    """`result < 400`: the operator and the number."""

    operator: str
    limit: float


def trap_findings(template: Loaded[AnalysisTemplate], metric: Metric, path: Path) -> Iterator[Finding]:
    """Every trap that a metric steps into."""
    yield from _inconclusive_band(template, metric, path)
    datadog = metric.provider.datadog
    if datadog is not None:
        yield from _ratio_of_counters(template, datadog, path)
        yield from _seconds(template, datadog, path, metric)


def comparison(condition: str) -> BinaryTest | None:
    """The comparison that a condition consists of; None for anything more than one."""
    found = _COMPARISON.fullmatch(condition.strip())
    return BinaryTest(found["operator"], float(found["limit"])) if found else None


def _inconclusive_band(template: Loaded[AnalysisTemplate], metric: Metric, path: Path) -> Iterator[Finding]:
    if not (metric.success_condition and metric.failure_condition) or metric.inconclusive_limit is not None:
        return
    success, failure = comparison(metric.success_condition), comparison(metric.failure_condition)
    if success and failure and success.limit == failure.limit and {success.operator, failure.operator} in _COMPLEMENTS:
        return
    message = (
        "a reading that meets neither condition is inconclusive. Without inconclusiveLimit Argo ends the analysis at "
        "the first one; Tidegate measures again without counting it, and holds for an operator after 3 x count readings"
    )
    remedy = "write inconclusiveLimit: how many such readings to bear, 0 for what Argo does without it"
    yield template.finding(Severity.WARNING, "inconclusive-band", path, message, value=metric.name, remedy=remedy)


def _ratio_of_counters(template: Loaded[AnalysisTemplate], datadog: Datadog, path: Path) -> Iterator[Finding]:
    ratio = _RATIO.search(datadog.formula)
    if ratio is None or ".as_count()" not in datadog.queries.get(ratio["numerator"], ""):
        return
    numerator, denominator = ratio["numerator"], ratio["denominator"]
    message = (
        f"a counter that never fired has no series, so {numerator} / {denominator} of a perfect canary has no value: "
        f"Argo calls that an error, Tidegate takes {numerator} as 0 while {denominator} has data"
    )
    remedy = f"nothing to do; default(result, 0) would let a canary without any {denominator} pass"
    at = (*path, "provider", "datadog", "formula")
    yield template.finding(Severity.NOTE, "ratio-of-counters", at, message, value=datadog.formula, remedy=remedy)


def _seconds(template: Loaded[AnalysisTemplate], datadog: Datadog, path: Path, metric: Metric) -> Iterator[Finding]:
    if not any(map(_is_latency, datadog.texts().values())) or _multiplied(datadog):
        return
    for name, condition in (
        ("successCondition", metric.success_condition),
        ("failureCondition", metric.failure_condition),
    ):
        found = comparison(condition)
        if found is None or found.limit < _UNLIKELY_SECONDS:
            continue
        limit = f"{found.limit:g}"
        fate = "never fail" if (name == "successCondition") == found.operator.startswith("<") else "never succeed"
        message = f"can {fate}: seconds compared with {limit}. Datadog's trace.* latencies are in seconds"
        remedy = "multiply in a formula (p99 * 1000), or compare with seconds"
        yield template.finding(
            Severity.WARNING, "seconds-as-milliseconds", (*path, name), message, value=condition, remedy=remedy
        )


def _is_latency(query: str) -> bool:
    found = _TRACE_LATENCY.search(query)
    return found is not None and not _NOT_LATENCY.search(found["metric"])


def _multiplied(datadog: Datadog) -> bool:
    """True when a number turns the answer into milliseconds, or smaller units."""
    texts = [datadog.formula, *datadog.texts().values()]
    factors = (found["left"] or found["right"] for text in texts for found in _FACTOR.finditer(text))
    return any(float(factor) >= 1000 for factor in factors)
