"""`get` and `status`: looking at a release, an analysis run or an experiment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import typer
from rich.text import Text

from tidegate.cli import INTERRUPTED
from tidegate.cli.analysis import analysis_view
from tidegate.cli.commands import examples, plain_group
from tidegate.cli.exits import ExitCode
from tidegate.cli.experiments import get_experiment
from tidegate.cli.formatting import marked
from tidegate.cli.forms import TEXT, FormOption, print_form
from tidegate.cli.options import (
    Cluster,
    Namespace,
    Output,
    OutputOption,
    RunName,
    Timeout,
    Watch,
    rollout_ref,
    run_ref,
    with_client,
)
from tidegate.cli.output import document, documents, print_json, print_lines, stderr, stdout, terminal_width
from tidegate.cli.overview import overview
from tidegate.cli.paint import has_screen
from tidegate.cli.several import CommandResult, Names, RolloutSelection, Selector, for_each, read_each
from tidegate.cli.verdicts import status_code
from tidegate.cli.watch import (
    Frame,
    draw,
    follow,
    follow_run,
    observe,
    print_json_lines,
    publish_run,
    watch_release,
)
from tidegate.client import RolloutRef, StillRunningError, TidegateClient
from tidegate.contract import ReleaseStatus
from tidegate.report.marks import WARNING

get = plain_group("Show one object.")


Status = TypeVar("Status")
Drawing = Callable[[Frame[Status]], list[Text]]


@get.command("ro", hidden=True)
@get.command("rollouts", hidden=True)
@get.command(
    "rollout",
    epilog=examples("get rollout checkout -n payments", "get rollout checkout -n payments --watch"),
)
def get_rollout(
    name: Names = None,
    selector: Selector = None,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="One screen, for this release and those after it, until Ctrl-C."),
    ] = False,
    pods: Annotated[bool, typer.Option("--pods", help="With --watch: each pod, in place of their counts.")] = False,
    output: FormOption = TEXT,
) -> int:
    """Show the release of each Rollout as a tree: phase, step, weights, ReplicaSets, pods, analysis runs, events.

    With --watch it is one screen that follows it. In a pipe each change is a line.
    """
    selection = RolloutSelection(name or (), selector, namespace, cluster)
    if watch:
        return _watched(_the_one(selection), lines=not output.is_drawn, pods=pods)
    found, code = read_each(selection, lambda client, rollout: observe(client, rollout, pods=output.is_drawn))
    if output.is_drawn:
        for number, (status, observation) in enumerate(found):
            separator = [Text()] if number else []
            width = None if output.name == "wide" else terminal_width()
            print_lines([*separator, *overview(status, observation, _now(), width)])
    elif found:
        several = documents(status for status, _ in found)
        names = [f"rollout.argoproj.io/{status.name}" for status, _ in found]
        print_form(output, document(found[0][0]) if selection.is_one else several, names)
    return code


def _the_one(selection: RolloutSelection) -> RolloutRef:
    if not selection.is_one:
        raise typer.BadParameter("it follows one Rollout", param_hint="--watch")
    return rollout_ref(selection.names[0], selection.namespace, selection.cluster)


def _watched(rollout: RolloutRef, *, lines: bool, pods: bool) -> int:
    """Follow a Rollout over its releases, until interrupted; `lines` is each status as a line of JSON."""

    async def act(client: TidegateClient) -> None:
        if lines:
            await print_json_lines(follow(client, rollout, stay=True))
        else:
            console = stdout()
            await watch_release(console, follow(client, rollout, pods=has_screen(console), stay=True), pods=pods)

    try:
        with_client(act)
    except KeyboardInterrupt:
        stderr().print(f"stopped watching {rollout.name}; its releases go on by themselves")
    return INTERRUPTED


@get.command("analysisruns", hidden=True)
@get.command("ar", hidden=True)
@get.command("analysisrun", epilog=examples("get analysisrun checkout-7d9c-3-2 -n payments"))
def get_analysisrun(
    name: RunName,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    watch: Watch = False,
    output: OutputOption = Output.TEXT,
) -> int:
    """Show an analysis run: its metrics, their conditions, what was asked, and the newest measurements."""
    run = run_ref(name, namespace, cluster)
    if not watch:
        status = with_client(lambda client: client.analysis_status(run))
        if output is Output.JSON:
            print_json(document(status))
        else:
            print_lines(analysis_view(status, _now()))
    elif output is Output.JSON:
        with_client(lambda client: print_json_lines(follow_run(client, run)))
    elif stdout().is_terminal:
        with_client(
            lambda client: draw(
                stdout(), _views(follow_run(client, run), lambda frame: analysis_view(frame.status, _now()))
            )
        )
    else:
        with_client(lambda client: publish_run(stdout(), follow_run(client, run)))
    return ExitCode.OK


get.command("exp", hidden=True)(get_experiment)
get.command("experiments", hidden=True)(get_experiment)
get.command("experiment", epilog=examples("get experiment compare -n payments"))(get_experiment)


def status(
    name: Names = None,
    selector: Selector = None,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    watch: Watch = False,
    timeout: Timeout = None,
    output: OutputOption = Output.TEXT,
) -> int:
    """Show the state of a release, also as exit code: 0 healthy, 2 rolled back, 3 waits for an operator, 4 under way.

    With --watch it waits until the release has ended or only an operator can end its wait. Of several the worst counts.
    """
    selection = RolloutSelection(name or (), selector, namespace, cluster)
    if not watch:
        return for_each(selection, lambda client, rollout: _state(client, rollout, alone=selection.is_one), output)
    rollout = _the_one(selection)
    return status_code(with_client(lambda client: _outcome(client, rollout, timeout, output)))


async def _state(client: TidegateClient, rollout: RolloutRef, *, alone: bool) -> CommandResult:
    status = await client.status(rollout)
    line = _state_line(status) if alone else f"{rollout.name}: {_state_line(status)}"
    return CommandResult(status, line, status_code(status))


async def _outcome(
    client: TidegateClient, rollout: RolloutRef, timeout: timedelta | None, output: Output
) -> ReleaseStatus:
    last = None
    try:
        async with asyncio.timeout(timeout.total_seconds() if timeout is not None else None):
            async for frame in follow(client, rollout):
                if last is None or _state_line(frame.status) != _state_line(last):
                    _print_status(frame.status, output)
                last = frame.status
                if status_code(last) is not ExitCode.STILL_RUNNING:
                    return last
    except TimeoutError as error:
        raise StillRunningError(f"{rollout.workflow_id}: still running after {timeout}") from error
    return await client.status(rollout)


def _print_status(status: ReleaseStatus, output: Output) -> None:
    if output is Output.JSON:
        print_json(document(status), indent=None)
    else:
        stdout().print(_state_line(status))


def _state_line(status: ReleaseStatus) -> str:
    return f"{status.phase} - {status.message}" if status.message else status.phase


async def _views(frames: AsyncIterator[Frame[Status]], draw: Drawing[Status]) -> AsyncIterator[list[Text]]:
    async for frame in frames:
        trouble = [marked(frame.trouble, WARNING), Text()] if frame.trouble else []
        yield [*trouble, *draw(frame)]


def _now() -> datetime:
    return datetime.now(UTC)
