"""Where a text leaves a grammar of this package."""

from __future__ import annotations

from lark import UnexpectedCharacters, UnexpectedInput, UnexpectedToken


def unexpected(error: UnexpectedInput, text: str) -> tuple[str, int]:
    """Return what a grammar did not expect and its position from 0; '' at the end of the text."""
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        return str(error.token), error.token.start_pos or 0
    if isinstance(error, UnexpectedCharacters):
        position = error.pos_in_stream or 0
        return text[position], position
    return "", len(text)
