"""Gates of a release on a screen: a row for each metric, with its readings against its limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from rich.text import Text

from tidegate.analysis.compare.measurement import EVENT, PROOF, comparison_of
from tidegate.analysis.compare.phrases import percent
from tidegate.analysis.status import Measurement, MetricStatus, Phase
from tidegate.cli.formatting import UNKNOWN, WARNING, marked
from tidegate.cli.screen.canvas import Terminal, cells, meter, paragraph
from tidegate.cli.screen.sparkline import STYLES, sparkline
from tidegate.contract import AnalysisKind, AnalysisRef, ReleaseStatus
from tidegate.manifests.lint.traps import comparison
from tidegate.manifests.plain_text import one_line
from tidegate.report.chart import number_of

_ORDER: Final = (Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE, Phase.RUNNING, Phase.PENDING, Phase.SUCCESSFUL)
_SENTENCE_LINES: Final = 3
_OPPOSITES: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


class _Columns(NamedTuple):
    name: int
    value: int
    limit: int
    readings: int

    @classmethod
    def of(cls, width: int) -> _Columns:
        """Widths for a table in so many columns."""
        spare = max(width - 80, 0)
        return cls(name=20 + spare // 4, value=8, limit=12 + spare // 4, readings=10 + spare // 8)


def gate_lines(status: ReleaseStatus, terminal: Terminal, explained: str = "") -> list[Text]:
    """The table of the gates of this version, the ones that ended badly first; empty without any.

    The sentence of a comparison of the gate named `explained` is left out.
    """
    shown = list(_shown(status))
    if not shown:
        return []
    widths = _Columns.of(terminal.width)
    lines = [
        _row(widths, *(Text(title, style="dim") for title in ("GATE", "NOW", "LIMIT", "READINGS", "GOOD", "BAD", "")))
    ]
    for gate, metric in shown:
        judged = comparison_of(metric)
        lines += (
            [_reading_row(gate, metric, widths, terminal)]
            if judged is None
            else _comparison_rows(metric, judged, widths, terminal, explained=gate.name == explained)
        )
    return lines


def newest_value(metric: MetricStatus) -> str:
    """Newest value of a metric as a person reads it; its message or a dash where there is none."""
    newest = metric.measurements[-1] if metric.measurements else None
    return readable(newest.value or newest.message) if newest is not None else "-"


def readable(value: str) -> str:
    """A value with at most three figures where it is a number, else on one line."""
    number = number_of(value)
    if number is None:
        return one_line(value) or "-"
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e9 else f"{number:.3g}"


def limit_text(metric: MetricStatus) -> str:
    """Limit of a metric in short: `< 0.01` for what is good, or its condition where that is no comparison."""
    success, failure = comparison(metric.success_condition), comparison(metric.failure_condition)
    if success is not None:
        return f"{success.operator} {success.limit:g}"
    if metric.success_condition:
        return one_line(metric.success_condition)
    if failure is not None:
        return f"{_OPPOSITES[failure.operator]} {failure.limit:g}"
    return f"not {one_line(metric.failure_condition)}" if metric.failure_condition else "-"


def _limits(metric: MetricStatus, terminal: Terminal) -> str:
    """Limit of a metric, on a wide screen with that of a bad reading where there is a gap between the two."""
    failure = comparison(metric.failure_condition)
    if not terminal.is_wide or failure is None or not metric.success_condition:
        return limit_text(metric)
    return f"{limit_text(metric)}, bad {failure.operator} {failure.limit:g}"


def scope(gate: AnalysisRef) -> str:
    """Part of the release that a gate watches."""
    if gate.kind is AnalysisKind.BACKGROUND:
        return "all steps"
    return f"step {gate.step + 1}" if gate.step is not None else str(gate.kind).lower()


def _shown(status: ReleaseStatus) -> Iterator[tuple[AnalysisRef, MetricStatus]]:
    """Yield the metrics of the gates that count now: those under way, those that went wrong, else the newest one."""
    gates = [gate for gate in status.analyses if gate.revision == status.revision]
    current = [gate for gate in gates if gate.status.phase is not Phase.SUCCESSFUL] or gates[-1:]
    background = [gate for gate in gates if gate.kind is AnalysisKind.BACKGROUND and gate not in current]
    found = [(gate, metric) for gate in [*current, *background] for metric in gate.status.metrics]
    yield from sorted(found, key=lambda each: (_ORDER.index(each[1].phase), each[1].dry_run))


def _reading_row(gate: AnalysisRef, metric: MetricStatus, widths: _Columns, terminal: Terminal) -> Text:
    phase = metric.measurements[-1].phase if metric.measurements else metric.phase
    return _row(
        widths,
        _name(metric),
        Text(newest_value(metric), style=STYLES.get(phase, "")),
        Text(_limits(metric, terminal)),
        sparkline(metric, widths.readings, colour=terminal.colour),
        Text(str(metric.successful)),
        Text(str(metric.failed), style="red" if metric.failed else ""),
        Text(_note(gate, metric), style="dim"),
    )


def _note(gate: AnalysisRef, metric: MetricStatus) -> str:
    others = ((UNKNOWN, metric.inconclusive), (WARNING, metric.error))
    return ", ".join([scope(gate), *(f"{icon} {count}" for icon, count in others if count)])


def _name(metric: MetricStatus) -> Text:
    mark = marked(metric.phase)
    mark.truncate(1)
    return Text.assemble(mark, f" {one_line(metric.name)}", " (dry run)" if metric.dry_run else "")


def _row(widths: _Columns, *parts: Text) -> Text:
    name, value, limit, readings, good, bad, note = parts
    return Text("  ").join(
        (
            cells(name, widths.name),
            cells(value, widths.value, right=True),
            cells(limit, widths.limit),
            cells(readings, widths.readings),
            cells(good, 4, right=True),
            cells(bad, 3, right=True),
            note,
        )
    )


def _comparison_rows(
    metric: MetricStatus, judged: Measurement, widths: _Columns, terminal: Terminal, *, explained: bool
) -> list[Text]:
    """How far the weakest proof is, and the sentence of the comparison where it is not `explained` already."""
    row = [cells(_name(metric), widths.name)]
    proof = judged.metadata.get(PROOF, "")
    if metric.phase is Phase.FAILED:
        row.append(Text("harm is shown", style="red"))
    elif proof:
        share = float(proof)
        text = f"proof {percent(share)} of what is asked for ({one_line(judged.metadata.get(EVENT, ''))})"
        row += [Text(text), meter(share, widths.readings, "green" if share >= 1 else "cyan")]
    sentence = [] if explained else paragraph("", judged.value, terminal.width, _SENTENCE_LINES, "dim")
    return [Text("  ").join(row), *sentence]
