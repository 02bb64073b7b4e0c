"""An analysis run drawn: its metrics, their conditions, what was asked, and every measurement with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.text import Text

from tidegate.analysis.compare.measurement import comparison_of, details_of, is_judgement
from tidegate.analysis.status import AnalysisStatus, Measurement, MetricStatus
from tidegate.cli.formatting import columns, dated, indented, labelled, marked
from tidegate.cli.tree import counts, tally
from tidegate.manifests.plain_text import harmless
from tidegate.report.ages import clock
from tidegate.report.marks import WARNING


def analysis_view(status: AnalysisStatus, now: datetime) -> list[Text]:
    """The whole view of one analysis run, as lines."""
    lines = [labelled("Name:", status.name), labelled("Status:", marked(status.phase))]
    if status.message:
        lines.append(labelled("Message:", harmless(status.message)))
    if status.started_at is not None:
        lines.append(labelled("Started:", dated(status.started_at, now)))
    if status.completed_at is not None:
        lines.append(labelled("Completed:", dated(status.completed_at, now)))
    if status.rate_limited_until is not None and status.rate_limited_until > now:
        lines.append(labelled("Rate limited:", f"until {clock(status.rate_limited_until)} UTC"))
    lines.append(labelled("Measurements:", counts(status) or "none yet"))
    for metric in status.metrics:
        lines += [Text(), _title(metric), *metric_lines(metric, 2)]
    return lines


def metric_lines(metric: MetricStatus, indent: int) -> list[Text]:
    """Lines below a metric's title: message, limit, conditions, query, measurements.

    A query that is the same for all measurements is once above them, else below each of them.
    """
    space = " " * indent
    if (judged := comparison_of(metric)) is not None:
        return comparison_lines(judged, indent)
    facts = {
        "message": metric.message,
        "limit": metric.exceeded,
        "success": metric.success_condition,
        "failure": metric.failure_condition,
    }
    lines = [Text(f"{space}{name}: {harmless(text)}") for name, text in facts.items() if text]
    queries = {each.query for each in metric.measurements}
    if len(queries) == 1 and (query := next(iter(queries))):
        lines += [Text(f"{space}query:"), *indented(query, indent + 2)]
    rows = columns([measurement_row(each) for each in metric.measurements], indent=space)
    for row, each in zip(rows, metric.measurements, strict=True):
        lines += [row, *_details(each, indent + 2, query=len(queries) > 1)]
    return lines


def comparison_lines(judged: Measurement, indent: int, *, sentence: bool = True) -> list[Text]:
    """Lines of a judgement: when and what, and at which weight; without its sentence where that is printed already."""
    row = [_time(judged), marked(judged.phase), *((harmless(judged.value),) if sentence else ())]
    below = [line for text in details_of(judged) for line in indented(text, indent + 2)]
    return [*columns([row], indent=" " * indent), *below]


def measurement_row(each: Measurement) -> Sequence[str | Text]:
    """The cells of one measurement: when, verdict, value, and why; a judgement is its own reason."""
    if is_judgement(each):
        return (_time(each), marked(each.phase), harmless(each.value), "")
    return (_time(each), marked(each.phase), harmless(each.value), harmless(each.reason or each.message))


def _title(metric: MetricStatus) -> Text:
    dry = "  (dry run)" if metric.dry_run else ""
    title = Text.assemble((metric.name, "bold"), "  ", marked(metric.phase), f"  {tally(metric)}", dry)
    title.rstrip()
    return title


def _time(each: Measurement) -> str:
    if each.finished_at is None:
        verb = "read" if is_judgement(each) else "asked again"
        again = f", {verb} at {clock(each.resume_at)}" if each.resume_at is not None else ""
        return f"{clock(each.started_at)} and still running{again}"
    seconds = (each.finished_at - each.started_at).total_seconds()
    return f"{clock(each.started_at)} - {clock(each.finished_at)} ({seconds:.1f}s)"


def _details(each: Measurement, indent: int, *, query: bool) -> Iterator[Text]:
    if query and each.query:
        yield from [Text(" " * indent + "query:"), *indented(each.query, indent + 2)]
    for name, text in each.metadata.items():
        first, *more = [line.plain for line in indented(text, 0)] or [""]
        yield Text(f"{' ' * indent}{harmless(name)}: {first}")
        yield from (Text(" " * (indent + 2) + line) for line in more)


def measurements_since(before: AnalysisStatus | None, after: AnalysisStatus) -> list[Text]:
    """The measurements that came between two accounts of a run, one line each, and what makes it wait."""
    known = {metric.name: _total(metric) for metric in before.metrics} if before is not None else {}
    found = []
    for metric in after.metrics:
        kept = [each for each in metric.measurements if each.phase.completed]
        new = _total(metric) - known.get(metric.name, 0)
        found += [(each, metric) for each in kept[max(0, len(kept) - new) :]]
    found.sort(key=lambda pair: pair[0].started_at)
    lines = [_line(metric, each) for each, metric in found]
    waits = after.rate_limited_until
    if waits is not None and (before is None or waits != before.rate_limited_until):
        lines.append(marked(f"a rate limit makes the run wait until {clock(waits)} UTC", WARNING))
    return lines


def _line(metric: MetricStatus, each: Measurement) -> Text:
    dry = " (dry run)" if metric.dry_run else ""
    when, verdict, value, reason = measurement_row(each)
    line = Text.assemble(f"{when}  {metric.name}{dry}  ", verdict, f"  {value}  {reason}")
    line.rstrip()
    return line


def _total(metric: MetricStatus) -> int:
    return metric.count + metric.error
