"""The metrics of a template: durations, conditions, Datadog's settings, and whether a query looks at the canary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tidegate.manifests.analysis_template import AnalysisTemplate, Metric
from tidegate.manifests.documents import Loaded
from tidegate.manifests.durations import DURATION_HINT, parse_duration
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.lint.compare import compare_findings
from tidegate.manifests.lint.conditions import CompileCondition, condition_findings
from tidegate.manifests.lint.datadog import datadog_findings
from tidegate.manifests.lint.job import job_findings
from tidegate.manifests.lint.prometheus import prometheus_findings
from tidegate.manifests.lint.scope import Binding, LintScope, open_scope, scope_of
from tidegate.manifests.lint.traps import trap_findings
from tidegate.manifests.lint.web import web_findings
from tidegate.manifests.providers.datadog import Datadog
from tidegate.manifests.support import PROVIDERS

_PLACEHOLDER = re.compile(r"\{\{.*?\}\}")
_SCOPE_REMEDY = (
    "add a tag such as kube_pod_label_rollouts_pod_template_hash:{{args.canary-hash}} and bind the argument with "
    "valueFrom: {podTemplateHashValue: Latest}"
)


def metric_findings(
    template: Loaded[AnalysisTemplate], bound: Sequence[Binding], compile_condition: CompileCondition | None
) -> Iterator[Finding]:
    """Findings on the metrics of a template, `bound` being the analyses that use it."""
    spec = template.model.spec
    if not spec.metrics and not spec.templates:
        yield template.finding(Severity.ERROR, "no-metrics", ("spec", "metrics"), "no metrics specified")
    for index, metric in enumerate(spec.metrics):
        path: Path = ("spec", "metrics", index)
        yield from _durations(template, metric, path)
        yield from condition_findings(template, metric, path, compile_condition)
        yield from _provider(template, metric, path)
        yield from datadog_findings(template, metric, path)
        if metric.provider.datadog is not None:
            yield from _scopes(template, metric, (*path, "provider", "datadog"), bound)
        yield from prometheus_findings(template, metric, path, bound, compile_condition)
        yield from web_findings(template, metric, path)
        yield from job_findings(template, metric, path)
        yield from compare_findings(template, metric, path)
        yield from trap_findings(template, metric, path)


def _durations(template: Loaded[AnalysisTemplate], metric: Metric, path: Path) -> Iterator[Finding]:
    datadog = metric.provider.datadog or Datadog()
    at = (*path, "provider", "datadog")
    for where, text in {
        (*path, "interval"): metric.interval,
        (*path, "initialDelay"): metric.initial_delay,
        (*at, "interval"): datadog.interval,
        (*at, "requestTimeout"): datadog.request_timeout,
    }.items():
        if not text or _PLACEHOLDER.search(text):
            continue
        try:
            duration = parse_duration(text)
        except ValueError as error:
            yield template.finding(Severity.ERROR, "duration", where, str(error), value=text, remedy=DURATION_HINT)
            continue
        if where[-2] == "datadog" and duration.total_seconds() <= 0:
            message = f"{where[-1]} must be longer than 0"
            yield template.finding(Severity.ERROR, "duration", where, message, value=text, remedy=DURATION_HINT)


def _provider(template: Loaded[AnalysisTemplate], metric: Metric, path: Path) -> Iterator[Finding]:
    names, at = metric.provider.names(), (*path, "provider")
    if not names:
        remedy = f"one of {', '.join(PROVIDERS)}"
        yield template.finding(Severity.ERROR, "provider", at, "no provider specified", remedy=remedy)
    elif len(names) > 1:
        message = f"multiple providers specified: {', '.join(names)}"
        yield template.finding(Severity.ERROR, "provider", at, message, remedy="write a metric for each")


def _scopes(
    template: Loaded[AnalysisTemplate], metric: Metric, path: Path, bound: Sequence[Binding]
) -> Iterator[Finding]:
    """A query must look at the canary alone: one over all pods judges the old version with the new one."""
    datadog = metric.provider.datadog or Datadog()
    queries = datadog.texts()
    users: Sequence[Binding | None] = bound or (None,)
    scopes = [(user, {name: scope_of(text, template.model, user) for name, text in queries.items()}) for user in users]
    for name, query in queries.items():
        at = (*path, "query") if name == "query" and datadog.query else (*path, "queries", name)
        if not bound:
            yield from open_scope(template, query, at, _SCOPE_REMEDY)
        blind = [(user, found) for user, found in scopes if found[name] is LintScope.EVERYTHING]
        if not blind:
            continue
        where = "; ".join(str(user) for user, _ in blind if user)
        message = f"query without the canary's tag: it looks at all versions together{f' ({where})' if where else ''}"
        # Beside a query of the canary, one over everything may be meant for comparison; with no Rollout at hand nobody
        # knows what the arguments will be.
        alone = any(user and LintScope.CANARY not in found.values() for user, found in blind)
        severity = Severity.ERROR if alone else Severity.WARNING
        yield template.finding(severity, "unscoped-query", at, message, value=metric.name, remedy=_SCOPE_REMEDY)
