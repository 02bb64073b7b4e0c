"""`start`: manifests read, checked, and handed over as a release."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Annotated

import typer

from tidegate.cli.exits import ExitCode
from tidegate.cli.files import Files, GivenNamespace, checked
from tidegate.cli.options import By, Cluster, Images, Output, OutputOption, Reason, Timeout, with_client
from tidegate.cli.outcome import outcome_line
from tidegate.cli.output import document, print_json, stderr, stdout
from tidegate.cli.plan import compares, forecast_beside
from tidegate.cli.requests import images_of
from tidegate.cli.watch import follow_release, print_changes
from tidegate.client import HeldError, NoWorkerError, ReleaseError, ReleaseHandle, SupersededError, TidegateClient
from tidegate.client.actor import actor, source
from tidegate.client.manifest_files import read
from tidegate.client.release_requests import release_request
from tidegate.client.releases import Releases
from tidegate.contract import Accepted, ReleaseRequest, ReleaseResult, Source
from tidegate.manifests.images import apply_images, version_changes


def start(
    filename: Files,
    image: Images = None,
    namespace: GivenNamespace = None,
    cluster: Cluster = "default",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end, or until only an operator can end what it waits for.")
    ] = False,
    timeout: Timeout = None,
    by: By = "",
    reason: Reason = "",
    repository: Annotated[str, typer.Option(help="Repository of the change; by default the CI job's.")] = "",
    commit: Annotated[str, typer.Option(help="Commit of the change; by default the CI job's.")] = "",
    ci_url: Annotated[str, typer.Option(help="Page of the CI run; by default the CI job's.")] = "",
    server: Annotated[
        str, typer.Option(envvar="TIDEGATE_SERVER", help="URL of a gateway, for a caller with a token; else Temporal.")
    ] = "",
    output: OutputOption = Output.TEXT,
) -> int:
    """Release what the manifests say. The same call twice is one release; after a failed release it is a retry."""
    images, manifests = images_of(image or []), read(filename)
    before, manifests = manifests, checked(apply_images(manifests, images) if images else manifests)
    for change in version_changes(before, manifests) if images else ():
        stderr().print(change)
    job = source()
    request = release_request(
        manifests,
        namespace,
        cluster=cluster,
        by=by or actor(),
        reason=reason,
        source=Source(
            repository=repository or job.repository, commit=commit or job.commit, ci_url=ci_url or job.ci_url
        ),
    )

    async def act(client: Releases) -> None:
        await _release(client, request, output, wait=wait, timeout=timeout)

    if server:
        _by_gateway(server, act)
    elif compares(manifests):
        with_client(lambda client: _with_forecast(client, request, act))
    else:
        with_client(act)
    return ExitCode.OK


async def _with_forecast(
    client: TidegateClient, request: ReleaseRequest, act: Callable[[Releases], Awaitable[None]]
) -> None:
    """Say beside the start what its comparisons can prove. The release neither waits for that nor fails by it."""
    saying = asyncio.create_task(_say_forecast(client, request))
    try:
        await act(client)
        await asyncio.gather(saying, return_exceptions=True)
    finally:
        saying.cancel()


async def _say_forecast(client: TidegateClient, request: ReleaseRequest) -> None:
    for line in await forecast_beside(client, request):
        stderr().print(line)


def _by_gateway(server: str, act: Callable[[Releases], Awaitable[None]]) -> None:
    # Here, as it loads a client of HTTP.
    from tidegate.cli.failures import configure_logs
    from tidegate.client.gateway import open_gateway

    configure_logs()

    async def connected() -> None:
        async with open_gateway(server, os.environ) as client:
            await act(client)

    asyncio.run(connected())


async def _release(
    client: Releases, request: ReleaseRequest, output: Output, *, wait: bool, timeout: timedelta | None
) -> None:
    await follow_to_end(client, await client.start(request), request.name, output, wait=wait, timeout=timeout)


async def follow_to_end(
    client: Releases,
    handle: ReleaseHandle,
    name: str,
    output: Output,
    *,
    wait: bool,
    timeout: timedelta | None,
    until_held: bool = True,
) -> None:
    """Say that a release was accepted, or with `wait` what became of it. Raises the errors of its end."""
    if not wait:
        accepted = Accepted(message=handle.message, run_id=handle.run_id)
        if output is Output.JSON:
            print_json(document(accepted))
        else:
            stdout().print(f"rollout '{name}' release accepted: {handle.message}")
            stdout().print(f"workflow {handle.rollout.workflow_id} run {handle.run_id}")
        return
    try:
        result = await _end(client, handle, timeout, until_held)
    except (ReleaseError, HeldError) as error:
        ended = error.result if isinstance(error, ReleaseError) else None
        if ended is not None and output is Output.JSON:
            print_json(document(ended))
        status = ended.status if ended is not None else None
        if isinstance(error, HeldError):
            with suppress(NoWorkerError):  # the hold is known, whoever cannot say more of it now
                status = await client.status(handle.rollout, run_id=handle.run_id)
        if status is not None and not isinstance(error, SupersededError):
            error.message, error.remedy = outcome_line(status, os.environ.get("TIDEGATE_TEMPORAL_UI", "")), ""
        raise
    if output is Output.JSON:
        print_json(document(result))
    else:
        stdout().print(f"rollout '{name}' {result.outcome}: {result.message} (revision {result.revision})")


async def _end(client: Releases, handle: ReleaseHandle, timeout: timedelta | None, until_held: bool) -> ReleaseResult:
    printing = asyncio.create_task(print_changes(stderr(), follow_release(client, handle)))
    try:
        return await client.wait(handle, timeout=timeout, until_held=until_held)
    finally:
        # What was told on the way is for people; that it could not be told is no reason to fail.
        printing.cancel()
        await asyncio.gather(printing, return_exceptions=True)
