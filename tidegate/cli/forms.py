"""Forms of what `get` and `list` write, as kubectl has them: wide, name, json, yaml and jsonpath."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.output import print_json, stdout

if TYPE_CHECKING:
    from tidegate.manifests.jsonpath import JsonPath

_JSONPATH = "jsonpath="
_NAMED = ("text", "wide", "name", "json", "yaml")


@dataclass(frozen=True)
class Form:
    """Name of a form, and the path where it is `jsonpath`."""

    name: str
    path: JsonPath | None = None

    @property
    def is_drawn(self) -> bool:
        """True when it is text for people."""
        return self.name in ("text", "wide")


TEXT = Form("text")


def form(text: str | Form) -> Form:
    """Read the value of `--output`. Raises typer.BadParameter."""
    if isinstance(text, Form):
        return text
    if text.startswith(_JSONPATH):
        # Here, as it loads a parser.
        from tidegate.manifests.jsonpath import JsonPath, PathError

        try:
            return Form("jsonpath", JsonPath(text.removeprefix(_JSONPATH)))
        except PathError as error:
            raise typer.BadParameter(f"{text!r}: {error}") from error
    if text not in _NAMED:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(_NAMED)}, {_JSONPATH}PATH")
    return Form(text)


FormOption = Annotated[
    Form,
    typer.Option(
        "--output",
        "-o",
        parser=form,
        metavar="text|wide|name|json|yaml|jsonpath=PATH",
        help="Form of the output; json and yaml have a schema_version.",
        show_default=False,
    ),
]


def print_form(chosen: Form, document: dict[str, Any], names: Sequence[str]) -> None:
    """Write a document in a form that is not drawn; `names` are those of its objects, kind first."""
    if chosen.name == "json":
        print_json(document)
    elif chosen.name == "yaml":
        import yaml

        stdout().print(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), end="")
    elif chosen.path is not None:
        for value in chosen.path.find(document):
            stdout().print(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    else:
        for name in names:
            stdout().print(name)
