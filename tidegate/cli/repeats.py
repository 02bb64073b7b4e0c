"""`retry` and `set image`: what was released before, asked for again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from tidegate.cli.commands import examples, plain_group
from tidegate.cli.exits import ExitCode
from tidegate.cli.options import By, Cluster, Name, Namespace, Output, OutputOption, Reason, Timeout, with_client
from tidegate.cli.options import rollout_ref as ref
from tidegate.cli.release import follow_to_end
from tidegate.cli.requests import images_of
from tidegate.cli.several import CommandResult, Names, RolloutSelection, Selector, for_each
from tidegate.client import ReleaseHandle, RolloutRef, TidegateClient
from tidegate.client.actor import actor
from tidegate.contract import Accepted

set_group = plain_group("Change what is released.")

Waits = Annotated[bool, typer.Option("--wait", help="Wait for the end, as `start --wait` does.")]


def retry(
    name: Names = None,
    selector: Selector = None,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    wait: Waits = False,
    timeout: Timeout = None,
    by: By = "",
    reason: Reason = "",
    output: OutputOption = Output.TEXT,
) -> int:
    """Release the version again whose release was aborted, from its first step.

    It is refused while a release is under way, and after one that was promoted. One that is waited for is named alone.
    """
    selection = RolloutSelection(name or (), selector, namespace, cluster)
    if wait and not selection.is_one:
        raise typer.BadParameter("it follows one release", param_hint="--wait")

    async def retried(client: TidegateClient, rollout: RolloutRef) -> CommandResult:
        handle = await client.retry(rollout, by=by or actor(), reason=reason)
        accepted = Accepted(message=handle.message, run_id=handle.run_id)
        return CommandResult(accepted, f"rollout '{rollout.name}' retried: {handle.message}")

    if not wait:
        return for_each(selection, retried, output, announced="retry")
    rollout = ref(selection.names[0], namespace, cluster)
    return _released(
        rollout.name,
        lambda client: client.retry(rollout, by=by or actor(), reason=reason),
        output,
        wait=True,
        timeout=timeout,
    )


@set_group.callback()
def _group() -> None:
    """Keep the group one, also with a single command."""


@set_group.command(
    "image", epilog=examples("set image checkout checkout=registry.internal/payments/checkout:1.1.0 -n payments")
)
def set_image(
    name: Name,
    images: Annotated[list[str], typer.Argument(metavar="CONTAINER=IMAGE...", help="Images; * is every container.")],
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    wait: Waits = False,
    timeout: Timeout = None,
    by: By = "",
    reason: Reason = "",
    output: OutputOption = Output.TEXT,
) -> int:
    """Release the manifests of the newest release with other images. Manifests in Git do not change by it."""
    rollout, wanted = ref(name, namespace, cluster), images_of(images)
    return _released(
        name,
        lambda client: client.set_image(rollout, wanted, by=by or actor(), reason=reason),
        output,
        wait=wait,
        timeout=timeout,
    )


def _released(
    name: str,
    request: Callable[[TidegateClient], Awaitable[ReleaseHandle]],
    output: Output,
    *,
    wait: bool,
    timeout: Timeout,
) -> int:
    async def act(client: TidegateClient) -> None:
        await follow_to_end(client, await request(client), name, output, wait=wait, timeout=timeout)

    with_client(act)
    return ExitCode.OK
