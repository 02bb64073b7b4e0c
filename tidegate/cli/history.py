"""`history`: the last releases of a Rollout, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from tidegate.cli.exits import ExitCode
from tidegate.cli.formatting import fitted, marked
from tidegate.cli.options import Cluster, Name, Namespace, Output, OutputOption, rollout_ref, with_client
from tidegate.cli.output import documents, print_json, print_lines, terminal_width
from tidegate.client import PastRelease
from tidegate.manifests.images import short_versions
from tidegate.report.ages import since
from tidegate.report.marks import BAD, NEUTRAL, OK, PROGRESSING

_TITLES = ("REVISION", "VERSION", "OUTCOME", "STARTED", "TOOK", "BY", "WHY")
_MARKS = {"promoted": OK, "aborted": BAD, "refused": BAD, "under way": PROGRESSING}


def history(
    name: Name,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 10,
    output: OutputOption = Output.TEXT,
) -> int:
    """List the last releases of a Rollout, the newest first: version, who, what became of it, and why.

    Temporal keeps a release until its retention is over. Without a worker there is only what Temporal itself knows.
    """
    rollout = rollout_ref(name, namespace, cluster)
    found = with_client(lambda client: client.history(rollout, limit=limit))
    if output is Output.JSON:
        print_json(documents(found))
    else:
        print_lines(history_table(found, datetime.now(UTC), terminal_width()))
    return ExitCode.OK


def history_table(releases: Sequence[PastRelease], now: datetime, width: int | None = None) -> list[Text]:
    """Lines for releases; WHY is cut where the terminal is narrow."""
    lines: list[Sequence[str | Text]] = [_TITLES]
    for each in releases:
        took = since(each.started_at, each.finished_at or now)
        lines.append(
            (
                str(each.revision or "-"),
                short_versions(each.images) or each.version or "-",
                marked(each.outcome, _MARKS.get(each.outcome, NEUTRAL)),
                f"{each.started_at:%Y-%m-%d %H:%M}",
                took,
                each.by or "-",
                each.message or "-",
            )
        )
    return fitted(lines, width, spare=("TOOK", "BY"))
