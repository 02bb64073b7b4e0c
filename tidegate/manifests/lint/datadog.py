"""A metric that Datadog measures: settings that contradict each other, and queries that its API does not answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tidegate.manifests.analysis_template import AnalysisTemplate, Metric
from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity
from tidegate.manifests.providers.datadog import Datadog

_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
# Between two values; a sign stands after a bracket, a comma or another operator.
_ARITHMETIC: Final = re.compile(r"[\w)\]}]\s*(?P<operator>[-+*/])\s*[\w(+-]")
_OTHER_DATA: Final = re.compile(r"\b(?P<source>logs|rum|events|spans)\s*\(")
_DEFAULT: Final = re.compile(r"default\(\s*result\b")


def datadog_findings(template: Loaded[AnalysisTemplate], metric: Metric, path: Path) -> Iterator[Finding]:
    """Findings on a metric at `path`; none on another provider's."""
    provider = metric.provider.datadog
    if provider is None:
        return
    at = (*path, "provider", "datadog")
    for field, text, remedy in provider.contradictions():
        value = template.document.value((*at, field))
        shown = value if isinstance(value, str) else None
        yield template.finding(Severity.ERROR, "datadog", (*at, field), text, value=shown, remedy=remedy)
    for name, query in provider.texts().items():
        where = (*at, "query") if provider.query and name == "query" else (*at, "queries", name)
        yield from _arithmetic(template, provider, query, where)
        yield from _other_data(template, metric, query, where)


def _arithmetic(template: Loaded[AnalysisTemplate], provider: Datadog, query: str, path: Path) -> Iterator[Finding]:
    found = _ARITHMETIC.search(_bare(query))
    if provider.version != "v2" or found is None:
        return
    message = (
        f"arithmetic ({found['operator']}) in a query of API v2: a query is one series there, and Datadog refuses it"
    )
    remedy = "write each part as one of queries, and the arithmetic as formula, such as errors / hits * 100"
    yield template.finding(Severity.ERROR, "datadog", path, message, value=query, remedy=remedy)


def _other_data(template: Loaded[AnalysisTemplate], metric: Metric, query: str, path: Path) -> Iterator[Finding]:
    found = _OTHER_DATA.search(_bare(query))
    if found is None:
        return
    source = found["source"]
    message = f"a query of {source} is none of metrics: the API that is asked knows metrics alone and answers no data"
    conditions = (metric.success_condition, metric.failure_condition)
    if any(map(_DEFAULT.search, conditions)):
        message += ", and default(result, ...) judges no data as if it were a value"
    remedy = f"make a metric of the {source} in Datadog, and query that"
    yield template.finding(Severity.WARNING, "not-metrics", path, message, value=query, remedy=remedy)


def _bare(query: str) -> str:
    """The query without the tags and the texts in it."""
    text, depth = [], 0
    for character in _QUOTED.sub('""', query):
        if character == "{":
            depth += 1
        elif character == "}" and depth:
            depth -= 1
            text.append("}" if depth == 0 else "")
        elif depth == 0:
            text.append(character)
    return "".join(text)
