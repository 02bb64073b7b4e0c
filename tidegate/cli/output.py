"""Output of the commands: text through rich without wrapping, JSON with the version of its schema."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from tidegate.manifests.plain_text import harmless, harmless_json

SCHEMA_VERSION = 1


class HarmlessConsole(Console):
    """A console that a text from outside cannot steer: whatever is printed is made harmless here, at the exit."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print with all texts made harmless."""
        super().print(*map(made_harmless, objects), **options)


def made_harmless(value: Any) -> Any:
    """A text, also one of rich, as it may be printed; anything else as it is."""
    if isinstance(value, Text):
        value = value.copy()
        value.plain = harmless(value.plain)
        return value
    return harmless(value) if isinstance(value, str) else value


def stdout() -> Console:
    """Console of results. Made at every call: a test or a caller may have replaced the stream."""
    return HarmlessConsole(highlight=False, markup=False, soft_wrap=True)


def stderr() -> Console:
    """Console of errors, warnings and progress."""
    return HarmlessConsole(stderr=True, highlight=False, markup=False, soft_wrap=True)


def terminal_width() -> int | None:
    """Characters in a line of the terminal that results go to; None where they go into a pipe or a file."""
    console = stdout()
    return console.width if console.is_terminal else None


def print_lines(lines: Iterable[Text]) -> None:
    """Write lines to stdout."""
    stdout().print(Text("\n").join(lines))


def document(model: BaseModel) -> dict[str, Any]:
    """A payload as JSON, with the version of its shape and its kind beside its fields."""
    return {"schema_version": SCHEMA_VERSION, "kind": type(model).__name__, **model.model_dump(mode="json")}


def documents(models: Iterable[BaseModel]) -> dict[str, Any]:
    """Several payloads as one JSON document."""
    return {"schema_version": SCHEMA_VERSION, "kind": "List", "items": [document(model) for model in models]}


def print_json(value: dict[str, Any], *, indent: int | None = 2) -> None:
    """Write one JSON document to stdout; `indent` None puts it on one line."""
    stdout().print(Text(harmless_json(json.dumps(value, indent=indent, ensure_ascii=False))))
