"""`list`: one line for each Rollout, in the columns of `kubectl argo rollouts list`, for each run or experiment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import typer
from rich.text import Text

from tidegate.analysis.status import AnalysisStatus
from tidegate.cli.exits import ExitCode
from tidegate.cli.formatting import fitted, marked
from tidegate.cli.forms import TEXT, FormOption, print_form
from tidegate.cli.options import Namespace, Watch, with_client
from tidegate.cli.output import documents, print_lines, stderr, stdout, terminal_width
from tidegate.cli.overview import current_step
from tidegate.cli.several import Selector
from tidegate.cli.tree import counts
from tidegate.cli.watch import FRAME_SECONDS, draw
from tidegate.client import (
    AnalysisRunRef,
    AnalysisSummary,
    ExperimentSummary,
    ReleaseSummary,
    RolloutRef,
    TidegateClient,
)
from tidegate.client.queries import with_status
from tidegate.client.refs import RunSummary
from tidegate.contract import ReleaseStatus
from tidegate.manifests.images import short_versions
from tidegate.manifests.selector import LabelSelector
from tidegate.report.ages import since

_TITLES = (
    "NAME",
    "STRATEGY",
    "STATUS",
    "STEP",
    "SET-WEIGHT",
    "READY",
    "DESIRED",
    "UP-TO-DATE",
    "AVAILABLE",
    "VERSION",
)
_RUN_TITLES = ("NAME", "STATUS", "MEASUREMENTS", "AGE", "RELEASE")
# Left out where the terminal is narrow, the first one first; `get rollout` shows them.
_SPARE = ("STRATEGY", "UP-TO-DATE", "AVAILABLE", "DESIRED")
_EXPERIMENT_TITLES = ("NAME", "STATUS", "AGE")
_ROLLOUTS, _RUNS = ("rollouts", "rollout", "ro"), ("analysisruns", "analysisrun", "ar")
_EXPERIMENTS = ("experiments", "experiment", "exp")
# Temporal's word for a run's end, where the release itself cannot be asked.
_PHASES = {"Running": "Progressing", "Completed": "Healthy"}
_QUERIES_AT_ONCE = 8

Summary = TypeVar("Summary")
Status = TypeVar("Status")


@dataclass(frozen=True)
class Selection:
    """Rows to list; None means every namespace or cluster."""

    namespace: str | None
    cluster: str | None
    limit: int
    selector: LabelSelector | None = None
    wide: bool = False  # all columns, however narrow the terminal is

    @property
    def width(self) -> int | None:
        """Characters that a line may have."""
        return None if self.wide else terminal_width()


def list_objects(
    kind: Annotated[str, typer.Argument(help="rollouts, analysisruns, experiments.", show_default=False)] = "rollouts",
    namespace: Namespace = "default",
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of every namespace.")] = False,
    cluster: Annotated[str | None, typer.Option(envvar="TIDEGATE_CLUSTER", help="Of this cluster only.")] = None,
    selector: Selector = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many: those that were started last.")] = 500,
    watch: Watch = False,
    output: FormOption = TEXT,
) -> int:
    """List the newest release of every Rollout, or the analysis runs or the Experiments, the newest last."""
    known = next((names for names in (_ROLLOUTS, _RUNS, _EXPERIMENTS) if kind in names), None)
    if known is None:
        names = f"{_ROLLOUTS[0]}, {_RUNS[0]}, {_EXPERIMENTS[0]}"
        raise typer.BadParameter(f"cannot list {kind!r}; known: {names}", param_hint="KIND")
    if selector is not None and known is not _ROLLOUTS:
        raise typer.BadParameter(f"what is listed as {known[0]} has no labels of a Rollout", param_hint="--selector")
    selection = Selection(None if all_namespaces else namespace, cluster, limit, selector, output.name == "wide")
    lines, items = _READERS[known[0]]
    if watch and output.is_drawn:
        with_client(lambda client: draw(stdout(), _repeated(lambda: lines(client, selection))))
        return ExitCode.OK
    if not output.is_drawn:
        found = with_client(lambda client: items(client, selection))
        count = len(found)
        print_form(output, documents(found), [f"{known[1]}.argoproj.io/{each.name}" for each in found])
    else:
        text = with_client(lambda client: lines(client, selection))
        count = len(text) - 1
        print_lines(text)
    if count == limit:
        stderr().print(f"only the {limit} that were started last are listed; there may be more: see --limit")
    return ExitCode.OK


def table(
    rows: Sequence[tuple[ReleaseSummary, ReleaseStatus | None]], *, namespaces: bool, width: int | None = None
) -> list[Text]:
    """Lines for releases with their own accounts, None where no worker gave one; `namespaces` adds that column."""
    lines: list[Sequence[str | Text]] = [("NAMESPACE", *_TITLES) if namespaces else _TITLES]
    for summary, status in rows:
        cells = _full(status) if status is not None else _known(summary)
        lines.append((summary.namespace, summary.name, *cells) if namespaces else (summary.name, *cells))
    return fitted(lines, width, spare=_SPARE)


def _full(status: ReleaseStatus) -> Sequence[str | Text]:
    counts = status.counts
    return (
        "Canary",
        marked(status.phase),
        current_step(status) or "-",
        str(status.set_weight),
        f"{counts.ready}/{counts.current}",
        str(counts.desired),
        str(counts.updated),
        str(counts.available),
        short_versions(status.images) or "-",
    )


def _known(summary: ReleaseSummary) -> Sequence[str | Text]:
    phase = summary.phase or _PHASES.get(summary.state, "Degraded")
    weight = str(summary.weight) if summary.weight is not None else "-"
    return ("Canary", marked(phase), "-", weight, "-", "-", "-", "-", summary.version or "-")


def run_table(
    rows: Sequence[tuple[AnalysisSummary, AnalysisStatus | None]],
    now: datetime,
    *,
    namespaces: bool,
    width: int | None = None,
) -> list[Text]:
    """Lines for analysis runs with their own accounts, None where no worker gave one."""
    lines: list[Sequence[str | Text]] = [("NAMESPACE", *_RUN_TITLES) if namespaces else _RUN_TITLES]
    for summary, status in rows:
        phase = marked(status.phase) if status is not None else marked(summary.state)
        measured = counts(status) if status is not None else ""
        release = RolloutRef.parse(summary.release_id)
        cells = (summary.name, phase, measured or "-", since(summary.started_at, now), release.name if release else "-")
        lines.append((summary.namespace, *cells) if namespaces else cells)
    return fitted(lines, width, spare=("RELEASE",))  # whose name the run's begins with


async def _releases(client: TidegateClient, selection: Selection) -> list[Text]:
    def query(release: ReleaseSummary) -> Awaitable[ReleaseStatus]:
        rollout = RolloutRef(release.namespace, release.name, release.cluster)
        return client.status(rollout, run_id=release.run_id)

    rows = await with_status(await _release_items(client, selection), query, _QUERIES_AT_ONCE)
    return table(rows, namespaces=selection.namespace is None, width=selection.width)


async def _release_items(client: TidegateClient, selection: Selection) -> Sequence[ReleaseSummary]:
    return await client.list(
        selection.namespace, cluster=selection.cluster, limit=selection.limit, selector=selection.selector
    )


async def _runs(client: TidegateClient, selection: Selection) -> list[Text]:
    rows, namespaces = await _run_rows(client, selection), selection.namespace is None
    return run_table(rows, datetime.now(UTC), namespaces=namespaces, width=selection.width)


async def _run_items(client: TidegateClient, selection: Selection) -> Sequence[AnalysisSummary]:
    return [
        summary.model_copy(update={"phase": status.phase}) if status is not None else summary
        for summary, status in await _run_rows(client, selection)
    ]


async def _run_rows(
    client: TidegateClient, selection: Selection
) -> list[tuple[AnalysisSummary, AnalysisStatus | None]]:
    def query(run: AnalysisSummary) -> Awaitable[AnalysisStatus]:
        return client.analysis_status(AnalysisRunRef(run.namespace, run.name, run.cluster))

    found = await client.list_analyses(selection.namespace, cluster=selection.cluster, limit=selection.limit)
    return await with_status(found, query, _QUERIES_AT_ONCE)


async def _repeated(lines: Callable[[], Awaitable[list[Text]]]) -> AsyncIterator[list[Text]]:
    while True:
        yield await lines()
        await asyncio.sleep(FRAME_SECONDS)


async def _experiments(client: TidegateClient, selection: Selection) -> list[Text]:
    found, now = await _experiment_items(client, selection), datetime.now(UTC)
    namespaces = selection.namespace is None
    lines: list[Sequence[str | Text]] = [("NAMESPACE", *_EXPERIMENT_TITLES) if namespaces else _EXPERIMENT_TITLES]
    for each in found:
        cells = (each.name, marked(each.phase or each.state), since(each.started_at, now))
        lines.append((each.namespace, *cells) if namespaces else cells)
    return fitted(lines, selection.width)


async def _experiment_items(client: TidegateClient, selection: Selection) -> Sequence[ExperimentSummary]:
    return await client.list_experiments(selection.namespace, cluster=selection.cluster, limit=selection.limit)


_Lines = Callable[[TidegateClient, Selection], Awaitable[list[Text]]]
_Items = Callable[[TidegateClient, Selection], Awaitable[Sequence[RunSummary]]]
_READERS: dict[str, tuple[_Lines, _Items]] = {
    _ROLLOUTS[0]: (_releases, _release_items),
    _RUNS[0]: (_runs, _run_items),
    _EXPERIMENTS[0]: (_experiments, _experiment_items),
}
