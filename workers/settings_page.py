"""The page of all settings, written from their model: `python -m workers.settings_page > docs/settings.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tidegate.manifests.durations import format_duration
from workers.settings import PREFIX, SEPARATOR, Settings, variable_of

_INTRODUCTION = f"""# Settings of the worker and the watcher

Environment variables, all optional but where a group needs a field. A variable that begins with `{PREFIX}` and is none
of these stops the process with exit code 64 and a text that names it, and so does a value that cannot be used. No
setting holds a secret: where one is needed, the setting names a file or a path in Vault, read at the moment of use.
Lengths of time are whole seconds, or a number with a unit such as `90s`, `5m` or `1h30m`.

The connection to Temporal has the variables of the `temporal` command: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`,
`TEMPORAL_PROFILE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS_*`.

This page is written from the model: `python -m workers.settings_page > docs/settings.md`.
"""
_HEAD = ("| variable | value | default | what it is |", "|---|---|---|---|")


def render() -> str:
    """The page as Markdown."""
    plain = [_row(variable_of(name), field) for name, field in Settings.model_fields.items() if _group(field) is None]
    sections = [_INTRODUCTION, "\n".join(("## The process\n", *_HEAD, *plain)) + "\n"]
    for name, field in Settings.model_fields.items():
        if (group := _group(field)) is not None:
            sections.append("\n".join(_section(name, field, group)) + "\n")
    return "\n".join(sections)


def _section(name: str, field: FieldInfo, group: type[BaseModel]) -> Iterator[str]:
    named = get_origin(field.annotation) is dict
    prefix = f"{variable_of(name)}{SEPARATOR}" + (f"<NAME>{SEPARATOR}" if named else "")
    yield f"## `{prefix}`\n"
    about = (group.__doc__ or "").strip()
    yield f"{about} One group for each name, {field.description}.\n" if named else f"{about}\n"
    yield from _HEAD
    for key, each in group.model_fields.items():
        yield _row(f"{prefix}{key.upper()}", each)


def _row(variable: str, field: FieldInfo) -> str:
    cells = (f"`{variable}`", _kind(field.annotation), _default(field), field.description or "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "needed"
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    return f"`{value}`" if value not in (None, "", {}) else ""


def _kind(annotation: Any) -> str:
    """Allowed values, as text."""
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{member}`" for member in annotation)
    origin = get_origin(annotation)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation) if choice)
    if origin in (Union, UnionType):
        return ", ".join(filter(None, (_kind(arm) for arm in get_args(annotation) if arm is not NoneType)))
    if origin is dict:
        return "`__<NAME>` and text"
    if origin is not None:  # Annotated
        return _kind(get_args(annotation)[0])
    names = {str: "text", int: "number", float: "number", bool: "true or false", timedelta: "time"}
    return names.get(annotation, "path")


def _group(field: FieldInfo) -> type[BaseModel] | None:
    for arm in (field.annotation, *get_args(field.annotation)):
        if isinstance(arm, type) and issubclass(arm, BaseModel):
            return arm
    return None


if __name__ == "__main__":
    sys.stdout.write(render())
