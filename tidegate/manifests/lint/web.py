"""A metric that any other server measures: settings that cannot be measured with, and what would surprise."""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.manifests.analysis_template import AnalysisTemplate, Metric
from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.jsonpath import JsonPath, PathError
from tidegate.manifests.lint.over_http import Problem, access_findings, is_open, is_url, located
from tidegate.manifests.providers.limits import LONGEST_TIMEOUT
from tidegate.manifests.providers.web import Web

CODE = "web"


def web_findings(template: Loaded[AnalysisTemplate], metric: Metric, path: Path) -> Iterator[Finding]:
    """Findings on a metric at `path`; none on another provider's."""
    provider = metric.provider.web
    if provider is None:
        return
    at = (*path, "provider", "web")
    yield from located(template, at, CODE, Severity.ERROR, _problems(provider))
    yield from access_findings(template, at, CODE, provider.authentication, provider.headers)
    if provider.timeout_seconds > LONGEST_TIMEOUT:
        message = f"a measurement ends after {LONGEST_TIMEOUT} s in any case"
        remedy = f"write at most {LONGEST_TIMEOUT}"
        yield template.finding(Severity.WARNING, CODE, (*at, "timeoutSeconds"), message, remedy=remedy)


def _problems(provider: Web) -> Iterator[Problem]:
    if contradiction := provider.contradiction():
        field, message = contradiction
        yield (field,), message, ""
    elif not is_open(provider.url) and not is_url(provider.url):
        yield ("url",), "no URL of a server", "such as https://checks.internal/checkout"
    if provider.json_path and not is_open(provider.json_path):
        try:
            JsonPath(provider.json_path)
        except PathError as error:
            yield ("jsonPath",), str(error), "such as {$.data.ok}"
