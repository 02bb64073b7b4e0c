"""Steps of a release on a screen: a bar, their weights and pauses, and the time that is left of the whole release."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from rich.text import Text

from tidegate.analysis.status import Phase
from tidegate.cli.formatting import age
from tidegate.cli.screen.canvas import Terminal, meter
from tidegate.contract import AnalysisRef, ReleaseStatus, StepState, StepStatus
from tidegate.manifests.durations import pause_seconds

BAR: Final = 32
"""Columns of the bar where there is room for 80."""
_PAUSE: Final = "pause: "
_WEIGHT: Final = "setWeight: "
_GATES: Final = ("prePromotionAnalysis", "postPromotionAnalysis")
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
        return [Text("no steps: the whole version at once", style="dim")]
    width = min(BAR * terminal.width // 80, 60)
    bar = meter(_share(status, now), width, "red" if status.aborting else "green")
    return [Text.assemble(bar, "  ", _current(status)), _row(status, terminal.width)]


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


def short(step: StepStatus) -> str:
    """A step in few characters: `10 %`, `pause 5m`, `analysis`."""
    if step.text.startswith(_WEIGHT):
        return f"{step.text.removeprefix(_WEIGHT)} %"
    return step.text.replace(_PAUSE, "pause ")


def time_left(status: ReleaseStatus, now: datetime) -> str:
    """Time that the rest of the steps takes: `~9m left`, `9m+ left` where a part of it is not known; empty without any.

    A timed pause takes its duration, an analysis as long as an earlier one of this release, any other step no time. The
    time of a first analysis is not known, nor that of a pause that only an operator ends.
    """
    index = status.step_index
    if index is None or status.finished_at is not None or status.aborting or index >= len(status.steps):
        return ""
    parts = [_seconds(each, status, now) for each in status.steps[index:]]
    known = sum(each for each in parts if each is not None)
    if None not in parts and status.manual_pause is None:
        return f"~{age(timedelta(seconds=round(known)))} left"
    return f"{age(timedelta(seconds=round(known)))}+ left" if known >= 1 else ""


def _seconds(step: StepStatus, status: ReleaseStatus, now: datetime) -> float | None:
    """Seconds that a step still takes; None where that is not known."""
    spent = (now - step.started_at).total_seconds() if step.started_at is not None else 0.0
    if step.text.startswith(_PAUSE):
        return max(_duration(step) - spent, 0.0)
    if step.text == "analysis":
        whole = _analysis_seconds(status, step)
        return None if whole is None else max(whole - spent, 0.0)
    return None if step.text in ("pause", "experiment") or step.text.startswith(_GATES) else 0.0


def _duration(step: StepStatus) -> float:
    try:
        return float(pause_seconds(step.text.removeprefix(_PAUSE)))
    except ValueError:
        return 0.0


def _analysis_seconds(status: ReleaseStatus, step: StepStatus) -> float | None:
    """Seconds of the latest analysis of a step that went well; None before there was one."""
    took = [
        (each.finished_at - each.started_at).total_seconds()
        for each in status.steps
        if each.text == step.text and each.state is StepState.DONE and each.started_at and each.finished_at
    ]
    return took[-1] if took else None


def _share(status: ReleaseStatus, now: datetime) -> float:
    """Share of the steps that are done; of a timed pause its part that has passed."""
    if status.step_index is None:
        return 0.0
    index = min(status.step_index, len(status.steps))
    part = 0.0
    if index < len(status.steps) and (step := status.steps[index]).text.startswith(_PAUSE) and step.started_at:
        part = min(max((now - step.started_at).total_seconds(), 0.0) / max(_duration(step), 1.0), 1.0)
    return (index + part) / len(status.steps)


def _current(status: ReleaseStatus) -> Text:
    index, count = status.step_index, len(status.steps)
    if index is None:
        return Text("before its first step")
    if index >= count:
        return Text(f"all {count} steps")
    opening = "stopped at step" if status.aborting else "step"
    weight = f" at {status.set_weight} %" if status.steps[index].text == "analysis" and not status.aborting else ""
    return Text.assemble(f"{opening} {index + 1} of {count}: ", (short(status.steps[index]), "bold"), weight)


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
    mark, style = _MARKS[step.state]
    if step.index == status.step_index and step.state is StepState.PENDING:
        mark, style = _MARKS[StepState.RUNNING]
    return Text(f"{mark}{short(step)}", style=style)


def running(status: ReleaseStatus) -> list[AnalysisRef]:
    """Analysis runs of this version that are under way."""
    return [each for each in status.analyses if each.revision == status.revision and each.status.phase is Phase.RUNNING]
