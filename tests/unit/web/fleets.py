"""A fleet of the releases whose screens are drawn, as the web page has it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from html import unescape
from typing import Any

from tests.unit.cli.releases import Example, at
from tests.unit.cli.screens import EXAMPLES
from tidegate.client import ReleaseSummary
from tidegate.contract import ReleaseStatus
from tidegate.manifests.images import short_versions
from tidegate.web.rows import Fleet, FleetRow

NAMES = {"running": "checkout", "comparing": "cart", "paused": "ledger", "holding": "pricing", "aborting": "search"}
ENDED = ("accounts", "cards", "fraud-scoring", "identity", "statements")
NOW = at(330)


def summary(status: ReleaseStatus, **changes: Any) -> ReleaseSummary:
    """What Temporal's list has of a release."""
    ended = {None: "Running", "RolloutAborted": "Failed"}
    fields = {
        "cluster": status.cluster,
        "namespace": status.namespace,
        "name": status.name,
        "workflow_id": status.workflow_id,
        "run_id": status.run_id,
        "state": "Completed"
        if status.phase == "Healthy"
        else ended.get(status.finished_at and status.ended_by, "Running"),
        "started_at": status.started_at,
        "finished_at": status.finished_at,
        "phase": status.phase,
        "weight": status.actual_weight,
        "revision": status.revision,
        "version": short_versions(status.images),
        "by": status.by,
    }
    return ReleaseSummary.model_validate(fields | changes)


def row(example: Example, name: str = "checkout") -> FleetRow:
    """The row of an example, by another name where it is given one."""
    workflow = f"rollout/default/payments/{name}"
    status = example.status.model_copy(update={"name": name, "workflow_id": workflow})
    return FleetRow(summary(status), status, example.now)


def moved(example: Example, to: datetime = NOW) -> Example:
    """The same release so long before that it is now `to`."""
    by = to - example.now

    def shifted(value: Any) -> Any:
        if isinstance(value, datetime):
            return value + by
        if isinstance(value, tuple | list):
            return type(value)(map(shifted, value))
        if hasattr(value, "model_copy"):
            return value.model_copy(update={key: shifted(each) for key, each in value if each is not None})
        return value

    return replace(example, status=shifted(example.status), now=to)


def ended(name: str, days: float) -> FleetRow:
    """A release of which only Temporal's own records are shown."""
    status = EXAMPLES["good"]().status
    finished = NOW - timedelta(days=days)
    found = summary(status, name=name, finished_at=finished, started_at=finished - timedelta(minutes=14))
    return FleetRow(found)


def fleet() -> Fleet:
    """Releases in each state, all of them now."""
    rows = [row(moved(EXAMPLES[kind]()), name) for kind, name in NAMES.items()]
    return Fleet([*rows, *(ended(name, 0.2 + 1.7 * days) for days, name in enumerate(ENDED))], NOW)


def text(page: str) -> str:
    """Words of a page, a line for each element that begins one."""
    body = page.partition("<main")[2] or page
    lines = re.sub(r"<(?:p|li|dt|h\d|tr|title|summary)\b[^>]*>", "\n", body)
    words = unescape(re.sub(r"<[^>]*>", " ", "<" + lines))
    return "\n".join(filter(None, (" ".join(line.split()) for line in words.splitlines()))) + "\n"


PAGES: dict[str, Callable[[], FleetRow]] = {kind: (lambda kind=kind: row(EXAMPLES[kind]())) for kind in EXAMPLES}
