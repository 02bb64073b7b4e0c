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
    """What is wrong with a metric at `path`; nothing for another provider's."""
    asked = metric.provider.web
    if asked is None:
        return
    at = (*path, "provider", "web")
    yield from located(template, at, CODE, Severity.ERROR, _problems(asked))
    yield from access_findings(template, at, CODE, asked.authentication, asked.headers)
    if asked.timeout_seconds > LONGEST_TIMEOUT:
        message = f"a measurement ends after {LONGEST_TIMEOUT} s in any case"
        remedy = f"write at most {LONGEST_TIMEOUT}"
        yield template.finding(Severity.WARNING, CODE, (*at, "timeoutSeconds"), message, remedy=remedy)


def _problems(asked: Web) -> Iterator[Problem]:
    if contradiction := asked.contradiction():
        field, message = contradiction
        yield (field,), message, ""
    elif not is_open(asked.url) and not is_url(asked.url):
        yield ("url",), "no URL of a server", "such as https://checks.internal/checkout"
    if asked.json_path and not is_open(asked.json_path):
        try:
            JsonPath(asked.json_path)
        except PathError as error:
            yield ("jsonPath",), str(error), "such as {$.data.ok}"
