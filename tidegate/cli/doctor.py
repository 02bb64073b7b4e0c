"""`doctor`: each outside system, one line each: fine, or what is wrong and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tidegate.cli.exits import ExitCode
from tidegate.cli.files import GivenNamespace, checked
from tidegate.cli.formatting import marked
from tidegate.cli.options import Cluster, Output, OutputOption, with_client
from tidegate.cli.output import document, print_json, print_lines
from tidegate.client import UnreachableError
from tidegate.client.actor import actor
from tidegate.client.manifest_files import read
from tidegate.client.release_requests import release_request
from tidegate.contract import Check, Checks, CheckState, DoctorRequest
from tidegate.report.marks import BAD, OK


def doctor(
    filename: Annotated[
        list[Path] | None,
        typer.Option(
            "--filename",
            "-f",
            help="Manifests of a release: each query is sent once; - for stdin.",
        ),
    ] = None,
    namespace: GivenNamespace = None,
    cluster: Cluster = "default",
    output: OutputOption = Output.TEXT,
) -> int:
    """Check each outside system through the workers that reach it: fine, or what is wrong and what mends it.

    It reads, and changes nothing. Exit codes: 0 all is fine, 1 something is wrong.
    """
    request = _request(filename or [], namespace, cluster)
    try:
        found = with_client(lambda client: client.doctor(request))
    except UnreachableError as error:
        wrong = Check(name="Temporal", state=CheckState.WRONG, detail=error.message, remedy=error.remedy)
        found = Checks(checks=(wrong,))
    if output is Output.JSON:
        print_json(document(found))
    else:
        print_lines(list(lines(found.checks)))
    return ExitCode.INTERNAL if any(each.state is CheckState.WRONG for each in found.checks) else ExitCode.OK


def _request(files: Sequence[Path], namespace: str | None, cluster: str) -> DoctorRequest:
    if not files:
        return DoctorRequest(cluster=cluster, namespace=namespace or "default")
    release = release_request(checked(read(files)), namespace, cluster=cluster, by=actor())
    return DoctorRequest(cluster=cluster, namespace=release.namespace, release=release)


def lines(checks: Sequence[Check]) -> Iterator[Text]:
    """Yield a line for each check, the remedy below one that is wrong, and a tally."""
    width = max((len(each.name) for each in checks), default=0)
    for each in checks:
        text = f"{each.name:<{width}}  {each.detail or each.state}"
        if each.state is CheckState.ABSENT:
            yield Text(f"- {text}", style="dim")
            continue
        yield marked(text, BAD if each.state is CheckState.WRONG else OK)
        if each.remedy:
            yield Text.assemble("    ", ("remedy: ", "bold"), each.remedy)
    count = sum(each.state is CheckState.WRONG for each in checks)
    yield Text(f"{count} of {len(checks)} are wrong" if count else "everything is fine")
