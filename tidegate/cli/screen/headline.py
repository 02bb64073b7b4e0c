"""Top of a screen: the state of a release, its versions and weights, and what an abort was about."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from rich.style import Style
from rich.text import Text

from tidegate.cli.formatting import marked
from tidegate.cli.screen.canvas import Terminal, both_ends, labelled, paragraph
from tidegate.contract import CompensationState, Event, IncidentRef, Observation, ReleaseStatus
from tidegate.manifests.plain_text import one_line
from tidegate.report.aborted import abort_cost, abort_reason, operator_tasks, taken_back, way_back
from tidegate.report.ages import clock, since
from tidegate.report.current_state import command, effective_phase, origin, times, weights
from tidegate.report.marks import BAD, OK, PROGRESSING, WAITING, WARNING, phase_mark
from tidegate.report.versions import versions
from tidegate.rollouts.phase import RolloutPhase

_STATES: Final = {
    CompensationState.PENDING: WAITING,
    CompensationState.RUNNING: PROGRESSING,
    CompensationState.DONE: OK,
    CompensationState.SKIPPED: WARNING,
    CompensationState.FAILED: BAD,
}
_PHASE_STYLES: Final = {
    RolloutPhase.HEALTHY: "bold green",
    RolloutPhase.DEGRADED: "bold red",
    RolloutPhase.PAUSED: "bold magenta",
    RolloutPhase.PROGRESSING: "bold cyan",
}
_REASON_LINES: Final = 3


def state_line(status: ReleaseStatus, now: datetime, terminal: Terminal) -> Text:
    """Name, phase, time since the beginning, and the time left."""
    cluster = f" on {status.cluster}" if status.cluster != "default" else ""
    name = Text.assemble((one_line(status.name), "bold"), (f"  {one_line(status.namespace)}{cluster}", "dim"))
    phase = effective_phase(status)
    style = _PHASE_STYLES.get(phase, "bold")
    state = Text.assemble((f"{phase_mark(phase)} {phase}", style), *(f"  {part}" for part in times(status, now)))
    return both_ends(name, state, terminal.width)


def version_line(status: ReleaseStatus, observation: Observation | None, terminal: Terminal) -> Text:
    """Old and new version with the one who released it, and the weight as requested, as set and as seen."""
    before, after = versions(status, observation)
    arrow = Text.assemble((before, "dim"), " → " if before else "", (after or f"revision {status.revision}", "bold"))
    left = Text.assemble(arrow, (f"  {origin(status)}", "dim"))
    shown = Text("  ").join(Text.assemble(f"{name} ", (value, "bold")) for name, value in weights(status, observation))
    return both_ends(left, shown, terminal.width)


def alert_lines(status: ReleaseStatus, trouble: str, read_at: datetime, now: datetime) -> list[Text]:
    """Lines for what is out of order besides the gates: an old answer, rejections by the cluster, warnings."""
    lines = []
    if trouble:
        old = f"state of {clock(read_at)} UTC, {since(read_at, now)} old: "
        lines.append(marked(f"{old}{one_line(trouble)}", WARNING))
    if status.failing is not None:
        lines.append(marked(one_line(str(status.failing)), WARNING))
    if status.warnings:
        more = f" (and {len(status.warnings) - 1} more: tidegate get rollout)" if len(status.warnings) > 1 else ""
        lines.append(marked(f"{one_line(status.warnings[0])}{more}", WARNING))
    for line in lines:
        line.stylize("yellow")
    return lines


def abort_lines(status: ReleaseStatus, abort: Event, observation: Observation | None, terminal: Terminal) -> list[Text]:
    """Why a version was taken back, its cost, the state of the traffic, the incident, and what to do next."""
    lines = paragraph("taken back", taken_back(status, abort, observation), terminal.width, 1, style="bold red")
    lines += paragraph("why", abort_reason(status, abort), terminal.width, _REASON_LINES)
    if cost := abort_cost(status):
        lines += paragraph("cost", cost, terminal.width, 1)
    traffic = way_back(status, abort)
    lines.append(labelled("traffic", Text(traffic.text, style="green" if traffic.done else "bold yellow")))
    if status.compensations:
        done = (marked(str(each.name), _STATES[each.state]) for each in status.compensations)
        lines.append(labelled("undoing", Text("  ").join(done)))
    if status.incident is not None:
        lines.append(labelled("incident", _link(status.incident)))
    lines += _next(status, terminal)
    return lines


def _link(incident: IncidentRef) -> Text:
    """Number and address of an incident; a terminal that can follows it also where it is cut."""
    url = one_line(incident.url)
    style = Style(link=url) if url.startswith(("https://", "http://")) and " " not in url else Style()
    return Text(f"{one_line(incident.number)}  {url}", style=style)


def _next(status: ReleaseStatus, terminal: Terminal) -> list[Text]:
    lines = [
        line for text in operator_tasks(status) for line in paragraph("do now", text, terminal.width, 2, "bold red")
    ]
    lines.append(labelled("next", Text.assemble((command("explain", status), "bold cyan"), ", then release a fix")))
    return lines
