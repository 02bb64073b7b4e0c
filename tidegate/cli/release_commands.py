"""`promote`, `abort`, `pause` and `resume`: messages of an operator to a release, and what came of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Protocol

import typer

from tidegate.cli.exits import ExitCode
from tidegate.cli.options import (
    By,
    Cluster,
    Name,
    Namespace,
    Output,
    OutputOption,
    Reason,
    Timeout,
    rollout_ref,
    with_client,
)
from tidegate.cli.output import document, print_json, stdout
from tidegate.client import RolloutRef, TidegateClient
from tidegate.client.actor import actor
from tidegate.contract import Accepted

RESTORE_TIMEOUT = timedelta(minutes=2)  # after that the command tells what is in the way; the abort goes on


class ReleaseCommand(Protocol):
    """A message of the client that has nothing to say but who and why."""

    def __call__(self, client: TidegateClient, rollout: RolloutRef, /, *, by: str, reason: str) -> Awaitable[Accepted]:
        """Send it."""


def promote(
    name: Name,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    full: Annotated[bool, typer.Option("--full", help="Skip all remaining steps and analysis: 100 % now.")] = False,
    revision: Annotated[
        int | None, typer.Option(help="Only if this revision is under way, as `get rollout` shows it.")
    ] = None,
    by: By = "",
    reason: Reason = "",
    output: OutputOption = Output.TEXT,
) -> int:
    """Go on now instead of waiting. A version that comes meanwhile is not promoted."""
    rollout = rollout_ref(name, namespace, cluster)
    verb = "fully promoted" if full else "promoted"

    async def send(client: TidegateClient) -> Accepted:
        return await client.promote(rollout, full=full, by=by or actor(), reason=reason, revision=revision)

    return _run(rollout, verb, output, send)


def abort(
    name: Name,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait until the traffic is back.")] = False,
    timeout: Timeout = None,
    by: By = "",
    reason: Reason = "",
    output: OutputOption = Output.TEXT,
) -> int:
    """Put all traffic back on the stable version and end the release; wait until the traffic is back.

    It waits for 2 minutes by default; the abort itself goes on. Exit codes: 0 the traffic is back, 4 asked and not done
    yet, 6 it could not be put back.
    """
    rollout = rollout_ref(name, namespace, cluster)

    async def send(client: TidegateClient) -> Accepted:
        accepted = await client.abort(rollout, by=by or actor(), reason=reason)
        if no_wait or not accepted.taken:
            return accepted
        status = await client.until_restored(rollout, accepted.run_id, timeout=timeout or RESTORE_TIMEOUT)
        text = f"{accepted.message}; {status.actual_weight} % of the traffic is on the canary"
        return accepted.model_copy(update={"message": text})

    return _run(rollout, "aborted" if not no_wait else "aborting", output, send)


def _command(verb: str, doc: str, send: ReleaseCommand) -> Callable[..., int]:
    """The command of a message without options of its own; `verb` is its past tense."""

    def run(
        name: Name,
        namespace: Namespace = "default",
        cluster: Cluster = "default",
        by: By = "",
        reason: Reason = "",
        output: OutputOption = Output.TEXT,
    ) -> int:
        rollout = rollout_ref(name, namespace, cluster)
        return _run(rollout, verb, output, lambda client: send(client, rollout, by=by or actor(), reason=reason))

    run.__doc__ = doc
    return run


def _run(rollout: RolloutRef, verb: str, output: Output, send: Callable[[TidegateClient], Awaitable[Accepted]]) -> int:
    accepted = with_client(send)
    if output is Output.JSON:
        print_json(document(accepted))
    elif accepted.taken:
        stdout().print(f"rollout '{rollout.name}' {verb}: {accepted.message}")
    else:
        stdout().print(f"rollout '{rollout.name}': {accepted.message}")
    return ExitCode.OK if accepted.taken else ExitCode.STILL_RUNNING


pause = _command("paused", "Take no further step until `resume`.", TidegateClient.pause)
resume = _command("resumed", "Go on after `pause`.", TidegateClient.resume)
