"""`get experiment` and `terminate experiment`: an Experiment object as its workflow has it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.text import Text

from tidegate.cli.commands import examples, plain_group
from tidegate.cli.exits import ExitCode
from tidegate.cli.formatting import columns, labelled, marked
from tidegate.cli.options import Cluster, ExperimentName, Namespace, Output, OutputOption, experiment_ref, with_client
from tidegate.cli.output import SCHEMA_VERSION, document, print_json, print_lines, stdout
from tidegate.contract import ExperimentReport
from tidegate.experiments.status import ExperimentStatus, TemplateStatus
from tidegate.report.ages import clock

_TEMPLATES = ("TEMPLATE", "STATUS", "READY", "AVAILABLE", "SERVICE")
_ANALYSES = ("ANALYSIS", "STATUS", "RUN", "MESSAGE")

terminate = plain_group("End something before its time.")


@terminate.callback()
def _group() -> None:
    """Keep the name of what is ended in the command, also while there is one kind alone."""


def get_experiment(
    name: ExperimentName,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    output: OutputOption = Output.TEXT,
) -> int:
    """Show an Experiment: its phase, what it waits for, its templates and its analyses."""
    experiment = experiment_ref(name, namespace, cluster)
    report = with_client(lambda client: client.experiment_status(experiment))
    if output is Output.JSON:
        print_json(document(report))
    else:
        print_lines(experiment_view(report))
    return ExitCode.OK


@terminate.command("exp", hidden=True)
@terminate.command("experiment", epilog=examples("terminate experiment compare -n payments"))
def terminate_experiment(
    name: ExperimentName,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    output: OutputOption = Output.TEXT,
) -> int:
    """End an Experiment: its analyses give their verdicts, then its pods go. `spec.terminate` does the same."""
    experiment = experiment_ref(name, namespace, cluster)
    with_client(lambda client: client.terminate_experiment(experiment))
    if output is Output.JSON:
        where = {"cluster": cluster, "namespace": experiment.namespace, "name": experiment.name}
        print_json({"schema_version": SCHEMA_VERSION, "kind": "Experiment", **where, "message": "terminated"})
    else:
        stdout().print(f"experiment '{experiment.name}' terminated")
    return ExitCode.OK


def experiment_view(report: ExperimentReport) -> list[Text]:
    """The whole view of an experiment, as lines."""
    phase, status = str(report.status.get("phase") or "Pending"), ExperimentStatus.read(report.status)
    lines = [labelled("Name:", report.name), labelled("Namespace:", report.namespace)]
    lines.append(labelled("Status:", marked(phase)))
    if status.message:
        lines.append(labelled("Message:", status.message))
    if status.available_at is not None:
        lines.append(labelled("Available:", f"{status.available_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"))
    if report.left:
        lines.append(labelled("Left:", report.left))
    elif report.waiting_for:
        lines.append(labelled("Waits for:", f"{report.waiting_for}{_until(report.until)}"))
    templates = [_template(each) for each in status.template_statuses]
    return [*lines, *_table(_TEMPLATES, templates), *_table(_ANALYSES, _runs(report))]


def _template(each: TemplateStatus) -> Sequence[str | Text]:
    ready = f"{each.ready_replicas}/{each.replicas}"
    return each.name, marked(str(each.status or "")), ready, str(each.available_replicas), each.service_name


def _runs(report: ExperimentReport) -> list[Sequence[str | Text]]:
    rows = report.status.get("analysisRuns") or []
    return [(each["name"], marked(each["phase"]), each["analysisRun"], each.get("message", "")) for each in rows]


def _table(titles: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> list[Text]:
    return [Text(), *columns([titles, *rows])] if rows else []


def _until(at: datetime | None) -> str:
    return f", until {clock(at)} UTC at the latest" if at is not None else ""
