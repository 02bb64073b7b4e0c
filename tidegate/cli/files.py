"""Manifests given on the command line: read, and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.output import stderr
from tidegate.client.manifest_files import findings_of
from tidegate.manifests.documents import Manifests
from tidegate.manifests.findings import ManifestError, Severity, errors

Files = Annotated[
    list[Path],
    typer.Option(
        "--filename", "-f", help="File or folder with the manifests, - for stdin; may be repeated.", show_default=False
    ),
]
GivenNamespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", envvar="TIDEGATE_NAMESPACE", help="Where the manifest names none."),
]


def checked(manifests: Manifests) -> Manifests:
    """Manifests without an error in them; warnings go to stderr. Raises ManifestError with all findings."""
    findings = findings_of(manifests)
    if errors(findings):
        raise ManifestError(findings)
    for finding in findings:
        if finding.severity is Severity.WARNING:
            stderr().print(str(finding))
    return manifests
