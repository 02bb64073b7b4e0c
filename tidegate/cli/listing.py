"""`list`: one line for each Rollout, in the columns of `kubectl argo rollouts list rollouts`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from tidegate.cli.overview import current_step
from tidegate.cli.words import columns, marked
from tidegate.client import ReleaseSummary
from tidegate.contract import ReleaseStatus

_TITLES = (
    "NAME",
    "STRATEGY",
    "STATUS",
    "STEP",
    "SET-WEIGHT",
    "READY",
    "DESIRED",
    "UP-TO-DATE",
    "AVAILABLE",
)
# Temporal's word for a run's end, where the release itself cannot be asked.
_PHASES = {"Running": "Progressing", "Completed": "Healthy"}


def table(rows: Sequence[tuple[ReleaseSummary, ReleaseStatus | None]], *, namespaces: bool) -> list[Text]:
    """Lines for releases with their own accounts, None where no worker gave one; `namespaces` adds that column."""
    lines: list[Sequence[str | Text]] = [("NAMESPACE", *_TITLES) if namespaces else _TITLES]
    for summary, status in rows:
        cells = _full(status) if status is not None else _known(summary)
        lines.append((summary.namespace, summary.name, *cells) if namespaces else (summary.name, *cells))
    return columns(lines)


def _full(status: ReleaseStatus) -> Sequence[str | Text]:
    counts = status.counts
    return (
        "Canary",
        marked(status.phase),
        current_step(status) or "-",
        str(status.set_weight),
        f"{counts.ready}/{counts.current}",
        str(counts.desired),
        str(counts.updated),
        str(counts.available),
    )


def _known(summary: ReleaseSummary) -> Sequence[str | Text]:
    phase = summary.phase or _PHASES.get(summary.state, "Degraded")
    weight = str(summary.weight) if summary.weight is not None else "-"
    return ("Canary", marked(phase), "-", weight, "-", "-", "-", "-")
