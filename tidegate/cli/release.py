"""`start` and `lint`: manifests read, checked, and handed over as a release."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from tidegate.analysis.conditions import compile_condition
from tidegate.cli.actor import actor, source
from tidegate.cli.exits import ExitCode
from tidegate.cli.options import By, Cluster, Output, OutputOption, Reason, Timeout, with_client
from tidegate.cli.output import document, documents, print_json, stderr, stdout
from tidegate.cli.watch import follow, tell
from tidegate.client import RefusedError, ReleaseError, ReleaseHandle, TidegateClient
from tidegate.contract import Accepted, ReleaseRequest, ReleaseResult, Source
from tidegate.manifests.documents import Manifests, load
from tidegate.manifests.findings import Finding, ManifestError, Severity, errors
from tidegate.manifests.images import apply_images
from tidegate.manifests.lint import lint as check

Files = Annotated[
    list[Path],
    typer.Option("--filename", "-f", help="File or folder with the manifests; may be repeated.", show_default=False),
]


def lint(filename: Files, output: OutputOption = Output.TEXT) -> int:
    """Check manifests: what a release would refuse, and what it would do otherwise than the manifest says."""
    try:
        manifests = load(filename)
        findings: Sequence[Finding] = [*manifests.notes, *check(manifests, compile_condition=compile_condition)]
    except ManifestError as error:
        findings = error.findings
    if output is Output.JSON:
        print_json(documents(findings))
    else:
        for finding in findings:
            stdout().print(str(finding))
        stdout().print(_tally(findings))
    return ExitCode.REFUSED if errors(findings) else ExitCode.OK


def start(
    filename: Files,
    image: Annotated[
        list[str] | None, typer.Option(metavar="CONTAINER=IMAGE", help="Image to release; * means every container.")
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", envvar="TIDEGATE_NAMESPACE", help="Where the manifest names none."),
    ] = None,
    cluster: Cluster = "default",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end, or until only a person can end what it waits for.")
    ] = False,
    timeout: Timeout = None,
    by: By = "",
    reason: Reason = "",
    repository: Annotated[str, typer.Option(help="Repository of the change; by default the CI job's.")] = "",
    commit: Annotated[str, typer.Option(help="Commit of the change; by default the CI job's.")] = "",
    ci_url: Annotated[str, typer.Option(help="Page of the CI run; by default the CI job's.")] = "",
    output: OutputOption = Output.TEXT,
) -> int:
    """Release what the manifests say. The same call twice is one release; after a failed release it is a retry."""
    manifests = _checked(filename, _images(image or []))
    job = source()
    request = _request(
        manifests,
        namespace,
        cluster=cluster,
        by=by or actor(),
        reason=reason,
        source=Source(
            repository=repository or job.repository, commit=commit or job.commit, ci_url=ci_url or job.ci_url
        ),
    )
    with_client(lambda client: _release(client, request, output, wait=wait, timeout=timeout))
    return ExitCode.OK


def _checked(files: Sequence[Path], images: Mapping[str, str]) -> Manifests:
    manifests = load(files)
    if images:
        manifests = apply_images(manifests, images)
    findings = check(manifests, compile_condition=compile_condition)
    if errors(findings):
        raise ManifestError(findings)
    for finding in findings:
        if finding.severity is Severity.WARNING:
            stderr().print(str(finding))
    return manifests


def _images(options: Iterable[str]) -> dict[str, str]:
    images = {}
    for option in options:
        container, separator, image = option.partition("=")
        if not (container and separator and image):
            raise typer.BadParameter(
                f"{option!r} is not CONTAINER=IMAGE, such as checkout=registry.internal/payments/checkout:1.1.0",
                param_hint="--image",
            )
        images[container] = image
    return images


def _request(
    manifests: Manifests, namespace: str | None, *, cluster: str, by: str, reason: str, source: Source
) -> ReleaseRequest:
    rollout = manifests.rollout()
    stated = rollout.metadata.namespace
    if namespace and stated and namespace != stated:
        raise RefusedError(
            f"{rollout.label}: metadata.namespace is {stated!r} and --namespace {namespace!r}", "give one, or the same"
        )
    return ReleaseRequest(
        cluster=cluster,
        namespace=stated or namespace or "default",
        name=rollout.metadata.name,
        rollout=rollout.raw,
        templates=tuple(template.raw for template in manifests.templates),
        by=by,
        reason=reason,
        source=source,
    )


async def _release(
    client: TidegateClient, request: ReleaseRequest, output: Output, *, wait: bool, timeout: timedelta | None
) -> None:
    handle = await client.start(request)
    if not wait:
        accepted = Accepted(message=handle.message, run_id=handle.run_id)
        if output is Output.JSON:
            print_json(document(accepted))
        else:
            stdout().print(f"rollout '{request.name}' release accepted: {handle.message}")
            stdout().print(f"workflow {handle.rollout.workflow_id} run {handle.run_id}")
        return
    try:
        result = await _end(client, handle, timeout)
    except ReleaseError as error:
        if error.result is not None and output is Output.JSON:
            print_json(document(error.result))
        raise
    if output is Output.JSON:
        print_json(document(result))
    else:
        stdout().print(f"rollout '{request.name}' {result.outcome}: {result.message} (revision {result.revision})")


async def _end(client: TidegateClient, handle: ReleaseHandle, timeout: timedelta | None) -> ReleaseResult:
    telling = asyncio.create_task(tell(stderr(), follow(client, handle.rollout, run_id=handle.run_id)))
    try:
        return await client.wait(handle, timeout=timeout, until_held=True)
    finally:
        # What was told on the way is for people; that it could not be told is no reason to fail.
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


def _tally(findings: Sequence[Finding]) -> str:
    counted = Counter(finding.severity for finding in findings)
    return ", ".join(f"{counted[severity]} {severity}{'' if counted[severity] == 1 else 's'}" for severity in Severity)
