"""Top of a screen: the state of a release, its versions and weights, and what an abort was about."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rich.style import Style
from rich.text import Text

from tidegate.analysis.compare.measurement import FAILED_REQUESTS, REQUESTS, comparison_of
from tidegate.cli.formatting import BAD, OK, PROGRESSING, WAITING, WARNING, age, clock, mark, marked, since
from tidegate.cli.screen.canvas import Terminal, both_ends, labelled, paragraph
from tidegate.cli.screen.gates import limit_text, newest_value, scope
from tidegate.cli.screen.progress import time_left
from tidegate.cli.screen.versions import versions
from tidegate.contract import (
    CompensationState,
    Event,
    IncidentRef,
    Observation,
    ReleaseStatus,
)
from tidegate.manifests.plain_text import one_line
from tidegate.report import comparisons, decisive_metric, traffic_seen
from tidegate.report.timeline import abort_of, weight_at
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
_PAUSED: Final = "‖"  # many fonts lack the sign that Argo's tree has for it
_REASON_LINES: Final = 3
_COMMIT: Final = 8


def state_line(status: ReleaseStatus, now: datetime, terminal: Terminal) -> Text:
    """Name, phase, time since the beginning, and the time left."""
    cluster = f" on {status.cluster}" if status.cluster != "default" else ""
    name = Text.assemble((one_line(status.name), "bold"), (f"  {one_line(status.namespace)}{cluster}", "dim"))
    phase = effective_phase(status)
    style = _PHASE_STYLES.get(phase, "bold")
    icon = _PAUSED if phase is RolloutPhase.PAUSED else mark(phase)
    state = Text.assemble((f"{icon} {phase}", style), *(f"  {part}" for part in _times(status, now)))
    return both_ends(name, state, terminal.width)


def effective_phase(status: ReleaseStatus) -> RolloutPhase:
    """Phase of a release; Paused also while an operator's pause holds it between two steps."""
    held = status.manual_pause is not None and status.phase is RolloutPhase.PROGRESSING
    return RolloutPhase.PAUSED if held else status.phase


def _times(status: ReleaseStatus, now: datetime) -> Iterator[str]:
    if status.finished_at is not None:
        yield f"took {age(status.finished_at - status.started_at)}"
        yield f"ended {since(status.finished_at, now)} ago"
        return
    yield since(status.started_at, now)
    if left := time_left(status, now):
        yield left


def version_line(status: ReleaseStatus, observation: Observation | None, terminal: Terminal) -> Text:
    """Old and new version with the one who released it, and the weight as requested, as set and as seen."""
    before, after = versions(status, observation)
    by = f"  by {one_line(status.by)}" if status.by else ""
    commit = f", commit {one_line(status.source.commit)[:_COMMIT]}" if status.source.commit else ""
    arrow = Text.assemble((before, "dim"), " → " if before else "", (after or f"revision {status.revision}", "bold"))
    left = Text.assemble(arrow, (f"{by}{commit}", "dim"))
    return both_ends(left, _weights(status), terminal.width)


def _weights(status: ReleaseStatus) -> Text:
    if status.finished_at is not None and not status.aborting:
        return Text.assemble("weight ", (f"{status.actual_weight} %", "bold"))
    seen = traffic_seen(status)
    return Text.assemble(
        "weight asked ",
        (f"{status.set_weight} %", "bold"),
        "  set ",
        (f"{status.actual_weight} %", "bold"),
        *(("  seen ", (seen, "bold")) if seen else ()),
    )


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
    after = versions(status, observation)[1] or f"revision {status.revision}"
    weight = weight_at(status, abort.at)
    lines = paragraph(
        "taken back", f"{after} at {weight} %, {clock(abort.at)} UTC", terminal.width, 1, style="bold red"
    )
    lines += paragraph("why", abort_reason(status, abort), terminal.width, _REASON_LINES)
    if cost := _cost(status):
        lines += paragraph("cost", cost, terminal.width, 1)
    lines.append(labelled("traffic", _traffic(status, abort)))
    if status.compensations:
        done = (marked(str(each.name), _STATES[each.state]) for each in status.compensations)
        lines.append(labelled("undoing", Text("  ").join(done)))
    if status.incident is not None:
        lines.append(labelled("incident", _link(status.incident)))
    lines += _next(status, terminal)
    return lines


def abort_reason(status: ReleaseStatus, abort: Event) -> str:
    """Cause of an abort in one sentence, with the value against the limit where a gate caused it."""
    gate = next((each for each in status.analyses if abort.analysis and each.name == abort.analysis), None)
    metric = decisive_metric(gate.status) if gate is not None else None
    if gate is None or metric is None:
        return status.cause or abort.message
    if (judged := comparison_of(metric)) is not None:
        return f"{metric.name}: {judged.value}"
    exceeded = f": {metric.exceeded}" if metric.exceeded else ""
    return f"{metric.name} of {scope(gate)} is {newest_value(metric)}, it has to be {limit_text(metric)}{exceeded}"


def _cost(status: ReleaseStatus) -> str:
    """Requests that the version failed, where a comparison counted them; empty else."""
    counted = [
        judged.metadata for _, judged in comparisons(status) if {REQUESTS, FAILED_REQUESTS} <= judged.metadata.keys()
    ]
    if not counted:
        return ""
    return f"{int(counted[-1][FAILED_REQUESTS]):,} of its {int(counted[-1][REQUESTS]):,} counted requests failed"


def _traffic(status: ReleaseStatus, abort: Event) -> Text:
    back = next((row for row in status.weights if row.at >= abort.at and row.canary == 0), None)
    if back is not None:
        seconds = (back.at - abort.at).total_seconds()
        text = f"all on stable since {clock(back.at)} UTC, read back {seconds:.1f} s after the verdict"
        return Text(text, style="green")
    if status.actual_weight == 0:
        return Text("all on stable", style="green")
    return Text(f"{status.actual_weight} % still on the canary, on its way back", style="bold yellow")


def _link(incident: IncidentRef) -> Text:
    """Number and address of an incident; a terminal that can follows it also where it is cut."""
    url = one_line(incident.url)
    style = Style(link=url) if url.startswith(("https://", "http://")) and " " not in url else Style()
    return Text(f"{one_line(incident.number)}  {url}", style=style)


def _next(status: ReleaseStatus, terminal: Terminal) -> list[Text]:
    failed = [each for each in status.compensations if each.state is CompensationState.FAILED]
    lines = [
        line
        for each in failed
        for line in paragraph(
            "do now", f"an operator is needed: {each.name} failed: {each.detail}", terminal.width, 2, "bold red"
        )
    ]
    lines.append(labelled("next", Text.assemble((command("explain", status), "bold cyan"), ", then release a fix")))
    return lines


def command(verb: str, status: ReleaseStatus) -> str:
    """A command about this Rollout, as it can be copied."""
    namespace = f" -n {one_line(status.namespace)}" if status.namespace != "default" else ""
    cluster = f" --cluster {one_line(status.cluster)}" if status.cluster != "default" else ""
    return f"tidegate {verb} {one_line(status.name)}{namespace}{cluster}"


def abort_event(status: ReleaseStatus) -> Event | None:
    """The abort that the status is about; None where its version goes on, or ended well."""
    return abort_of(status) if status.aborting else None
