"""`release`: manifests and images in, the end of the release out, as `tidegate start --wait` does it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

from tidegate.client.actor import actor, source
from tidegate.client.client import TidegateClient
from tidegate.client.errors import HeldError, NoWorkerError, RefusedError, ReleaseError
from tidegate.client.gateway import open_gateway
from tidegate.client.manifest_files import findings_of, read
from tidegate.client.release_requests import release_request
from tidegate.client.released import Released, ReleaseOutcome, outcome_of, released
from tidegate.client.releases import Releases
from tidegate.contract import ErrorType, ReleaseRequest, ReleaseStatus, Source
from tidegate.manifests.findings import ManifestError, errors
from tidegate.manifests.images import apply_images


def release(
    files: Sequence[str | Path],
    image: Mapping[str, str] | None = None,
    commit: str = "",
    *,
    namespace: str | None = None,
    cluster: str = "default",
    by: str = "",
    reason: str = "",
    timeout: timedelta | None = None,
    server: str | None = None,
) -> Released:
    """Release what manifests say, wait for the end, and return what became of it. For a program without an event loop.

    `files` are files and folders, `image` maps containers to images (`*` is every container), `commit` is that of the
    change; it, its repository, the CI run and `by` are those of the CI job where they are not given. `server` is the
    URL of a gateway, by default TIDEGATE_SERVER; without one the connection is that of the `temporal` command. The same
    call twice is one release.

    Raises RefusedError where nothing was done, StillRunningError after `timeout`, and the other errors of
    `tidegate.client` but a ReleaseError or a HeldError: those are results.
    """
    return asyncio.run(
        release_async(
            files,
            image,
            commit,
            namespace=namespace,
            cluster=cluster,
            by=by,
            reason=reason,
            timeout=timeout,
            server=server,
        )
    )


async def release_async(
    files: Sequence[str | Path],
    image: Mapping[str, str] | None = None,
    commit: str = "",
    *,
    namespace: str | None = None,
    cluster: str = "default",
    by: str = "",
    reason: str = "",
    timeout: timedelta | None = None,
    server: str | None = None,
) -> Released:
    """As `release`, in an event loop."""
    request = request_of(
        files, image or {}, commit, namespace=namespace, cluster=cluster, by=by or actor(), reason=reason
    )
    async with _connected(os.environ.get("TIDEGATE_SERVER", "") if server is None else server) as client:
        return await carry_out(client, request, timeout)


def request_of(
    files: Sequence[str | Path],
    image: Mapping[str, str],
    commit: str,
    *,
    namespace: str | None,
    cluster: str,
    by: str,
    reason: str,
) -> ReleaseRequest:
    """Request of a release. Raises RefusedError with every error of the manifests."""
    try:
        manifests = read(files)
        manifests = apply_images(manifests, image) if image else manifests
        if found := errors(findings_of(manifests)):
            raise ManifestError(found)
        job = source()
        origin = Source(repository=job.repository, commit=commit or job.commit, ci_url=job.ci_url)
        return release_request(manifests, namespace, cluster=cluster, by=by, reason=reason, source=origin)
    except ManifestError as error:
        raise RefusedError(str(error), "see `tidegate lint`", ErrorType.INVALID_SPEC) from error


async def carry_out(client: Releases, request: ReleaseRequest, timeout: timedelta | None = None) -> Released:
    """Start a release and wait for its end, or until only an operator can end its wait."""
    temporal_ui = os.environ.get("TIDEGATE_TEMPORAL_UI", "")
    handle = await client.start(request)
    try:
        result = await client.wait(handle, timeout=timeout, until_held=True)
    except ReleaseError as error:
        status = error.result.status if error.result is not None else None
        return released(outcome_of(error), status, error.message, remedy=error.remedy, temporal_ui=temporal_ui)
    except HeldError as error:
        held: ReleaseStatus | None = None
        with suppress(NoWorkerError):  # the hold is known, although nobody can say more of it now
            held = await client.status(handle.rollout, run_id=handle.run_id)
        return released(ReleaseOutcome.HELD, held, error.message, remedy=error.remedy, temporal_ui=temporal_ui)
    return released(ReleaseOutcome.PROMOTED, result.status, temporal_ui=temporal_ui)


@asynccontextmanager
async def _connected(server: str) -> AsyncIterator[Releases]:
    if server:
        async with open_gateway(server, os.environ) as client:
            yield client
    else:
        yield await TidegateClient.connect(identity=actor())
