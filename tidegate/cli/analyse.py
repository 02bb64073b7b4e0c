"""`analysis run` and `analysis terminate`: templates carried out without a release."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated

import typer

from tidegate.analysis.status import AnalysisStatus, Phase
from tidegate.cli.commands import examples
from tidegate.cli.exits import ExitCode
from tidegate.cli.files import Files, GivenNamespace, checked
from tidegate.cli.formatting import marked
from tidegate.cli.options import (
    Cluster,
    Namespace,
    Output,
    OutputOption,
    RunName,
    Timeout,
    assignments,
    run_ref,
    with_client,
)
from tidegate.cli.output import SCHEMA_VERSION, document, print_json, stderr, stdout
from tidegate.cli.verdicts import run_code
from tidegate.cli.watch import follow_run, publish_run
from tidegate.client import AnalysisRunRef, StillRunningError, TidegateClient, analysis_request
from tidegate.client.manifest_files import one_namespace, read
from tidegate.contract import AnalysisRequest
from tidegate.manifests.documents import Manifests
from tidegate.manifests.plain_text import harmless
from tidegate.report import explain_run

analysis = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, add_completion=False, help="Run analysis templates without a release."
)


@analysis.command(
    "run", epilog=examples("analysis run -f examples/checkout/corrected/analysis-template.yaml --timeout 30m")
)
def run_templates(
    filename: Files,
    arg: Annotated[
        list[str] | None, typer.Option("--arg", metavar="NAME=VALUE", help="Value of an argument; may be repeated.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the run; by default the template's with a random suffix.")] = "",
    namespace: GivenNamespace = None,
    cluster: Cluster = "default",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show the measurements, and wait for the end.")] = True,
    timeout: Timeout = None,
    output: OutputOption = Output.TEXT,
) -> int:
    """Run analysis templates alone. Exit codes: 0 Successful, 1 Error, 2 Failed, 3 Inconclusive, 4 still running.

    The same --name, templates and arguments while such a run is under way are that run.
    """
    arguments = assignments(arg or [], "--arg", "NAME=VALUE, such as service-name=checkout")
    templates = checked(Manifests(templates=read(filename).templates)).templates
    request = analysis_request(
        [template.raw for template in templates],
        arguments,
        namespace=one_namespace([(each.label, each.metadata.namespace) for each in templates], namespace),
        cluster=cluster,
        name=name,
    )
    return with_client(lambda client: _carry_out(client, request, output, wait=wait, timeout=timeout))


@analysis.command("terminate", epilog=examples("analysis terminate checkout-7d9c-3-2 -n payments"))
def terminate(
    name: RunName,
    namespace: Namespace = "default",
    cluster: Cluster = "default",
    output: OutputOption = Output.TEXT,
) -> int:
    """End an analysis run now: what it has measured decides."""
    run = run_ref(name, namespace, cluster)
    with_client(lambda client: client.terminate_analysis(run))
    _print(run, "requested to end with its measurements", output)
    return ExitCode.OK


async def _carry_out(
    client: TidegateClient, request: AnalysisRequest, output: Output, *, wait: bool, timeout: timedelta | None
) -> int:
    run = await client.run_analysis(request)
    if not wait:
        _print(run, "started", output)
        return ExitCode.OK
    console = stdout() if output is Output.TEXT else stderr()
    console.print(f"analysis run '{run.name}' started: {run.workflow_id}")
    known = AnalysisStatus(name=run.name, phase=Phase.PENDING)
    try:
        async with asyncio.timeout(timeout.total_seconds() if timeout is not None else None):
            status = await publish_run(console, follow_run(client, run, known=known))
    except TimeoutError as error:
        raise StillRunningError(f"{run.workflow_id}: still running after {timeout}", _still_running(run)) from error
    except asyncio.CancelledError:  # Ctrl-C
        stderr().print(_still_running(run))
        raise
    if output is Output.JSON:
        print_json(document(status))
    else:
        _print_verdict(run, status)
    return run_code(status)


def _print_verdict(run: AnalysisRunRef, status: AnalysisStatus) -> None:
    account = explain_run(status, run.workflow_id)
    stdout().print(marked(status.phase) + f"  {harmless(account.headline)}")
    for gate in account.gates:
        for metric in gate.metrics:
            stdout().print(marked(metric.metric.phase) + f"  {harmless(metric.sentence)}")


def _print(run: AnalysisRunRef, what: str, output: Output) -> None:
    if output is Output.JSON:
        where = {"cluster": run.cluster, "namespace": run.namespace, "name": run.name, "workflow_id": run.workflow_id}
        print_json({"schema_version": SCHEMA_VERSION, "kind": "AnalysisRun", **where, "message": what})
    else:
        stdout().print(f"analysis run '{run.name}' {what}")


def _still_running(run: AnalysisRunRef) -> str:
    where = f"{run.name} -n {run.namespace}" + (f" --cluster {run.cluster}" if run.cluster != "default" else "")
    return (
        f"the run goes on by itself: look with `tidegate get analysisrun {where} --watch`, "
        f"end it with `tidegate analysis terminate {where}`"
    )
