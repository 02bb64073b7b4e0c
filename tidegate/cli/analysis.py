"""`get analysisrun`: an analysis run with its metrics, their conditions and their newest measurements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from tidegate.analysis.status import AnalysisStatus, MetricStatus
from tidegate.cli.tree import counts, tally
from tidegate.cli.words import columns, labelled, marked, since


def analysis_view(status: AnalysisStatus, now: datetime) -> list[Text]:
    """The whole view of one analysis run, as lines."""
    lines = [labelled("Name:", status.name), labelled("Status:", marked(status.phase))]
    if status.message:
        lines.append(labelled("Message:", status.message))
    if status.started_at is not None:
        lines.append(labelled("Started:", f"{since(status.started_at, now)} ago"))
    if status.completed_at is not None:
        lines.append(labelled("Completed:", f"{since(status.completed_at, now)} ago"))
    if status.rate_limited_until is not None and status.rate_limited_until > now:
        lines.append(labelled("Rate limited:", f"until {status.rate_limited_until:%H:%M:%S} UTC"))
    lines.append(labelled("Measurements:", counts(status) or "none yet"))
    for metric in status.metrics:
        lines += [Text(), *_metric(metric)]
    return lines


def _metric(metric: MetricStatus) -> list[Text]:
    title = Text.assemble(
        (metric.name, "bold"), "  ", marked(metric.phase), f"  {tally(metric)}", "  (dry run)" if metric.dry_run else ""
    )
    title.rstrip()
    lines = [title]
    if metric.message:
        lines.append(Text(f"  {metric.message}"))
    if metric.success_condition:
        lines.append(Text(f"  success: {metric.success_condition}"))
    if metric.failure_condition:
        lines.append(Text(f"  failure: {metric.failure_condition}"))
    rows: list[Sequence[str | Text]] = [
        (f"{each.started_at:%H:%M:%S}", marked(each.phase), each.value, each.message or each.reason)
        for each in metric.measurements
    ]
    return [*lines, *columns(rows, indent="  ")]
