"""`migrate`: for each Rollout and Experiment of Argo's controller, what becomes of it here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from tidegate.cli.cluster_objects import objects_of_cluster
from tidegate.cli.exits import ExitCode
from tidegate.cli.formatting import marked
from tidegate.cli.manifest_tree import Part, parts
from tidegate.cli.options import Output, OutputOption
from tidegate.cli.output import SCHEMA_VERSION, document, print_json, print_lines
from tidegate.client import NotFoundError
from tidegate.client.manifest_files import findings_of
from tidegate.manifests.documents import from_objects
from tidegate.manifests.findings import Finding
from tidegate.manifests.migration import Assessment, MigrationVerdict, assess, with_errors
from tidegate.manifests.plain_text import harmless
from tidegate.report.marks import BAD, OK, WARNING

_TEXTS: Final = {
    MigrationVerdict.AS_IT_IS: ("goes as it is", OK),
    MigrationVerdict.DIFFERS: ("differs here", WARNING),
    MigrationVerdict.REFUSED: ("is refused", BAD),
}


def migrate(
    filename: Annotated[
        list[Path] | None,
        typer.Option(
            "--filename",
            "-f",
            help="File, or folder with all below it; - for stdin. Without it kubectl reads the cluster.",
            show_default=False,
        ),
    ] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of the cluster; kubectl's by default.")] = "",
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of the cluster, all.")] = False,
    context: Annotated[str, typer.Option(help="Context of the kubeconfig; its current one by default.")] = "",
    output: OutputOption = Output.TEXT,
) -> int:
    """Say of each Rollout and Experiment whether it goes as it is, differs here, or is refused. Nothing is changed.

    Exit codes: 0 all of them go, 5 at least one is refused or could not be read, 7 there is none.
    """
    found = list(parts(filename)) if filename else [_cluster(namespace, context, everywhere=all_namespaces)]
    assessed = [assess(manifests, findings_of, unread) for manifests, unread in found]
    rollouts = [each for part in assessed for each in part.rollouts]
    unread = [each for part in assessed for each in part.unread]
    if not rollouts and not unread:
        raise NotFoundError("there is no Rollout", "give a folder with -f, a namespace with -n, or -A")
    if output is Output.JSON:
        print_json(_document(rollouts, unread))
    else:
        print_lines(list(lines(rollouts, unread)))
    refused = bool(unread) or any(each.verdict is MigrationVerdict.REFUSED for each in rollouts)
    return ExitCode.REFUSED if refused else ExitCode.OK


def _cluster(namespace: str, context: str, *, everywhere: bool) -> Part:
    arguments = ["--all-namespaces"] if everywhere else [f"--namespace={namespace}"] if namespace else []
    arguments += [f"--context={context}"] if context else []
    objects = objects_of_cluster(arguments)
    return with_errors(lambda: from_objects(objects))


def _document(rollouts: Sequence[Assessment], unread: Sequence[Finding]) -> dict[str, object]:
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "Migration",
        "counts": counts(rollouts),
        "items": [document(each) for each in rollouts],
        "unread": [document(each) for each in unread],
    }


def counts(rollouts: Sequence[Assessment]) -> dict[str, int]:
    """Number of Rollouts of each verdict."""
    counted = Counter(each.verdict for each in rollouts)
    return {verdict.value: counted[verdict] for verdict in MigrationVerdict}


def lines(rollouts: Sequence[Assessment], unread: Sequence[Finding]) -> Iterator[Text]:
    """Yield the Rollouts with what there is to say of each, what could not be read, and a tally."""
    names = [f"{each.namespace}/{each.name}".lstrip("/") for each in rollouts]
    width = max(map(len, names), default=0)
    for each, name in zip(rollouts, names, strict=True):
        text, icon = _TEXTS[each.verdict]
        where = f"{each.file}:{each.line}" if each.file else each.state
        yield marked(f"{name:<{width}}  {text:<13}  {where}".rstrip(), icon)
        yield from _details(each)
    for finding in unread:
        yield marked(f"not read: {finding}", BAD)
    tally = counts(rollouts)
    text = ", ".join(f"{tally[verdict]} {verdict}" for verdict in MigrationVerdict)
    kinds = "Rollouts and Experiments" if any("/" in each.name for each in rollouts) else "Rollouts"
    yield Text(f"{kinds}: {len(rollouts)} ({text})")


def _details(each: Assessment) -> Iterator[Text]:
    for reason in each.reasons:
        yield Text(f"    {harmless(str(reason))}")
    for difference in each.differences:
        yield Text(f"    {', '.join(difference.locations)}")
        yield Text(f"        Argo Rollouts: {difference.argo}")
        yield Text(f"        Tidegate:      {difference.tidegate}")
    for warning in each.warnings:
        yield Text(f"    {harmless(str(warning))}", style="dim")
