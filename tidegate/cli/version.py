"""`version`: of the command, and of what it speaks with Temporal by."""

from __future__ import annotations

import platform
from importlib.metadata import version as version_of

from tidegate.cli.exits import ExitCode
from tidegate.cli.options import Output, OutputOption
from tidegate.cli.output import SCHEMA_VERSION, print_json, stdout


def version(output: OutputOption = Output.TEXT) -> int:
    """Say which version this is."""
    versions = {"tidegate": version_of("tidegate"), "temporalio": version_of("temporalio")}
    if output is Output.JSON:
        print_json({"schema_version": SCHEMA_VERSION, "kind": "Version", **versions})
    else:
        parts = ", ".join(f"{name} {number}" for name, number in versions.items())
        stdout().print(f"{parts}, Python {platform.python_version()}")
    return ExitCode.OK
