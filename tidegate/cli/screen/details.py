"""Lower parts of a screen: the wait and its commands, pods in counts, the last events, and where to read on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rich.text import Text

from tidegate.cli.formatting import marked
from tidegate.cli.screen.canvas import Terminal, labelled, paragraph
from tidegate.cli.tree import is_healthy, tree
from tidegate.contract import Event, Observation, ReleaseStatus
from tidegate.manifests.plain_text import one_line
from tidegate.report.ages import clock
from tidegate.report.current_state import (
    PodCount,
    command,
    event_text,
    paused_by,
    pod_counts,
    shown_events,
    verbs,
    waiting_for,
)
from tidegate.report.marks import WARNING

_TITLE: Final = "dim"


def waiting_lines(status: ReleaseStatus, now: datetime, terminal: Terminal) -> list[Text]:
    """The wait, its end, and the command that works now."""
    lines = []
    if who := paused_by(status):
        lines += paragraph("paused by", who, terminal.width, 2, style="magenta")
    if status.waiting is not None and status.finished_at is None:
        lines += paragraph("waiting for", waiting_for(status.waiting, now), terminal.width, 2)
        lines += paragraph("ended by", status.waiting.who, terminal.width, 2)
    verb, *others = verbs(status)
    known = Text.assemble((command(verb, status), "bold cyan"), f"   or {', '.join(others)}" if others else "")
    return [*lines, labelled("you can", known)]


def pod_lines(status: ReleaseStatus, observation: Observation | None) -> list[Text]:
    """Pods of each version as a count, and what is wrong with one."""
    parts = [_count(each) for each in pod_counts(status, observation)]
    return [labelled("PODS", Text("   ").join(parts or [Text("none")]))]


def _count(each: PodCount) -> Text:
    bad = next((pod for pod in each.replica_set.pods if not is_healthy(pod)), None)
    return Text.assemble(
        f"{each.name} ",
        (each.text, "green" if each.complete else "yellow"),
        f" ready{', going' if each.going else ''}",
        (f" {one_line(bad.phase)}" if bad is not None else "", "bold red"),
    )


def opened_pods(status: ReleaseStatus, observation: Observation | None, now: datetime, width: int) -> list[Text]:
    """The tree with each pod, in place of the counts."""
    return tree(status, observation, now, width)


def event_lines(status: ReleaseStatus, terminal: Terminal) -> list[Text]:
    """The events under their title, the newest last."""
    shown = shown_events(status)
    if not shown:
        return []
    return [Text("EVENTS", style=_TITLE), *(_event(each, status, terminal) for each in shown)]


def _event(event: Event, status: ReleaseStatus, terminal: Terminal) -> Text:
    reason = f"{event.reason:<24}  " if terminal.is_wide else ""
    text = event_text(event, status)
    line = Text.assemble((f"{clock(event.at)}  ", "dim"), reason, marked(text, WARNING) if event.warning else text)
    if event.warning:
        line.stylize("red", 10)
    return line


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
