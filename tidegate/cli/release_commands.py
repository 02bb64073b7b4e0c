"""`promote`, `abort`, `pause`, `resume` and `restart`: what an operator asks of releases, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Protocol

import typer

from tidegate.cli.exits import ExitCode
from tidegate.cli.options import By, Cluster, Namespace, Output, OutputOption, Reason, Timeout
from tidegate.cli.several import CommandResult, Names, RolloutSelection, Selector, for_each
from tidegate.client import RolloutRef, TidegateClient
from tidegate.client.actor import actor
from tidegate.contract import Accepted

RESTORE_TIMEOUT = timedelta(minutes=2)  # after that the command tells what is in the way; the abort goes on


class ReleaseCommand(Protocol):
    """A message of the client that has nothing to say but who and why."""

    def __call__(self, client: TidegateClient, rollout: RolloutRef, /, *, by: str, reason: str) -> Awaitable[Accepted]:
        """Send it."""


def promote(
    name: Names = None,
    selector: Selector = None,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    skip_current_step: Annotated[
        bool, typer.Option("--skip-current-step", "-c", help="Skip the step under way; so it is without an option.")
    ] = False,
    skip_all_steps: Annotated[
        bool,
        typer.Option("--skip-all-steps", "-a", help="Skip all steps: background analysis and bake still decide."),
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Skip all steps and every analysis: 100 % now.")] = False,
    revision: Annotated[
        int | None, typer.Option(help="Only if this revision is under way, as `get rollout` shows it.")
    ] = None,
    by: By = "",
    reason: Reason = "",
    output: OutputOption = Output.TEXT,
) -> int:
    """Go on now instead of waiting. A version that comes meanwhile is not promoted."""
    if skip_current_step + skip_all_steps + full > 1:
        raise typer.BadParameter("give one of them", param_hint="--skip-current-step, --skip-all-steps, --full")
    selection = RolloutSelection(name or (), selector, namespace, cluster)
    if revision is not None and not selection.is_one:
        raise typer.BadParameter("a revision is that of one Rollout", param_hint="--revision")

    async def send(client: TidegateClient, rollout: RolloutRef) -> Accepted:
        return await client.promote(
            rollout,
            full=full,
            current_step=skip_current_step,
            all_steps=skip_all_steps,
            by=by or actor(),
            reason=reason,
            revision=revision,
        )

    if full or skip_all_steps:
        verb, announced = ("fully promoted", "promote fully") if full else ("promoted past all steps", "skip all steps")
    else:
        verb, announced = "promoted", "promote"
    return _run(selection, verb, announced, output, send)


def abort(
    name: Names = None,
    selector: Selector = None,
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
    yet, 6 it could not be put back; of several the worst.
    """

    async def send(client: TidegateClient, rollout: RolloutRef) -> Accepted:
        accepted = await client.abort(rollout, by=by or actor(), reason=reason)
        if no_wait or not accepted.taken:
            return accepted
        status = await client.until_restored(rollout, accepted.run_id, timeout=timeout or RESTORE_TIMEOUT)
        text = f"{accepted.message}; {status.actual_weight} % of the traffic is on the canary"
        return accepted.model_copy(update={"message": text})

    selection = RolloutSelection(name or (), selector, namespace, cluster)
    return _run(selection, "aborted" if not no_wait else "aborting", "abort", output, send)


def restart(
    name: Names = None,
    selector: Selector = None,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    by: By = "",
    reason: Reason = "",
    output: OutputOption = Output.TEXT,
) -> int:
    """Replace the pods of a Rollout by new ones of the same version, at most maxUnavailable at a time.

    It goes through a release, as `spec.restartAt` does: the one under way, or one of the stable version.
    """

    async def restarted(client: TidegateClient, rollout: RolloutRef) -> CommandResult:
        handle = await client.restart(rollout, by=by or actor(), reason=reason)
        accepted = Accepted(message=f"new pods were asked for; {handle.message}", run_id=handle.run_id)
        return CommandResult(accepted, f"rollout '{rollout.name}' restarting: {accepted.message}")

    return for_each(RolloutSelection(name or (), selector, namespace, cluster), restarted, output, announced="restart")


def _command(verb: str, announced: str, doc: str, send: ReleaseCommand) -> Callable[..., int]:
    """The command of a message without options of its own; `verb` is its past tense."""

    def run(
        name: Names = None,
        selector: Selector = None,
        namespace: Namespace = "default",
        cluster: Cluster = "default",
        by: By = "",
        reason: Reason = "",
        output: OutputOption = Output.TEXT,
    ) -> int:
        return _run(
            RolloutSelection(name or (), selector, namespace, cluster),
            verb,
            announced,
            output,
            lambda client, rollout: send(client, rollout, by=by or actor(), reason=reason),
        )

    run.__doc__ = doc
    return run


def _run(
    selection: RolloutSelection,
    verb: str,
    announced: str,
    output: Output,
    send: Callable[[TidegateClient, RolloutRef], Awaitable[Accepted]],
) -> int:
    async def answer(client: TidegateClient, rollout: RolloutRef) -> CommandResult:
        accepted = await send(client, rollout)
        if accepted.taken:
            return CommandResult(accepted, f"rollout '{rollout.name}' {verb}: {accepted.message}")
        return CommandResult(accepted, f"rollout '{rollout.name}': {accepted.message}", ExitCode.STILL_RUNNING)

    return for_each(selection, answer, output, announced=announced, under_way=True)


pause = _command("paused", "pause", "Take no further step until `resume`.", TidegateClient.pause)
resume = _command("resumed", "resume", "Go on after `pause`.", TidegateClient.resume)
