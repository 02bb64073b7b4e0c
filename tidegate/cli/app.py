"""The `tidegate` command, also installed as `kubectl-tidegate`: its commands, and errors into exit codes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer._click.exceptions import NoArgsIsHelpError
from typer._completion_classes import completion_init

from tidegate.cli.completion import COMPLETE
from tidegate.cli.lazy import LazyGroup

EPILOG = (
    "The connection to Temporal is configured as for the `temporal` command: TEMPORAL_PROFILE, TEMPORAL_ADDRESS, "
    "TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_*. Keys of data that is stored encrypted: "
    "TIDEGATE_CODEC__KEY_FILE or TIDEGATE_CODEC_KEYS. Exit codes: 0 done or promoted, 1 internal error, "
    "2 rolled back, 3 waits for an operator, 4 still running, or asked and not done yet, 5 refused, 6 undoing failed, "
    "7 not found, 8 Temporal does not answer, 64 usage, 130 interrupted."
)


app = typer.Typer(
    cls=LazyGroup,
    help="Progressive delivery on evidence: releases as durable workflows.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,  # help is plain text: it is read at once, in a pipe too
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tidegate {version('tidegate')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Say which version this is.")
    ] = False,
) -> None:
    """Take the options of the program itself."""


def run(arguments: Sequence[str], program: str = "tidegate") -> int:
    """Run one command and return its exit code; expected errors are a block on stderr, never a traceback."""
    if COMPLETE in os.environ:
        completion_init()
    try:
        return int(
            app(args=list(arguments), prog_name=program, complete_var=COMPLETE, standalone_mode=False) or os.EX_OK
        )
    except NoArgsIsHelpError as error:
        typer.echo(error.format_message())
        return os.EX_USAGE
    except typer.TyperException as error:
        from tidegate.cli.failures import print_usage

        print_usage(error.format_message(), program)
        return os.EX_USAGE
    except Exception as error:
        from tidegate.cli.failures import print_error

        code = print_error(error)
        if code is None:
            raise
        return code


def main() -> NoReturn:
    """Entry point of the installed commands."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what this terminal has no character for is no reason to fail
    program = Path(sys.argv[0]).name
    code = run(sys.argv[1:], program.replace("kubectl-", "kubectl ", 1))
    if "temporalio" not in sys.modules:
        sys.exit(code)
    # Here, as a help loads nothing of Temporal.
    from tidegate.client.process_end import exit_process

    exit_process(code)
