"""`get`, `status` and `list`: looking at releases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.text import Text

from tidegate.cli.analysis import analysis_view
from tidegate.cli.exits import ExitCode, status_code
from tidegate.cli.listing import table
from tidegate.cli.options import (
    Cluster,
    Name,
    Namespace,
    Output,
    OutputOption,
    Timeout,
    Watch,
    rollout_ref,
    with_client,
)
from tidegate.cli.output import document, documents, print_json, print_lines, stdout
from tidegate.cli.overview import overview
from tidegate.cli.watch import FRAME_SECONDS, Frame, draw, follow, look, tell
from tidegate.cli.words import WARNING, marked
from tidegate.client import ReleaseSummary, RolloutRef, StillRunningError, TidegateClient, TidegateError
from tidegate.contract import ReleaseStatus, analysis_id

get = typer.Typer(no_args_is_help=True, help="Show one object.")

_QUESTIONS_AT_ONCE = 8


@get.command("rollout")
def get_rollout(
    name: Name,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    watch: Watch = False,
    output: OutputOption = Output.TEXT,
) -> int:
    """Show a Rollout's release as a tree: phase, step, weights, ReplicaSets, pods, analysis runs, events."""
    rollout = rollout_ref(name, namespace, cluster)
    if not watch:
        status, observation = with_client(lambda client: look(client, rollout, pods=output is Output.TEXT))
        if output is Output.JSON:
            print_json(document(status))
        else:
            print_lines(overview(status, observation, _now()))
    elif output is Output.JSON:
        with_client(lambda client: _tell_json(follow(client, rollout)))
    elif stdout().is_terminal:
        with_client(lambda client: draw(stdout(), _views(follow(client, rollout, pods=True))))
    else:
        with_client(lambda client: tell(stdout(), follow(client, rollout)))
    return ExitCode.OK


@get.command("analysisrun")
def get_analysisrun(
    name: Annotated[str, typer.Argument(help="Name of the analysis run, as the tree shows it.")],
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    output: OutputOption = Output.TEXT,
) -> int:
    """Show an analysis run: its metrics, their conditions and their newest measurements."""
    workflow_id = analysis_id(cluster, namespace, name.removeprefix("analysisrun/"))
    status = with_client(lambda client: client.analysis_status(workflow_id))
    if output is Output.JSON:
        print_json(document(status))
    else:
        print_lines(analysis_view(status, _now()))
    return ExitCode.OK


def status(
    name: Name,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    watch: Watch = False,
    timeout: Timeout = None,
    output: OutputOption = Output.TEXT,
) -> int:
    """Say how a release stands, by its exit code too: 0 healthy, 2 rolled back, 3 waits for a person, 4 under way.

    With --watch it waits until the release has ended or only a person can end what it waits for.
    """
    rollout = rollout_ref(name, namespace, cluster)
    if not watch:
        answer = with_client(lambda client: client.status(rollout))
        _print_status(answer, output)
    else:
        answer = with_client(lambda client: _outcome(client, rollout, timeout, output))
    return status_code(answer)


def list_releases(
    kind: Annotated[str, typer.Argument(help="rollouts; other kinds are not listed.", show_default=False)] = "rollouts",
    namespace: Namespace = "default",
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of every namespace.")] = False,
    watch: Watch = False,
    output: OutputOption = Output.TEXT,
) -> int:
    """List the newest release of every Rollout."""
    if kind not in ("rollout", "rollouts", "ro"):
        raise typer.BadParameter(f"cannot list {kind!r}; known: rollouts", param_hint="KIND")
    wanted = None if all_namespaces else namespace
    if output is Output.JSON:
        releases = with_client(lambda client: client.list(wanted))
        print_json(documents(releases))
    elif watch:
        with_client(lambda client: draw(stdout(), _tables(client, wanted)))
    else:
        print_lines(with_client(lambda client: _table(client, wanted)))
    return ExitCode.OK


async def _tell_json(frames: AsyncIterator[Frame]) -> None:
    last = None
    async for frame in frames:
        if frame.status != last:
            print_json(document(frame.status), indent=None)
        last = frame.status


async def _outcome(
    client: TidegateClient, rollout: RolloutRef, timeout: timedelta | None, output: Output
) -> ReleaseStatus:
    last = None
    try:
        async with asyncio.timeout(timeout.total_seconds() if timeout is not None else None):
            async for frame in follow(client, rollout):
                if last is None or _standing(frame.status) != _standing(last):
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
        stdout().print(_standing(status))


def _standing(status: ReleaseStatus) -> str:
    return f"{status.phase} - {status.message}" if status.message else status.phase


async def _views(frames: AsyncIterator[Frame]) -> AsyncIterator[list[Text]]:
    async for frame in frames:
        trouble = [marked(frame.trouble, WARNING), Text()] if frame.trouble else []
        yield [*trouble, *overview(frame.status, frame.observation, _now())]


async def _tables(client: TidegateClient, namespace: str | None) -> AsyncIterator[list[Text]]:
    while True:
        yield await _table(client, namespace)
        await asyncio.sleep(FRAME_SECONDS)


async def _table(client: TidegateClient, namespace: str | None) -> list[Text]:
    limit = asyncio.Semaphore(_QUESTIONS_AT_ONCE)

    async def row(release: ReleaseSummary) -> tuple[ReleaseSummary, ReleaseStatus | None]:
        rollout = RolloutRef(release.namespace, release.name, release.cluster)
        async with limit:
            try:
                return release, await client.status(rollout, run_id=release.run_id)
            except TidegateError:  # what Temporal itself knows stands in the row then
                return release, None

    rows = await asyncio.gather(*map(row, await client.list(namespace)))
    return table(rows, namespaces=namespace is None)


def _now() -> datetime:
    return datetime.now(UTC)
