"""A group whose commands are imported when they are run, so that a help or a completion starts at once."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from tidegate.cli.commands import COMMANDS, OF_A_NAMESPACE, Command, examples
from tidegate.cli.context_namespace import context_namespace


class LazyGroup(TyperGroup):
    """The commands of `COMMANDS`; each stands in for itself until it is named."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, each in COMMANDS.items():
            self.commands[name] = TyperCommand(name=name, help=each.help, hidden=each.hidden, rich_markup_mode=None)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Import the command that is named, and give it the namespace of the kubeconfig as default."""
        name = args[0] if args else ""
        if name in COMMANDS:
            self.commands[name] = loaded(name, COMMANDS[name])
            if name in OF_A_NAMESPACE and "TIDEGATE_NAMESPACE" not in os.environ:
                ctx.default_map = {name: _defaults(self.commands[name], context_namespace())}
        return super().resolve_command(ctx, args)


def loaded(name: str, command: Command) -> Any:
    """The command itself."""
    module, _, attribute = command.source.partition(":")
    found = getattr(import_module(f"tidegate.cli.{module}"), attribute)
    if isinstance(found, typer.Typer):
        group = get_group(found)
        group.name = name
        return group
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command(name, epilog=examples(*command.examples), context_settings={})(found)
    return get_command(app)


def _defaults(command: Any, namespace: str) -> dict[str, Any]:
    """Defaults for a command, or for each of a group's."""
    if not namespace:
        return {}
    if isinstance(command, TyperGroup):
        return {name: _defaults(each, namespace) for name, each in command.commands.items()}
    return {"namespace": namespace}
