"""Gates of a release on a screen: a row for each metric, with its readings against its limit."""

from __future__ import annotations

from typing import Final, NamedTuple

from rich.text import Text

from tidegate.analysis.compare.measurement import EVENT, PROOF, comparison_of
from tidegate.analysis.compare.phrases import percent
from tidegate.analysis.status import Measurement, MetricStatus, Phase
from tidegate.cli.formatting import marked
from tidegate.cli.screen.canvas import Terminal, cells, meter, paragraph
from tidegate.cli.screen.sparkline import STYLES, sparkline
from tidegate.contract import AnalysisRef, ReleaseStatus
from tidegate.manifests.plain_text import one_line
from tidegate.report.gates import limit_text, limits_text, newest_value, scope, shown_gates
from tidegate.report.marks import UNKNOWN, WARNING

_SENTENCE_LINES: Final = 3


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
    shown = shown_gates(status)
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


def _reading_row(gate: AnalysisRef, metric: MetricStatus, widths: _Columns, terminal: Terminal) -> Text:
    phase = metric.measurements[-1].phase if metric.measurements else metric.phase
    return _row(
        widths,
        _name(metric),
        Text(newest_value(metric), style=STYLES.get(phase, "")),
        Text(limits_text(metric) if terminal.is_wide else limit_text(metric)),
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
