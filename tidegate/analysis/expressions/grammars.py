"""Loads the grammars of this package, and says where a text leaves one."""

from __future__ import annotations

from typing import Any

from lark import Lark, UnexpectedCharacters, UnexpectedInput, UnexpectedToken


def load(file: str, **options: Any) -> Lark:
    """Return the parser of a grammar file of this package; `options` are lark's."""
    return Lark.open(file, rel_to=__file__, parser="lalr", **options)


def unexpected(error: UnexpectedInput, text: str) -> tuple[str, int]:
    """Return what a grammar did not expect and its position from 0; '' at the end of the text."""
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        return str(error.token), error.token.start_pos or 0
    if isinstance(error, UnexpectedCharacters):
        place = error.pos_in_stream or 0
        return text[place], place
    return "", len(text)
