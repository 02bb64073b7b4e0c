"""The last line of `start --wait` in a CI log: what became of the release, the links, and the next command."""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.contract import CompensationState, ReleaseStatus
from tidegate.report import command_for, explain
from tidegate.report.links import run_url


def outcome_line(status: ReleaseStatus, temporal_ui: str = "") -> str:
    """Version, weight, reason with its reading, incident, run, and what to do, in one line.

    `temporal_ui` is the address of the Temporal UI with its namespace; the run is named by its id without one.
    """
    return "; ".join(
        [explain(status).headline, *_failed(status), *_links(status, temporal_ui), f"next: {next_command(status)}"]
    )


def next_command(status: ReleaseStatus) -> str:
    """The command that helps in this state."""
    if status.is_refused:
        return "mend what is refused, and start again"
    return command_for(status, aborted=not status.held) + ("" if status.held else ", then start a mended version")


def _failed(status: ReleaseStatus) -> Iterator[str]:
    for each in status.compensations:
        if each.state is CompensationState.FAILED:
            yield f"{each.name}: {each.detail}"


def _links(status: ReleaseStatus, temporal_ui: str) -> Iterator[str]:
    if status.incident is not None:
        yield f"incident {status.incident.number} {status.incident.url}".rstrip()
    run = (status.workflow_id, status.run_id)
    yield f"run {run_url(temporal_ui, *run) if temporal_ui else ' '.join(run)}"
