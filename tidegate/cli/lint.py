"""`lint`: manifests read and checked, without a server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tidegate.cli.exits import ExitCode
from tidegate.cli.files import Files
from tidegate.cli.options import Output, OutputOption
from tidegate.cli.output import documents, print_json, stdout
from tidegate.client.manifest_files import findings_of, read
from tidegate.manifests.findings import Finding, ManifestError, Severity, errors


def lint(filename: Files, output: OutputOption = Output.TEXT) -> int:
    """Check manifests: what a release would refuse, and what it would do otherwise than the manifest says."""
    try:
        manifests = read(filename)
        findings: Sequence[Finding] = [*manifests.notes, *findings_of(manifests)]
    except ManifestError as error:
        findings = error.findings
    if output is Output.JSON:
        print_json(documents(findings))
    else:
        for finding in findings:
            stdout().print(str(finding))
        stdout().print(_tally(findings))
    return ExitCode.REFUSED if errors(findings) else ExitCode.OK


def _tally(findings: Sequence[Finding]) -> str:
    counted = Counter(finding.severity for finding in findings)
    return ", ".join(f"{counted[severity]} {severity}{'' if counted[severity] == 1 else 's'}" for severity in Severity)
