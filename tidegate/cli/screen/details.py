"""Lower parts of a screen: the wait and its commands, pods in counts, the last events, and where to read on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rich.text import Text

from tidegate.cli.formatting import WARNING, age, clock, marked
from tidegate.cli.screen.canvas import Terminal, labelled, paragraph
from tidegate.cli.screen.gates import scope
from tidegate.cli.screen.headline import command
from tidegate.cli.screen.progress import running
from tidegate.cli.tree import is_healthy, replica_sets, role, tree
from tidegate.contract import Event, Observation, ReleaseStatus
from tidegate.manifests.plain_text import one_line
from tidegate.rollouts.phase import RolloutPhase
from tidegate.rollouts.replica_sets import ReplicaSetState

# The bar and the line of pods show these.
_SHOWN_ELSEWHERE: Final = ("RolloutStepCompleted", "SwitchService", "NewReplicaSetCreated")
_RUN: Final = "AnalysisRun"
_TITLE: Final = "dim"


def waiting_lines(status: ReleaseStatus, now: datetime, terminal: Terminal) -> list[Text]:
    """The wait, its end, and the command that works now."""
    lines = []
    paused = status.manual_pause
    if paused is not None:
        why = f": {paused.reason}" if paused.reason else ""
        lines += paragraph("paused by", f"{paused.by or 'an operator'}{why}", terminal.width, 2, style="magenta")
    if status.waiting is not None and status.finished_at is None:
        lines += _wait(status, now, terminal)
    verb, *others = _verbs(status)
    known = Text.assemble((command(verb, status), "bold cyan"), f"   or {', '.join(others)}" if others else "")
    return [*lines, labelled("you can", known)]


def _wait(status: ReleaseStatus, now: datetime, terminal: Terminal) -> list[Text]:
    waiting = status.waiting
    if waiting is None:
        return []
    end = ""
    if waiting.until is not None:
        left = f"{age(waiting.until - now)} left" if waiting.until > now else "due now"
        end = f": {left}, until {clock(waiting.until)} UTC"
    lines = paragraph("waiting for", f"{waiting.what}{end}", terminal.width, 2)
    return [*lines, *paragraph("ended by", waiting.who, terminal.width, 2)]


def _verbs(status: ReleaseStatus) -> tuple[str, ...]:
    """Commands that have an effect now, the likeliest first."""
    if status.finished_at is not None or status.aborting:
        return ("explain", "undo") if not status.aborting else ("explain",)
    if status.manual_pause is not None:
        return ("resume", "abort", "explain")
    if status.phase is RolloutPhase.PAUSED:
        return ("promote", "abort", "explain")
    return ("abort", "pause", "promote", "explain") if running(status) else ("abort", "pause", "explain")


def pod_lines(status: ReleaseStatus, observation: Observation | None) -> list[Text]:
    """Pods of each version as a count, and what is wrong with one.

    Counts are the release's own once something has happened since the cluster was observed.
    """
    old = observation is not None and any(each.at > observation.at for each in status.events)
    parts = [
        _count(each, role(each, status) or f"old (revision {each.revision})")
        for each in replica_sets(status, None if old else observation)
        if each.desired or each.current
    ]
    return [labelled("PODS", Text("   ").join(parts or [Text("none")]))]


def _count(each: ReplicaSetState, name: str) -> Text:
    ready, whole = min(each.ready, each.current), max(each.desired, each.current)
    style = "green" if ready == each.desired == each.current else "yellow"
    going = ", going" if each.desired < each.current else ""
    bad = next((pod for pod in each.pods if not is_healthy(pod)), None)
    trouble = f" {one_line(bad.phase)}" if bad is not None else ""
    return Text.assemble(f"{name} ", (f"{ready}/{whole}", style), f" ready{going}", (trouble, "bold red"))


def opened_pods(status: ReleaseStatus, observation: Observation | None, now: datetime, width: int) -> list[Text]:
    """The tree with each pod, in place of the counts."""
    return tree(status, observation, now, width)


def event_lines(status: ReleaseStatus, terminal: Terminal) -> list[Text]:
    """The events under their title, the newest last."""
    shown = [each for each in status.events if each.warning or each.reason not in _SHOWN_ELSEWHERE]
    if not shown:
        return []
    return [Text("EVENTS", style=_TITLE), *(_event(each, status, terminal) for each in shown)]


def _event(event: Event, status: ReleaseStatus, terminal: Terminal) -> Text:
    reason = f"{event.reason:<24}  " if terminal.is_wide else ""
    text = _event_text(event, status)
    line = Text.assemble((f"{clock(event.at)}  ", "dim"), reason, marked(text, WARNING) if event.warning else text)
    if event.warning:
        line.stylize("red", 10)
    return line


def _event_text(event: Event, status: ReleaseStatus) -> str:
    gate = next((each for each in status.analyses if event.analysis and each.name == event.analysis), None)
    if gate is not None and event.reason.startswith(_RUN):
        return f"analysis of {scope(gate)}: {event.reason.removeprefix(_RUN)}"
    return one_line(event.message)


def origin_lines(status: ReleaseStatus) -> list[Text]:
    """Images, commit, CI job and workflow in full, for a screen with room."""
    rows = [
        *(("image", image) for image in status.images.values()),
        ("commit", " ".join(filter(None, (status.source.repository, status.source.commit)))),
        ("CI", status.source.ci_url),
        ("workflow", f"{status.workflow_id}  run {status.run_id}"),
    ]
    return list(_rows(rows))


def _rows(rows: list[tuple[str, str]]) -> Iterator[Text]:
    for label, text in rows:
        if text:
            yield labelled(label, Text(one_line(text), style="dim"))
