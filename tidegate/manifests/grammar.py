"""A grammar of lark: read when its module is imported, built when something is parsed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Final

from lark import Lark


class Grammar:
    """The parser of a grammar file beside the module `rel_to`, for text without an ambiguity; `options` are lark's."""

    def __init__(self, file: str, *, rel_to: str, **options: Any) -> None:
        # Now and not when it is built: the first to parse may be a workflow, which may not open files.
        self._text = Path(rel_to).with_name(file).read_text("utf-8")
        self._options = options
        _READ.append(self)

    def parse(self, text: str, start: str | None = None) -> Any:
        """Return the tree of a text, or what the grammar's transformer makes of it; raises lark's UnexpectedInput."""
        return self._parser.parse(text, start=start)

    @cached_property
    def _parser(self) -> Lark:
        # This takes tens of milliseconds, and most that import the module parse nothing.
        return Lark(self._text, parser="lalr", **self._options)

    @staticmethod
    def build_all() -> None:
        """Build the parser of each grammar that was read so far."""
        for grammar in _READ:
            _ = grammar._parser


_READ: Final[list[Grammar]] = []
