"""`completion`: the script by which a shell completes commands, options and names of Rollouts."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer._completion_shared import get_completion_script

COMPLETE = "_TIDEGATE_COMPLETE"
"""Variable by which the script asks for what may come next."""


class Shell(StrEnum):
    """Shells that have a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="The shell.")]) -> int:
    """Print the completion script of a shell; names of Rollouts come from Temporal as they are completed."""
    typer.echo(get_completion_script(prog_name="tidegate", complete_var=COMPLETE, shell=shell))
    return 0
