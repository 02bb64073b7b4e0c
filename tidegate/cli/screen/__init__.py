"""One screen for one release: a status in, lines out. Pure: no clock and no terminal."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from tidegate.cli.screen.canvas import Section, Terminal, arranged
from tidegate.cli.screen.details import event_lines, opened_pods, origin_lines, pod_lines, waiting_lines
from tidegate.cli.screen.gates import gate_lines
from tidegate.cli.screen.headline import abort_lines, alert_lines, state_line, version_line
from tidegate.cli.screen.progress import progress_lines, step_table
from tidegate.contract import Observation, ReleaseStatus
from tidegate.report.aborted import abort_event

__all__ = ["Terminal", "screen"]

_TALL = 36  # rows from which on each step has a line
_EVENTS = 4  # rows of events, with their title, before there are empty lines


def screen(
    status: ReleaseStatus,
    observation: Observation | None,
    *,
    now: datetime,
    terminal: Terminal,
    pods: bool = False,
    trouble: str = "",
    read_at: datetime | None = None,
) -> list[Text]:
    """Lines of a release, no wider and no more than the terminal has room for.

    `pods` lists each pod. `trouble` says why the status, that of `read_at`, is an old one.
    """
    abort = abort_event(status)
    head = [state_line(status, now, terminal), version_line(status, observation, terminal)]
    head += alert_lines(status, trouble, read_at or now, now)
    steps = Section(progress_lines(status, now, terminal), rank=4 if abort else 1, least=2)
    wait = waiting_lines(status, now, terminal)
    if abort is None:
        answers = [steps, Section(wait, rank=2, least=len(wait))]
    else:
        undone = abort_lines(status, abort, observation, terminal)
        answers = [Section(undone, rank=1, least=len(undone)), steps]
    gates, table = gate_lines(status, terminal, abort.analysis if abort else ""), step_table(status, now)
    folded = pod_lines(status, observation)
    listed = opened_pods(status, observation, now, terminal.width) if pods else folded
    wide, tall = terminal.is_wide, terminal.height >= _TALL
    origin = origin_lines(status) if wide else []
    return arranged(
        [
            Section(head, rank=0, least=len(head)),
            *answers,
            Section(gates, rank=3, least=min(len(gates), 6)),
            Section(listed, rank=5, least=len(listed) if pods else 1),
            Section(table if wide and tall else [], rank=8, least=len(table)),
            Section(event_lines(status, terminal), rank=6, least=_EVENTS, newest_last=True),
            Section(origin, rank=7, least=len(origin) if tall else 0),
        ],
        terminal,
    )
