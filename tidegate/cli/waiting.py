"""`wait`: until a release, started by anybody, has ended."""

from __future__ import annotations

from typing import Annotated

import typer

from tidegate.cli.exits import ExitCode
from tidegate.cli.options import Cluster, Name, Namespace, Output, OutputOption, Timeout, rollout_ref, with_client
from tidegate.cli.release import follow_to_end
from tidegate.client import TidegateClient


def wait(
    name: Name,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    until_held: Annotated[
        bool, typer.Option("--until-held", help="Also end when only an operator can end its wait, with exit code 3.")
    ] = False,
    timeout: Timeout = None,
    output: OutputOption = Output.TEXT,
) -> int:
    """Wait for the end of the newest release, and say each change on stderr; Ctrl-C leaves the release going.

    Exit codes: 0 promoted, 2 rolled back, 3 held (with --until-held), 4 time is up, 5 refused, 7 there is none.
    """
    rollout = rollout_ref(name, namespace, cluster)

    async def act(client: TidegateClient) -> None:
        handle = await client.newest_handle(rollout)
        await follow_to_end(client, handle, rollout.name, output, wait=True, timeout=timeout, until_held=until_held)

    with_client(act)
    return ExitCode.OK
