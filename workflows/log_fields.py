"""Fields of log lines by which a release is found: Rollout, revision, step. A header takes them to its children.

They are in no input, so that what a log says is no part of a decision. A header may come from anybody who may start a
workflow: what cannot be read of it is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from temporalio import workflow
from temporalio.api.common.v1 import Payload

with workflow.unsafe.imports_passed_through():
    from tidegate.contract import ReleaseStatus
    from tidegate.manifests.plain_text import harmless

HEADER: Final = "tidegate-log"
FIELDS: Final = ("rollout", "revision", "step")
LONGEST: Final = 320  # characters: a namespace and a name


def release_fields(status: ReleaseStatus) -> dict[str, str]:
    """Fields of a release; the step is its number, from 1, as in its status."""
    fields = {"rollout": f"{status.namespace}/{status.name}"}
    if status.revision:
        fields["revision"] = str(status.revision)
    if status.step_number is not None:
        fields["step"] = f"{status.step_number}/{len(status.steps)}"
    return fields


def log_fields() -> dict[str, str]:
    """Fields of the workflow that runs: of its own state, or else those that its parent gave it."""
    own = getattr(workflow.instance(), "log_fields", None)
    return own() if own is not None else read_fields(workflow.info().headers)


def with_fields(headers: Mapping[str, Payload]) -> dict[str, Payload]:
    """The headers of what the workflow starts, with its fields."""
    fields = log_fields()
    return {**headers, HEADER: workflow.payload_converter().to_payload(fields)} if fields else dict(headers)


def read_fields(headers: Mapping[str, Payload]) -> dict[str, str]:
    """Fields in a header; none where there is no such header, or one that cannot be read."""
    try:
        found = json.loads(headers[HEADER].data) if HEADER in headers else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: harmless(found[name])[:LONGEST] for name in FIELDS if isinstance(found.get(name), str)}
