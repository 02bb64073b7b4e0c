"""`undo`: an earlier revision of a Rollout is asked for again."""

from __future__ import annotations

from typing import Annotated

import typer

from tidegate.cli.exits import ExitCode
from tidegate.cli.options import By, Cluster, Name, Namespace, Output, OutputOption, Reason, rollout_ref, with_client
from tidegate.cli.output import document, print_json, stdout
from tidegate.client.actor import actor


def undo(
    name: Name,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    to_revision: Annotated[
        int | None, typer.Option("--to-revision", min=1, help="Revision to bring back; the last promoted by default.")
    ] = None,
    by: By = "",
    reason: Reason = "",
    output: OutputOption = Output.TEXT,
) -> int:
    """Ask for an earlier revision again, also after a promotion: by its steps, or at once in the rollback window."""
    rollout = rollout_ref(name, namespace, cluster)
    result = with_client(lambda client: client.undo(rollout, to_revision=to_revision, by=by or actor(), reason=reason))
    if output is Output.JSON:
        print_json(document(result))
    else:
        stdout().print(f"rollout '{rollout.name}': {result.message}", soft_wrap=True)
        stdout().print(f"follow the release with: tidegate get rollout {rollout.name} -n {rollout.namespace}")
    return ExitCode.OK
