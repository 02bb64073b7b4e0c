"""Expected errors of a command, as a block on stderr and an exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tidegate.cli.exits import ExitCode, exit_code
from tidegate.client.errors import TidegateError

if TYPE_CHECKING:
    from rich.text import Text


def print_error(error: Exception) -> ExitCode | None:
    """Write an error that was expected, and return its exit code; None for any other."""
    # Here, as no command but one that fails needs them.
    from tidegate.cli.output import stderr
    from tidegate.manifests.findings import ManifestError, errors

    if isinstance(error, ManifestError):
        for finding in error.findings:
            stderr().print(str(finding))
        count = len(errors(error.findings))
        plural = "s" if count != 1 else ""
        stderr().print(error_block(f"refused: {count} error{plural} in the manifests; nothing was done"))
        return ExitCode.REFUSED
    if isinstance(error, TidegateError):
        stderr().print(error_block(error.message, error.remedy))
        return exit_code(error)
    return None


def print_usage(message: str, program: str) -> None:
    """Write what is wrong with the words of a command."""
    from tidegate.cli.output import stderr

    stderr().print(error_block(message, f"see `{program} --help`"))


def error_block(message: str, remedy: str = "") -> Text:
    """The error, and below it the remedy."""
    from rich.text import Text

    block = Text.assemble(("error: ", "bold red"), message)
    if remedy:
        block.append_text(Text.assemble("\n", ("remedy: ", "bold"), remedy))
    return block


def configure_logs() -> None:
    """Warnings of the libraries go to stderr, harmless and one line each."""
    import logging

    import structlog

    from tidegate.manifests.plain_text import harmless_values

    *prepared, rendered = structlog.get_config()["processors"]
    structlog.configure(
        processors=[*prepared, lambda _, __, event: harmless_values(event), rendered],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
