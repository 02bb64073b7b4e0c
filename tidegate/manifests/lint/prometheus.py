"""A metric that Prometheus measures: settings that cannot be measured with, and what would surprise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tidegate.manifests.analysis_template import AnalysisTemplate, Metric
from tidegate.manifests.documents import Loaded
from tidegate.manifests.durations import DURATION_HINT, parse_duration
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.lint.over_http import Problem, access_findings, is_open, is_url, located
from tidegate.manifests.lint.scope import Binding, LintScope, open_scope, scope_of
from tidegate.manifests.providers.limits import LONGEST_TIMEOUT
from tidegate.manifests.providers.prometheus import Prometheus, RangeQuery

CODE = "prometheus"
_SCOPE_REMEDY = (
    'add a label such as rollouts_pod_template_hash="{{args.canary-hash}}" and bind the argument with '
    "valueFrom: {podTemplateHashValue: Latest}"
)


def prometheus_findings(
    template: Loaded[AnalysisTemplate],
    metric: Metric,
    path: Path,
    bound: Sequence[Binding],
    compile_condition: Callable[[str], object] | None,
) -> Iterator[Finding]:
    """Findings on a metric at `path`, `bound` being the analyses that use it; none on another provider's."""
    provider = metric.provider.prometheus
    if provider is None:
        return
    at = (*path, "provider", "prometheus")
    yield from located(template, at, CODE, Severity.ERROR, _problems(provider, compile_condition))
    yield from access_findings(template, at, CODE, provider.authentication, provider.headers)
    yield from located(template, at, CODE, Severity.WARNING, _surprises(provider))
    if not bound:
        yield from open_scope(template, provider.query, (*at, "query"), _SCOPE_REMEDY)
    blind = [
        user for user in bound or (None,) if scope_of(provider.query, template.model, user) is LintScope.EVERYTHING
    ]
    if blind:
        users = "; ".join(str(user) for user in blind if user)
        message = f"query without the canary's label: it looks at all versions together{f' ({users})' if users else ''}"
        at = (*at, "query")
        yield template.finding(Severity.WARNING, "unscoped-query", at, message, value=metric.name, remedy=_SCOPE_REMEDY)


def _problems(provider: Prometheus, compile_condition: Callable[[str], object] | None) -> Iterator[Problem]:
    if not provider.query.strip():
        yield ("query",), "query is required", "such as sum(rate(http_requests_total[5m]))"
    if provider.address and not is_open(provider.address) and not is_url(provider.address):
        yield ("address",), "prometheus address is not is url format", "such as http://prometheus.monitoring:9090"
    if provider.limit <= 0:
        yield ("timeout",), "timeout must be longer than 0", "whole seconds; 30 without it"
    if provider.range_query is not None:
        yield from _range_problems(provider.range_query, compile_condition)


def _range_problems(provider: RangeQuery, compile_condition: Callable[[str], object] | None) -> Iterator[Problem]:
    for name, expression in (("start", provider.start), ("end", provider.end)):
        if is_open(expression) or compile_condition is None:
            continue
        try:
            compile_condition(expression)
        except ValueError as error:
            yield ("rangeQuery", name), str(error), 'a time such as now() - duration("5m")'
    if not is_open(provider.step):
        try:
            step = parse_duration(provider.step)
        except ValueError as error:
            yield ("rangeQuery", "step"), str(error), DURATION_HINT
        else:
            if step.total_seconds() <= 0:
                yield ("rangeQuery", "step"), "step must be longer than 0", DURATION_HINT


def _surprises(provider: Prometheus) -> Iterator[Problem]:
    if provider.timeout is not None and provider.timeout > LONGEST_TIMEOUT:
        yield (
            ("timeout",),
            f"a measurement ends after {LONGEST_TIMEOUT} s in any case",
            f"write at most {LONGEST_TIMEOUT}",
        )
    if provider.insecure and provider.ca_cert:
        yield ("caCert",), "insecure checks no certificate, so caCert is not used", "leave insecure out"
