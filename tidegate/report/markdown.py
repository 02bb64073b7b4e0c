"""Live Markdown for the Temporal UI: the page of a release and of an analysis run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tidegate.analysis.compare.measurement import comparison_of, details_of
from tidegate.analysis.status import AnalysisStatus, MetricStatus
from tidegate.contract import AnalysisRef, ReleaseStatus, StepState, StrategyName
from tidegate.report.comparisons import actual_weight, traffic_seen
from tidegate.report.current_state import weights

_MARKS = {
    StepState.PENDING: "",
    StepState.RUNNING: "◌ running",
    StepState.DONE: "✔ done",
    StepState.SKIPPED: "skipped",
    StepState.FAILED: "✖ failed",
}
_LAST_EVENTS = 8
_SPACE = "\u00a0\u00a0"


def details(status: ReleaseStatus) -> str:
    """Markdown for the workflow's page: phase, weights, what is waited for, the steps, verdicts, what happened last."""
    parts = [
        f"### {status.namespace}/{status.name} revision {status.revision}: {status.phase}",
        status.message,
        f"Images: {', '.join(status.images.values())}" if status.images else "",
        _traffic(status),
        f"**{status.failing}**" if status.failing else "",
        f"Paused by {status.paused_by}" if status.paused_by else "",
        _waiting(status),
        _steps(status),
        *(_analysis(analysis) for analysis in status.analyses),
        _list("Compensations", [_with_detail(f"{c.name}: {c.state}", c.detail) for c in status.compensations]),
        f"Incident: [{status.incident.number}]({status.incident.url})" if status.incident else "",
        _list("Warnings", list(status.warnings)),
        _list("Events", [f"{_clock(e.at)} {e.reason}: {e.message}" for e in status.events[-_LAST_EVENTS:]]),
        f"CI: {status.source.ci_url}" if status.source.ci_url else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _traffic(status: ReleaseStatus) -> str:
    if status.strategy is not StrategyName.CANARY:
        return "Services: " + ", ".join(f"{name} **{version}**" for name, version in weights(status))
    return f"Weight on the canary: **{actual_weight(status)}** (asked for: {status.set_weight} %{_seen(status)})"


def _seen(status: ReleaseStatus) -> str:
    seen = traffic_seen(status)
    return f"; seen: {seen}" if seen else ""


def _waiting(status: ReleaseStatus) -> str:
    if status.waiting is None:
        return ""
    wait = status.waiting
    until = _clock(wait.until) if wait.until else wait.end
    return f"Waiting for **{wait.what}** since {_clock(wait.since)} until {until}; can be ended by {wait.who}"


def _steps(status: ReleaseStatus) -> str:
    if not status.steps:
        return ""
    rows = [(str(step.index + 1), step.text, _MARKS[step.state]) for step in status.steps]
    return _table(("step", "what", "state"), rows)


def _analysis(analysis: AnalysisRef) -> str:
    rows = []
    for metric in analysis.status.metrics:
        latest = _latest(metric, "nothing measured yet")
        if comparison_of(metric) is not None:
            rows.append(f"{metric.name}: {metric.phase}: {latest}")
            continue
        rows.append(f"{metric.name}: {metric.phase}, {metric.successful} good, {metric.failed} bad; latest: {latest}")
    title = _with_detail(
        f"{analysis.kind} analysis `{analysis.name}`: {analysis.status.phase}", analysis.status.message
    )
    return _list(title, rows) or title


def analysis_details(status: AnalysisStatus) -> str:
    """Markdown for an analysis run's page: each metric with its verdict and its counts, then its latest reading.

    A reading is a sentence: it has a line of its own, since the page is narrow and cuts off what a table has too much.
    """
    counts = [
        (
            metric.name,
            metric.phase.value,
            *map(str, (metric.successful, metric.failed, metric.inconclusive, metric.error)),
        )
        for metric in status.metrics
    ]
    return "\n\n".join(
        part
        for part in (
            _with_detail(f"### {status.name}: {status.phase}", status.message),
            _table(("metric", "verdict", "good", "bad", "unclear", "errors"), counts),
            _list("Latest readings", [f"{each.name}: {_latest(each, 'nothing yet')}" for each in status.metrics]),
        )
        if part
    )


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown; the Temporal UI sets columns without any space, so each cell ends with some."""
    lines = [titles, ["---"] * len(titles), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(
        "| " + " | ".join(cell if cell == "---" else cell + _SPACE for cell in line) + " |" for line in lines
    )


def _latest(metric: MetricStatus, nothing: str) -> str:
    """The latest reading; a reason begins with the value, where there is one."""
    if not metric.measurements:
        return nothing
    if (judged := comparison_of(metric)) is not None:
        return " ".join((judged.value, *(f"({text})" for text in details_of(judged))))
    last = metric.measurements[-1]
    value = "" if last.value in last.reason else f"{last.value} "
    return _with_detail(f"{value}{last.phase}", last.reason)


def _with_detail(what: str, more: str) -> str:
    return f"{what}: {more}" if more else what


def _list(title: str, rows: list[str]) -> str:
    return "\n".join([f"**{title}**", "", *(f"- {row}" for row in rows)]) if rows else ""


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC"
