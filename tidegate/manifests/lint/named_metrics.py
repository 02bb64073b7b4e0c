"""Rules that name metrics, `dryRun` and `measurementRetention`: of a template, and of an analysis of a Rollout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tidegate.manifests.analysis_template import MAX_RETENTION, AnalysisTemplateSpec, RolloutAnalysis
from tidegate.manifests.documents import Loaded
from tidegate.manifests.findings import Finding, Path, Severity

_TWICE = {
    "dryRun": "two Dry-Run metric rules",
    "measurementRetention": "two Measurement Retention metric rules",
}

Matches = Callable[[str, str], bool]
"""Whether a regular expression is found in the name of a metric; one that is none is found in no name."""


def rule_findings(
    loaded: Loaded[Any],
    given: AnalysisTemplateSpec | RolloutAnalysis,
    path: Path,
    runs: Sequence[Sequence[str]],
    matches: Matches | None,
) -> Iterator[Finding]:
    """Errors in the rules of `given`, at `path`.

    `runs` are the names of the metrics of each run that follows the rules: a rule that matches none of them makes an
    Error of the run.
    """
    patterns = {
        "dryRun": [rule.metric_name for rule in given.dry_run],
        "measurementRetention": [rule.metric_name for rule in given.measurement_retention],
    }
    for field, rules in patterns.items():
        first: dict[str, int] = {}
        for index, pattern in enumerate(rules):
            if first.setdefault(pattern, index) != index:
                message, at = f"{_TWICE[field]} have the same name '{pattern}'", (*path, field, index, "metricName")
                remedy = f"keep one of them, the first is {field}[{first[pattern]}]"
                yield loaded.finding(Severity.ERROR, "rule-twice", at, message, value=pattern, remedy=remedy)
            for names in runs:
                if matches is None or any(matches(pattern, name) for name in names):
                    continue
                message = "the regular expression is found in no metric's name: a run would be an Error"
                remedy = ".* matches all of them" if pattern == "*" else f"metrics: {', '.join(names) or 'none'}"
                at = (*path, field, index, "metricName")
                yield loaded.finding(Severity.ERROR, "no-such-metric", at, message, value=pattern, remedy=remedy)
    for index, rule in enumerate(given.measurement_retention):
        if rule.limit > rule.kept:
            message = f"no more than {MAX_RETENTION} measurements of a metric are kept"
            at = (*path, "measurementRetention", index, "limit")
            yield loaded.finding(Severity.WARNING, "retention", at, message, value=rule.limit)
