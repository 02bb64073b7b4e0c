"""The commands and their drawing."""

from __future__ import annotations


def main() -> None:
    """Entry point of `tidegate` and `kubectl-tidegate`."""
    # Here, so that an import of the drawing alone does not load the commands with all that they read and check.
    from tidegate.cli.app import main as run_command

    run_command()
