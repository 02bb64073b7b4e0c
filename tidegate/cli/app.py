"""The `tidegate` command, also installed as `kubectl-tidegate`: its commands, and errors into exit codes."""

from __future__ import annotations

import io
import logging
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version as version_of
from pathlib import Path
from typing import NoReturn

import structlog
import typer

from tidegate.cli import analyse, backtest, codec, doctor, explain, listing, plan, release, schema, show, undo
from tidegate.cli.exits import ExitCode, error_block, exit_code
from tidegate.cli.options import Output, OutputOption
from tidegate.cli.output import SCHEMA_VERSION, print_json, stderr, stdout
from tidegate.cli.release_commands import abort, command, promote
from tidegate.client import TidegateClient, TidegateError
from tidegate.client.process_end import exit_process
from tidegate.manifests.findings import ManifestError, errors
from tidegate.manifests.plain_text import harmless_values

EPILOG = (
    "The connection to Temporal is configured as for the `temporal` command: TEMPORAL_PROFILE, TEMPORAL_ADDRESS, "
    "TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_*. Keys of data that is stored encrypted: "
    "TIDEGATE_CODEC__KEY_FILE or TIDEGATE_CODEC_KEYS. Exit codes: 0 done or promoted, 1 internal error, "
    "2 rolled back, 3 waits for an operator, 4 still running, or asked and not done yet, 5 refused, 6 undoing failed, "
    "7 not found, 8 Temporal does not answer, 64 usage, 130 interrupted."
)

app = typer.Typer(
    help="Progressive delivery on evidence: releases as durable workflows.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(release.start)
app.command()(release.lint)
app.command()(plan.plan)
app.command()(backtest.backtest)
app.command()(doctor.doctor)
app.add_typer(show.get, name="get")
app.command()(show.status)
app.command("list")(listing.list_objects)
app.command()(explain.explain)
app.add_typer(analyse.analysis, name="analysis")
app.command()(schema.schema)
app.add_typer(codec.codec, name="codec")
app.command()(promote)
app.command()(abort)
app.command()(undo.undo)
app.command("pause", help="Take no further step until `resume`.")(command("paused", TidegateClient.pause))
app.command("resume", help="Go on after `pause`.")(command("resumed", TidegateClient.resume))


@app.command()
def version(output: OutputOption = Output.TEXT) -> int:
    """Say which version this is."""
    versions = {"tidegate": version_of("tidegate"), "temporalio": version_of("temporalio")}
    if output is Output.JSON:
        print_json({"schema_version": SCHEMA_VERSION, "kind": "Version", **versions})
    else:
        parts = ", ".join(f"{name} {number}" for name, number in versions.items())
        stdout().print(f"{parts}, Python {platform.python_version()}")
    return ExitCode.OK


def run(arguments: Sequence[str], program: str = "tidegate") -> int:
    """Run one command and return its exit code; expected errors are a block on stderr, never a traceback."""
    *prepared, rendered = structlog.get_config()["processors"]
    structlog.configure(
        processors=[*prepared, lambda _, __, event: harmless_values(event), rendered],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        return int(app(args=list(arguments), prog_name=program, standalone_mode=False) or ExitCode.OK)
    except typer.TyperException as error:
        if message := error.format_message():  # empty when the help was shown instead
            stderr().print(error_block(message, f"see `{program} --help`"))
        return ExitCode.USAGE
    except ManifestError as error:
        for finding in error.findings:
            stderr().print(str(finding))
        count = len(errors(error.findings))
        stderr().print(
            error_block(f"refused: {count} error{'s' if count != 1 else ''} in the manifests; nothing was done")
        )
        return ExitCode.REFUSED
    except TidegateError as error:
        stderr().print(error_block(error.message, error.remedy))
        return exit_code(error)


def main() -> NoReturn:
    """Entry point of the installed commands."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what this terminal has no character for is no reason to fail
    program = Path(sys.argv[0]).name
    exit_process(run(sys.argv[1:], program.replace("kubectl-", "kubectl ", 1)))
