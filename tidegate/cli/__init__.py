"""The commands and their drawing."""

from __future__ import annotations

import os
from typing import Final

INTERRUPTED: Final = 130
"""Exit code of a command that Ctrl-C ended, as a shell says it."""


def main() -> None:
    """Entry point of `tidegate` and `kubectl-tidegate`."""
    try:
        # Here, so that an import of the drawing alone does not load the commands with all that they read and check.
        from tidegate.cli.app import main as run_command

        run_command()
    except KeyboardInterrupt:
        os.write(2, b"interrupted\n")
        os._exit(INTERRUPTED)
