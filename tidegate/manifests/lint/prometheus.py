"""A metric that Prometheus measures: settings that cannot be measured with, and what would surprise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from tidegate.manifests.analysis_template import AnalysisTemplate, Metric
from tidegate.manifests.documents import Loaded
from tidegate.manifests.durations import DURATION_HINT, parse_duration
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.lint.scope import Binding, Scope, scope_of
from tidegate.manifests.providers.authentication import Authentication
from tidegate.manifests.providers.prometheus import LONGEST_TIMEOUT, Prometheus, RangeQuery
from tidegate.manifests.support import CODE as UNSUPPORTED

CODE = "prometheus"
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}")
_REFERENCE_REMEDY = "write {{args.NAME}}, an argument with valueFrom.secretKeyRef"
_SCOPE_REMEDY = (
    'add a label such as rollouts_pod_template_hash="{{args.canary-hash}}" and bind the argument with '
    "valueFrom: {podTemplateHashValue: Latest}"
)

# Field below `provider.prometheus`, what is wrong with it, and the remedy.
Problem = tuple[Path, str, str]


def prometheus_findings(
    template: Loaded[AnalysisTemplate],
    metric: Metric,
    path: Path,
    bound: Sequence[Binding],
    compile_condition: Callable[[str], object] | None,
) -> Iterator[Finding]:
    """What is wrong with a metric at `path`, `bound` being the analyses that use it; nothing for another provider's."""
    asked = metric.provider.prometheus
    if asked is None:
        return
    at = (*path, "provider", "prometheus")
    for where, message, remedy in _problems(asked, compile_condition):
        yield template.finding(Severity.ERROR, CODE, (*at, *where), message, remedy=remedy)
    for name in asked.authentication.unsupported():
        message = f"not supported by Tidegate: authentication.{name}"
        yield template.finding(Severity.ERROR, UNSUPPORTED, (*at, "authentication", name), message)
    for where, message, remedy in _surprises(asked):
        yield template.finding(Severity.WARNING, CODE, (*at, *where), message, remedy=remedy)
    blind = [user for user in bound or (None,) if scope_of(asked.query, template.model, user) is Scope.EVERYTHING]
    if blind:
        users = "; ".join(str(user) for user in blind if user)
        message = f"query without the canary's label: it looks at all versions together{f' ({users})' if users else ''}"
        at = (*at, "query")
        yield template.finding(Severity.WARNING, "unscoped-query", at, message, value=metric.name, remedy=_SCOPE_REMEDY)


def _problems(asked: Prometheus, compile_condition: Callable[[str], object] | None) -> Iterator[Problem]:
    if not asked.query.strip():
        yield ("query",), "query is required", "such as sum(rate(http_requests_total[5m]))"
    if asked.address and not _open(asked.address) and not _is_url(asked.address):
        yield ("address",), "prometheus address is not is url format", "such as http://prometheus.monitoring:9090"
    if asked.limit <= 0:
        yield ("timeout",), "timeout must be longer than 0", "whole seconds; 30 without it"
    yield from _incomplete(asked.authentication)
    if asked.range_query is not None:
        yield from _range_problems(asked.range_query, compile_condition)


def _incomplete(given: Authentication) -> Iterator[Problem]:
    oauth2, account = given.oauth2, given.basic_auth
    if oauth2.token_url and not (oauth2.client_id and oauth2.client_secret):
        yield ("authentication", "oauth2"), "tokenUrl needs clientId and clientSecret", ""
    if bool(account.username) != bool(account.password):
        yield ("authentication", "basicAuth"), "username and password belong together", ""


def _range_problems(asked: RangeQuery, compile_condition: Callable[[str], object] | None) -> Iterator[Problem]:
    for name, expression in (("start", asked.start), ("end", asked.end)):
        if _open(expression) or compile_condition is None:
            continue
        try:
            compile_condition(expression)
        except ValueError as error:
            yield ("rangeQuery", name), str(error), 'a time such as now() - duration("5m")'
    if not _open(asked.step):
        try:
            step = parse_duration(asked.step)
        except ValueError as error:
            yield ("rangeQuery", "step"), str(error), DURATION_HINT
        else:
            if step.total_seconds() <= 0:
                yield ("rangeQuery", "step"), "step must be longer than 0", DURATION_HINT


def _surprises(asked: Prometheus) -> Iterator[Problem]:
    if asked.timeout is not None and asked.timeout > LONGEST_TIMEOUT:
        yield (
            ("timeout",),
            f"a measurement ends after {LONGEST_TIMEOUT} s in any case",
            f"write at most {LONGEST_TIMEOUT}",
        )
    if asked.insecure and asked.ca_cert:
        yield ("caCert",), "insecure checks no certificate, so nobody looks at caCert", "leave insecure out"
    given = asked.authentication
    for where, secret in (
        (("authentication", "oauth2", "clientSecret"), given.oauth2.client_secret),
        (("authentication", "basicAuth", "password"), given.basic_auth.password),
    ):
        if secret and not _open(secret):
            yield where, "a secret in a manifest is kept in every history", _REFERENCE_REMEDY
    for index, header in enumerate(asked.headers):
        if header.key.lower() != "authorization":
            continue
        if given.oauth2.token_url or given.basic_auth.username:
            yield ("headers", index), "this header is sent in the place of authentication", "leave one of them out"
        if not _open(header.value):
            yield ("headers", index, "value"), "a secret in a manifest is kept in every history", _REFERENCE_REMEDY


def _open(text: str) -> bool:
    """Whether an argument decides what the text will be."""
    return bool(_PLACEHOLDER.search(text))


def _is_url(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
