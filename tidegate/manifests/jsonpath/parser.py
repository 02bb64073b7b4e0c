"""Reads the text of a path into its steps."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, cast

from lark import Token, UnexpectedInput, UnexpectedToken
from lark.visitors import Transformer_NonRecursive

from tidegate.manifests.grammar import Grammar
from tidegate.manifests.jsonpath.errors import PathError
from tidegate.manifests.jsonpath.syntax import (
    Compared,
    Descent,
    Exists,
    Index,
    Path,
    PathField,
    PathLiteral,
    PathSlice,
    Step,
    Union,
    Wildcard,
)

MAX_LENGTH: Final = 1_000
"""Characters of a path."""

_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


@lru_cache(maxsize=256)
def parse(text: str) -> Path:
    """The steps of a path such as `{$.data.ok}`; raises PathError with the column of what cannot be read."""
    if len(text) > MAX_LENGTH:
        raise PathError(f"the path is longer than {MAX_LENGTH} characters")
    try:
        return cast(Path, _GRAMMAR.parse(text.strip(), start="start"))
    except UnexpectedInput as error:
        ended = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        at = "the end" if ended else f"column {error.column}"
        raise PathError(f"unexpected at {at} of {text.strip()!r}: a path is written like {{$.data.ok}}") from None


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def _within_quotes(text: str) -> Path:
    """The steps within quotes: client-go reads `['metadata.name']` as `.metadata.name`."""
    try:
        return cast(Path, _GRAMMAR.parse(text, start="inner"))
    except UnexpectedInput:
        # A name that could not stand without quotes, as those with a space in it.
        return (PathField(_unescaped(text)),)


class _Steps(Transformer_NonRecursive[Token, Path]):
    """Builds the steps while the grammar is read, so that no depth of a path can exhaust the stack."""

    def start(self, children: list[Path]) -> Path:
        return children[0]

    def path(self, children: list[Step]) -> Path:
        return tuple(children)

    inner = relative = path

    def name(self, children: list[Token]) -> Step:
        return PathField(_unescaped(children[0]))

    def wildcard(self, _: list[Token]) -> Step:
        return Wildcard()

    def descent(self, _: list[Token]) -> Step:
        return Descent()

    def union(self, children: list[Path]) -> Step:
        return Union(tuple(children))

    def index(self, children: list[Token]) -> Path:
        return (Index(int(children[0])),)

    def slice(self, children: list[Token]) -> Path:
        return (PathSlice(*(int(part) if part else None for part in children[0].split(":"))),)

    def every(self, _: list[Token]) -> Path:
        return (PathSlice(),)

    def quoted(self, children: list[Token]) -> Path:
        return _within_quotes(children[0][1:-1])

    def exists(self, children: list[Path]) -> Step:
        return Exists(children[0])

    def compared(self, children: list[Any]) -> Step:
        left, operator, right = children
        return Compared(left, str(operator), right)

    def literal(self, children: list[Token]) -> Path:
        literal = children[0]
        match literal.type:
            case "QUOTED":
                return (PathLiteral(_unescaped(literal[1:-1])),)
            case "BOOL":
                return (PathLiteral(literal == "true"),)
        return (PathLiteral(float(literal)),)


_GRAMMAR: Final = Grammar("path.lark", rel_to=__file__, start=["start", "inner"], transformer=_Steps())
