"""Steps of a release on a screen: a bar with the current one, and all of them in a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from rich.text import Text

from tidegate.cli.screen.canvas import Terminal, meter
from tidegate.contract import ReleaseStatus, StepState, StepStatus
from tidegate.report.ages import age
from tidegate.report.progress import current_step, share_done, short, state_of_step

BAR: Final = 32
"""Columns of the bar where there is room for 80."""
_MARKS: Final = {
    StepState.DONE: ("✔ ", "green"),
    StepState.SKIPPED: ("✔ ", "dim"),
    StepState.FAILED: ("✖ ", "red"),
    StepState.RUNNING: ("▶ ", "bold cyan"),
    StepState.PENDING: ("", "dim"),
}


def progress_lines(status: ReleaseStatus, now: datetime, terminal: Terminal) -> list[Text]:
    """The bar with the current step, and the steps in a row."""
    if not status.steps:
        return [Text(current_step(status).opening, style="dim")]
    width = min(BAR * terminal.width // 80, 60)
    bar = meter(share_done(status, now), width, "red" if status.aborting else "green")
    opening, step, weight = current_step(status)
    return [Text.assemble(bar, "  ", opening, (step, "bold"), weight), _row(status, terminal.width)]


def step_table(status: ReleaseStatus, now: datetime) -> list[Text]:
    """A line for each step, with its times, under a title."""
    lines = [Text("STEPS", style="dim")]
    for each in status.steps:
        mark, style = _MARKS[each.state]
        took = age((each.finished_at or now) - each.started_at) if each.started_at else ""
        begin = f"{each.started_at:%H:%M:%S}" if each.started_at else " " * 8
        lines.append(
            Text.assemble(
                f"{each.index + 1:>3}  {begin}  ", (f"{mark or '· '}{short(each)}".ljust(24), style), f"  {took}"
            )
        )
    return lines if status.steps else []


def _row(status: ReleaseStatus, width: int) -> Text:
    """All steps in a row; where it is too long only what is near the current one."""
    parts = [_part(each, status) for each in status.steps]
    index = min(status.step_index or 0, len(parts) - 1)
    first, last = index, index + 1
    while _extent(parts, first, last) <= width:
        wider = [(first - 1, last)] * (first > 0) + [(first, last + 1)] * (last < len(parts))
        fits = [each for each in wider if _extent(parts, *each) <= width]
        if not fits:
            break
        first, last = min(fits, key=lambda each: abs((index - each[0]) * 2 - (each[1] - index)))
    return Text("   ").join(_cut(parts, first, last))


def _cut(parts: Sequence[Text], first: int, last: int) -> Iterator[Text]:
    if first:
        yield Text(f"… {first} before", style="dim")
    yield from parts[first:last]
    if last < len(parts):
        yield Text(f"… {len(parts) - last} more", style="dim")


def _extent(parts: Sequence[Text], first: int, last: int) -> int:
    return Text("   ").join(_cut(parts, first, last)).cell_len


def _part(step: StepStatus, status: ReleaseStatus) -> Text:
    mark, style = _MARKS[state_of_step(step, status)]
    return Text(f"{mark}{short(step)}", style=style)
